"""Completions to export: as the pure stages see them, and as the journal gives them to the writer. Deterministic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import orjson

from tailrace.chains.links import answer_links, links_of
from tailrace.ids import uuid7
from tailrace.records import Attempt, Closed, End, Endpoint, Json, Start
from tailrace_exporters.rows import Exchange

BORN_MS: Final = 1_790_000_000_000
"""2026-09-21, when the first completion of every log here started."""
MINUTE_US: Final = 60 * 10**6


@dataclass(frozen=True)
class Call:
    """One completion of an application, with what it asked and was answered."""

    seq: int
    messages: Sequence[Json]
    answer: Json
    params: Mapping[str, Json] = field(default_factory=dict)
    status: str = "ok"
    finish_reason: str | None = "stop"
    provider: str = "openai"
    model: str = "gpt-5"
    served_model: str | None = "gpt-5-2026"
    input_tokens: int | None = 10
    output_tokens: int | None = 5
    usage_source: str = "provider"
    cost_usd: float | None = None
    tags: str | None = None
    endpoint: str = "chat.completions"
    omits: str | None = None
    user: str | None = None
    session: str | None = None

    @property
    def id(self) -> bytes:
        return completion_id(self.seq).bytes

    @property
    def started_us(self) -> int:
        return BORN_MS * 1000 + self.seq * MINUTE_US

    @property
    def link_answer(self) -> bytes | None:
        return answer_links(links_of(self.messages), self.answer).answer

    @property
    def exchange(self) -> Exchange:
        return Exchange(self.request, self.envelope)

    @property
    def request(self) -> Json:
        return {"model": self.model, **self.params, "messages": list(self.messages)}

    @property
    def envelope(self) -> Json:
        choice = {"index": 0, "message": self.answer, "finish_reason": self.finish_reason}
        usage = {"prompt_tokens": self.input_tokens, "completion_tokens": self.output_tokens}
        usage["total_tokens"] = (self.input_tokens or 0) + (self.output_tokens or 0)
        return {
            "id": f"chatcmpl-{self.seq}",
            "object": "chat.completion",
            "created": BORN_MS // 1000 + self.seq,
            "model": self.served_model,
            "choices": [choice],
            "usage": usage,
        }

    @property
    def conversation(self) -> list[Json]:
        return [*self.messages, self.answer]


def completion_id(seq: int) -> UUID:
    return uuid7(BORN_MS + seq * 60_000, seq.to_bytes(10, "big"))


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def said(text: str) -> Json:
    """An answer as OpenAI gives it."""
    return {"role": "assistant", "content": text, "refusal": None, "annotations": []}


def echoed(answer: Json) -> Json:
    """The same answer as a client sends it back: without its nulls."""
    return {key: value for key, value in answer.items() if value not in (None, [])}


def after(call: Call, text: str, *, seq: int, answer: str, **fields: Json) -> Call:
    """The next step of a conversation."""
    return Call(seq, [*call.messages, echoed(call.answer), user(text)], said(answer), **fields)


def opened(seq: int, text: str = "", answer: str = "", **fields: Json) -> Call:
    """The first step of a conversation; by default one that no other has."""
    system = {"role": "system", "content": "Be brief."}
    return Call(seq, [system, user(text or f"question {seq}")], said(answer or f"answer {seq}"), **fields)


def closed(call: Call) -> Closed:
    """A completion as the journal gives it to the writer."""
    at_us = call.started_us
    start = Start(
        at_us=at_us,
        project="default",
        endpoint=Endpoint.CHAT,
        provider=call.provider,
        model=call.model,
        sent_model=call.model,
        stream=False,
        step=1 + sum(message["role"] == "assistant" for message in call.messages),
        key="k1",
        tags=None if call.tags is None else orjson.loads(call.tags),
    )
    last = Attempt(1, at_us, call.provider, call.model, call.status, 200, duration_us=1000)
    body = orjson.dumps(call.envelope)
    end = End(
        at_us=at_us + 1000,
        status=call.status,
        last=last,
        http_status=200,
        content_type="application/json",
        answer_bytes=len(body),
        first_byte_us=900,
        duration_us=1000,
        overhead_us=10,
    )
    stamp = call.seq * MINUTE_US
    return Closed(
        id=UUID(bytes=call.id),
        owner="w1",
        stamp=stamp,
        end_stamp=stamp + 1000,
        start=start,
        request=orjson.dumps(call.request),
        retries=(),
        answer=body,
        end=end,
    )
