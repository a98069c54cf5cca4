"""Rows keep their split in whatever order the writer files: the forest of the exporters over the real store."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.records import Closed, Endpoint
from tailrace_exporters.split import Forest
from tests.writer.filing import BORN_US, chat, kept, made, store

SHARES = {str(n): 1 / 16 for n in range(16)}  # many, so that two completions hardly agree by chance
HELLO = {"role": "user", "content": "hello"}


def twins(count: int, steps: int) -> list[Closed]:
    """Conversations at once that begin with the same words, and differ from their second step on."""
    calls: list[Closed] = []
    for twin in range(count):
        history: list[dict[str, Any]] = [HELLO]
        for step in range(steps):
            answer = {"role": "assistant", "content": "hi" if step == 0 else f"answer {twin} {step}"}
            begin_us = BORN_US + (step * count + twin) * 10_000
            calls.append(chat(len(calls), history, answer, started_us=begin_us, ended_us=begin_us + 5_000))
            history = [*history, answer, {"role": "user", "content": f"more {twin} {step}"}]
    return calls


def named(count: int, steps: int) -> list[Closed]:
    """Conversations at once that hold no more than their last words: each call names the answer that it continues."""
    calls: list[Closed] = []
    for twin in range(count):
        asked: dict[str, Any] = {"model": "m", "input": "hello"}
        for step in range(steps):
            name, begin_us = f"resp_{len(calls):020d}", BORN_US + (step * count + twin) * 10_000
            said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}]
            answer = {"id": name, "object": "response", "output": said}
            call = made(
                len(calls), orjson.dumps(asked), orjson.dumps(answer), endpoint=Endpoint.RESPONSES,
                started_us=begin_us, ended_us=begin_us + 5_000,
            )  # fmt: skip
            calls.append(call)
            asked = {"model": "m", "input": "more", "previous_response_id": name}
    return calls


async def splits(calls: list[Closed], ends: set[int]) -> dict[bytes, set[str]]:
    """The splits that each completion was in when exported after each batch."""
    seen: dict[bytes, set[str]] = {call.id.bytes: set() for call in calls}
    with tempfile.TemporaryDirectory() as name:
        folder, begin = Path(name), 0
        for end in sorted({*ends, len(calls)}):
            async with store(folder) as (_, ingest):
                assert (await ingest.file(calls[begin:end])).rows == end - begin
            begin = end
            rows = [row for row, _ in await kept(folder)]
            forest = Forest(end, 0, SHARES)
            for row in rows:
                forest.add(row.seq, row.id, row.parent)
            forest.grow()
            for row in rows:
                if (split := forest.split(row.seq, row.seq)) is not None:
                    seen[row.id].add(split)
    return seen


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_row_moves_whatever_is_filed_late(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([twins, twins, named]))
    calls = data.draw(st.permutations(kind(*data.draw(st.sampled_from([(2, 2), (3, 2), (2, 3), (1, 4)])))))
    ends = data.draw(st.sets(st.integers(1, len(calls) - 1)))
    assert all(len(one) <= 1 for one in asyncio.run(splits(calls, ends)).values())
