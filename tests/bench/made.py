"""Completions made for the bench: real sentences in conversations of a given length, as the journal would give them."""

import random
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

import orjson

from tailrace.ids import uuid7
from tailrace.records import Attempt, Closed, End, Endpoint, Json, Start, Status
from tailrace.simulate.dialogues import packaged

BORN_US: Final = 1_790_000_000_000_000
STEP_US: Final = 1_000_000
SYSTEM: Final = {
    "role": "system",
    "content": "You are the assistant of a travel agency. Be brief, be kind, ask one thing.",
}


def sentences() -> list[str]:
    """What people said in the packaged dialogues."""
    return [turn for dialogue in packaged() for turn in dialogue.turns]


def conversations(
    count: int, steps: int, *, seed: int = 7, said: Sequence[str] = (), begin_us: int = BORN_US
) -> Iterator[list[Closed]]:
    """Step by step over `count` conversations at once: each item is one step of all of them. `said`: of what."""
    dice = random.Random(seed)
    said = said or sentences()
    histories: list[list[Json]] = [[SYSTEM] for _ in range(count)]
    for step in range(1, steps + 1):
        made = []
        for number, history in enumerate(histories):
            history.append({"role": "user", "content": f"{' '.join(dice.sample(said, 3))} ({number}.{step})"})
            answer = {
                "role": "assistant",
                "content": f"{' '.join(dice.sample(said, 3))} ({number}:{step})",
                "refusal": None,
            }
            at_us = begin_us + step * count * STEP_US + number * 1000
            made.append(_closed(dice, at_us, step, history, answer))
            history.append({"role": "assistant", "content": answer["content"]})
        yield made


def _closed(dice: random.Random, at_us: int, step: int, history: list[Json], answer: Json) -> Closed:
    id_: UUID = uuid7(at_us // 1000, dice.randbytes(10))
    request = {"model": "gpt-5-mini", "messages": history, "temperature": 0.2, "max_tokens": 500}
    prompt, completion = dice.randint(50, 4000), dice.randint(5, 300)
    body = {
        "id": f"chatcmpl-{dice.getrandbits(144):036x}",
        "object": "chat.completion",
        "created": at_us // 1_000_000,
        "model": "gpt-5-mini-2026-08-07",
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_a1b2c3",
    }
    start = Start(
        at_us=at_us, project="default", endpoint=Endpoint.CHAT, provider="openai", model="gpt-5-mini",
        sent_model="gpt-5-mini", stream=False, step=step, key="0123456789ab", config="0a1b2c3d",
    )  # fmt: skip
    last = Attempt(1, at_us, "openai", "gpt-5-mini", Status.OK, 200, None, 800_000)
    end = End(
        at_us=at_us + 800_000, status=Status.OK, last=last, http_status=200, content_type="application/json",
        answer_bytes=900, first_byte_us=790_000, duration_us=800_000, overhead_us=300,
        provider_request_id=f"req_{dice.getrandbits(128):032x}",
    )  # fmt: skip
    stamp = at_us * 1000
    return Closed(id_, "0" * 16, stamp, stamp + 1, start, orjson.dumps(request), (), orjson.dumps(body), end)
