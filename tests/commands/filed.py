"""A store with one of everything that the log's commands show, filed by the writer's own ingest.

    HELLO ─▶ BONN ─▶ THANKS          a conversation
       ├───▶ AGAIN                   BONN's prompt once more: a retry
       └───▶ ELSE                    another continuation: a branch

and beside it completions that stand alone, each with something of its own.
"""

import asyncio
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson

from tailrace.records import Action, Closed, Endpoint, Feedback, Gap, Json, Label, Labelled, Poison, Status
from tests.writer.filing import chat, made, store

HOSTILE: Final = "\x1b]0;pwned\x07\x1b[31mred\x1b[2J \u202egnp.exe\u202c \r over \x9b31m \x7f \u2028 end"
"""What a terminal, or its reader, would be fooled by."""

DEEP: Final = 1000
"""Deeper than orjson writes, not than it reads."""


class N(IntEnum):
    """Numbers of the completions, in order of filing."""

    HELLO = 1
    BONN = 2
    THANKS = 3
    AGAIN = 4
    ELSE = 5
    HOSTILE = 6
    LIMITED = 7
    CUT = 8
    UNREACHABLE = 9
    PAGE = 10
    LOST = 11
    TOOLS = 12
    RESPONSE = 13
    CLAUDE = 14
    OLD = 15
    VECTOR = 16
    REPLAY = 17
    DEEP = 18


def id_of(n: N) -> str:
    """The id of a completion."""
    return str(made(n, b"", b"").id)


def file_everything(folder: Path) -> Path:
    """The store, in the data folder `folder`."""

    async def work() -> None:
        async with store(folder) as (_, ingest):
            for closed in everything():
                await ingest.file([closed])
            poison = Poison(1, "00000001.seg:64", "no header", b"\x00\x01")
            await ingest.file(
                [], [Gap(1, "w1", 3, "the disk is full")], [poison], feedback=[_opinion()], labelled=_labelled()
            )

    asyncio.run(work())
    return folder


def everything() -> list[Closed]:
    """The completions, in order of filing."""
    return [*_conversation(), *_failures(), *_other_words(), *_oddities()]


def user(text: Json) -> dict[str, Json]:
    return {"role": "user", "content": text}


def said(text: Json, **more: Json) -> dict[str, Json]:
    return {"role": "assistant", "content": text, **more}


def _conversation() -> list[Closed]:
    hello = [{"role": "system", "content": "Be brief."}, user("Hello")]
    bonn = [*hello, said("Hi!"), user("How do I get to Bonn?")]
    thanks = [*bonn, said("By train."), user("Thanks")]
    other = [*hello, said("Hi!"), user("And to Rome?")]
    made_of = [
        chat(N.HELLO, hello, said("Hi!", refusal=None)),
        chat(N.BONN, bonn, said("By train.", refusal=None), session="s1"),
        chat(N.THANKS, thanks, said("You are welcome.")),
        chat(N.AGAIN, bonn, said("By bus.")),
        chat(N.ELSE, other, said("All roads lead there.")),
    ]
    return [replace(one, start=replace(one.start, step=1 + one.request.count(b"assistant"))) for one in made_of]


def _failures() -> list[Closed]:
    hostile = chat(N.HOSTILE, [user(HOSTILE)], said(HOSTILE), user=HOSTILE[:60], tags={HOSTILE[:9]: HOSTILE[9:40]})
    error = orjson.dumps({"error": {"message": "Rate limit reached.", "type": "requests", "code": None}})
    chunks = [{"index": 0, "delta": {"role": "assistant", "content": "one two"}, "finish_reason": None}]
    stream = b"data: " + orjson.dumps({"id": "c8", "object": "chat.completion.chunk", "choices": chunks}) + b"\n\n"
    cut = made(N.CUT, _asked("count"), stream, content_type="text/event-stream")
    unreachable = chat(N.UNREACHABLE, [user("x")], None)
    page = made(N.PAGE, b'{"model":"m","model":"n","messages":[]}', b"<h1>Bad\x9b Gateway</h1>")
    lost = made(N.LOST, _asked("lost"), b"")
    return [
        replace(hostile, start=replace(hostile.start, model=f"evil\x1b[5m{N.HOSTILE}")),
        _ended(made(N.LIMITED, _asked("more"), error), Status.PROVIDER_ERROR, http_status=429),
        _ended(cut, Status.PROVIDER_TRUNCATED, error="provider_truncated"),
        _ended(unreachable, Status.PROVIDER_ERROR, http_status=502, error="provider_unreachable", answer=b""),
        _ended(page, Status.PROVIDER_ERROR, http_status=502),
        replace(lost, end=None, end_stamp=None),
    ]


