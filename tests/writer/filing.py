"""What the writer's tests share: a store with its ingest, and completions made of a request and an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.ids import uuid7
from tailrace.records import Attempt, Closed, End, Endpoint, Start, Status
from tailrace.store.engine import open_reader, open_writer
from tailrace.store.migrations import upgrade
from tailrace.store.read import Filed, Selection, rows
from tailrace.store.rebuild import Exchange, exchanges
from tailrace.writer.ingest import Ingest

BORN_US = 1_790_000_000_000_000


def made(
    n: int, request: bytes, answer: bytes, *, started_us: int | None = None, ended_us: int | None = None,
    content_type: str = "application/json", endpoint: Endpoint = Endpoint.CHAT, **start: Any,
) -> Closed:  # fmt: skip
    """Completion number `n`."""
    start.setdefault("dialect", "anthropic" if endpoint is Endpoint.MESSAGES else "openai")
    at_us = BORN_US + n * 1000 if started_us is None else started_us
    duration_us = 500 if ended_us is None else ended_us - at_us
    id_: UUID = uuid7(at_us // 1000, n.to_bytes(10, "big"))
    begun = Start(
        at_us=at_us, project="default", endpoint=endpoint, provider="up", model="m", sent_model="m",
        stream=content_type != "application/json", step=1, **start,
    )  # fmt: skip
    last = Attempt(1, at_us, "up", "m", Status.OK, 200, None, duration_us)
    end = End(
        at_us=at_us + duration_us, status=Status.OK, last=last, http_status=200, content_type=content_type,
        answer_bytes=len(answer), duration_us=duration_us,
    )  # fmt: skip
    return Closed(id_, "0" * 16, at_us * 1000 + n, at_us * 1000 + n + 1, begun, request, (), answer, end)


def chat(n: int, messages: list[Any], answer: Any, **more: Any) -> Closed:
    """A plain chat completion whose answer's message is `answer`."""
    request = {"model": "m", "messages": messages}
    body = {"id": f"chatcmpl-{n:024d}", "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]}
    return made(n, orjson.dumps(request), orjson.dumps(body), **more)


def streamed(n: int, messages: list[Any], answer: dict[str, Any], **more: Any) -> Closed:
    """The same as a stream: a role, the text in pieces, the tool calls with their indexes, why it ended, `[DONE]`."""
    text, calls = answer.get("content") or "", answer.get("tool_calls", [])
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[at : at + 7]} for at in range(0, len(text), 7)]
    deltas += [{"tool_calls": [call | {"index": index}]} for index, call in enumerate(calls)]
    choices: list[Any] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [{"id": f"chatcmpl-{n:024d}", "object": "chat.completion.chunk", "choices": [one]} for one in choices]
    body = b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks) + b"data: [DONE]\n\n"
    request = {"model": "m", "messages": messages, "stream": True}
    return made(n, orjson.dumps(request), body, content_type="text/event-stream", **more)


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[tuple[AsyncConnection, Ingest]]:
    """An upgraded store, and what files into it."""
    async with open_writer(folder) as connection:
        await upgrade(connection, folder, now_us=0)
        yield connection, await Ingest.open(connection, idle_s=1e6)


async def kept(folder: Path) -> list[tuple[Filed, Exchange]]:
    """All rows and what they are rebuilt to, in order of filing."""
    found: list[tuple[Filed, Exchange]] = []
    async with open_reader(folder) as connection:
        async for batch in rows(connection, Selection(origin=None)):
            found += zip(batch, await exchanges(connection, batch), strict=True)
    return found


async def count(connection: AsyncConnection, table: str) -> int:
    """Rows of a table."""
    found: int = (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
    await connection.rollback()
    return found