def _other_words() -> list[Closed]:
    function = {"name": "weather", "arguments": '{"city":"Bonn"}'}
    call = {"id": "c1", "type": "function", "function": function}
    rain = [user("Rain?"), said(None, tool_calls=[call]), {"role": "tool", "tool_call_id": "c1", "content": "wet"}]
    item = {"type": "function_call", "call_id": "c2", "id": "fc1", **function}
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": [item]}
    claude = {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "tool_use"}
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bonn"}}
    old = {"id": "cmpl-1", "object": "text_completion", "choices": [{"index": 0, "text": "upon a time"}]}
    vector = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.25] * 900}]}
    return [
        chat(N.TOOLS, rain, said("It rains.", reasoning_content="wet means rain")),
        _made(N.RESPONSE, Endpoint.RESPONSES, {"model": "m", "input": "Rain?", "instructions": "Look."}, response),
        _made(
            N.CLAUDE,
            Endpoint.MESSAGES,
            {"model": "m", "max_tokens": 9, "system": "Look.", "messages": [user([{"type": "text", "text": "Rain?"}])]},
            claude | {"content": [{"type": "text", "text": "Let me see."}, use]},
        ),
        _made(N.OLD, Endpoint.COMPLETIONS, {"model": "m", "prompt": "Once"}, old),
        _made(N.VECTOR, Endpoint.EMBEDDINGS, {"model": "m", "input": ["a", "b"]}, vector),
    ]


def _oddities() -> list[Closed]:
    deep = b"[" * DEEP + b'"bottom"' + b"]" * DEEP
    request = b'{"model":"m","messages":[{"role":"user","content":' + deep + b"}]}"
    return [
        chat(N.REPLAY, [user("Hello")], said("Hi again!"), origin="replay", source=id_of(N.HELLO)),
        made(N.DEEP, request, b'{"choices":[]}'),
    ]


def _opinion() -> Feedback:
    better = {"role": "assistant", "content": f"By bike.{HOSTILE}"}
    return Feedback(
        "f1", 1_790_000_000_000_000, "default", None, id_of(N.BONN), "user",
        score=0.5, thumb="down", text=f"too slow {HOSTILE}", correction=better,
    )  # fmt: skip


def _labelled() -> list[Labelled]:
    """A machine's label, one beside it, a person's that outranks both, and an action in two steps."""
    of, at_us = UUID(id_of(N.BONN)), 1_790_000_000_000_000
    guess = Label(
        UUID(int=1), of, at_us, "intent", "v1", "student", "question", confidence=0.934, latency_us=80, note="r1"
    )
    action = Action(UUID(int=4), of, at_us, "intent", "v1", "question", "webhook", "k", "planned", "crm.test")
    return [
        guess,
        replace(guess, id=UUID(int=2), source="llm", mode="audit", label="reject", confidence=None),
        replace(guess, id=UUID(int=3), source="human", label="confirm", confidence=None, who=f"ada {HOSTILE}"[:22]),
        replace(guess, id=UUID(int=6), classifier="topics", label=("travel", "bonn"), note=None),
        action,
        replace(action, id=UUID(int=5), outcome="done", attempts=2),
    ]


def _asked(text: str) -> bytes:
    return orjson.dumps({"model": "m", "messages": [user(text)]})


def _made(n: N, endpoint: Endpoint, request: Json, answer: Json) -> Closed:
    return made(n, orjson.dumps(request), orjson.dumps(answer), endpoint=endpoint)


def _ended(
    closed: Closed, status: Status, *, http_status: int = 200, error: str | None = None, answer: bytes | None = None
) -> Closed:
    end: Any = closed.end
    last = replace(end.last, outcome=status, http_status=http_status, error=error, detail=f"began {HOSTILE}")
    ended = replace(end, status=status, http_status=http_status, error=error, last=last)
    return replace(closed, end=ended, answer=closed.answer if answer is None else answer)
