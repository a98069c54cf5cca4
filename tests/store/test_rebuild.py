"""Exchanges come back as they were, in any batches and with caches of any size; damage is an error, not other words."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from tailrace.errors import WorkFailed
from tailrace.records import Closed, Endpoint
from tailrace.store.engine import open_reader, open_writer
from tailrace.store.read import Filed, Selection, answers, rows
from tailrace.store.rebuild import Rebuilder
from tests.writer.filing import chat, kept, made, store

SYSTEM = [{"role": "system", "content": "It is noon."}, {"role": "developer", "content": "Be brief."}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("a", "b")]
LONG = "A sentence that is long enough to be worth a row of its own, and is said in every one of these messages. " * 3


def spoken(n: int) -> list[dict[str, Any]]:
    """A conversation of `n` messages, echoed in the ways in which clients echo."""
    found: list[dict[str, Any]] = []
    for at in range(n):
        words = f"{LONG}{at}"
        found.append({"role": "user", "content": words} if at % 2 == 0 else {"role": "assistant", "content": words})
        if at % 5 == 3:
            found[-1] |= {"content": [{"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}]}
        if at % 5 == 1:
            found[-1] |= {"refusal": None, "annotations": []}
    return found


def exchange_calls() -> list[Closed]:
    choices = [{"index": n, "message": {"role": "assistant", "content": f"{n}", "refusal": None}} for n in range(4)]
    choices[2] = {"index": 2}
    items = [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text"}]}, "odd", 7]
    asked = {"messages": [SYSTEM[0], *spoken(3), SYSTEM[1]], "tools": TOOLS, "model": "m"}
    return [
        *(chat(n, spoken(n), {"role": "assistant", "content": f"{LONG}{n}", "refusal": None}) for n in range(8)),
        made(10, orjson.dumps(asked), orjson.dumps({"choices": choices, "created": 5})),
        made(11, orjson.dumps(asked | {"tools": TOOLS[::-1]}), b"[1, 2]"),
        made(12, b'{"messages": [], "tools": []}', b""),
        made(13, orjson.dumps({"input": spoken(2)}), orjson.dumps({"output": items}), endpoint=Endpoint.RESPONSES),
        made(14, b'{"input": "x"}', b'{"output": []}', endpoint=Endpoint.RESPONSES),
        made(15, b'{"prompt": "x"}', b'{"choices": [{"text": "y"}]}', endpoint=Endpoint.COMPLETIONS),
    ]


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("cached", [1, 1000])
async def test_in_any_batches_with_any_cache(tmp_path: Path, size: int, cached: int) -> None:
    calls = exchange_calls()
    async with store(tmp_path) as (_, ingest):
        assert (await ingest.file(calls)).dead_letters == 0
    async with open_reader(tmp_path) as connection:
        rebuilder = Rebuilder(connection, cached=cached)
        for _ in range(2):  # the second time from the caches, which nobody has changed
            at = 0
            async for batch in rows(connection, Selection(), batch_rows=size):
                for found in await rebuilder.exchanges(batch):
                    assert found.request == orjson.loads(calls[at].request)
                    assert found.answer == (orjson.loads(calls[at].answer) if calls[at].answer else None)
                    assert (found.request_raw, found.answer_raw) == (None, None)
                    at += 1
            assert at == len(calls)


async def test_of_a_chat_s_answer_the_choices_alone(tmp_path: Path) -> None:
    calls = exchange_calls()
    async with store(tmp_path) as (_, ingest):
        await ingest.file(calls)
    async with open_reader(tmp_path) as connection:
        (batch,) = [batch async for batch in rows(connection, Selection())]
        rebuilder = Rebuilder(connection)
        wholes = await rebuilder.exchanges(batch)
        for whole, found in zip(wholes, await rebuilder.exchanges(batch, choices_only=True), strict=True):
            assert found.request == whole.request
            if type(whole.answer) is dict and "choices" in whole.answer:
                assert found.answer is not None
                assert found.answer["choices"] == whole.answer["choices"]


async def test_a_path_longer_than_any_statement_s_list(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": str(n)} for n in range(2500)]
    async with store(tmp_path) as (_, ingest):
        await ingest.file([chat(n, messages[: 2500 - n], {"role": "assistant", "content": "x"}) for n in range(3)])
    for n, (_, found) in enumerate(await kept(tmp_path)):
        assert found.request is not None
        assert found.request["messages"] == messages[: 2500 - n]


async def damaged(folder: Path, statement: str) -> None:
    async with store(folder) as (_, ingest):
        await ingest.file(exchange_calls())
    async with open_writer(folder) as connection:
        await connection.execute(text(statement))
        await connection.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE message SET body = x'28b52ffd00'",
        "UPDATE message SET body = x'7b'",
        "UPDATE shape SET body = x'7b'",
        "UPDATE completion SET answer_values = x'ff' WHERE answer_values IS NOT NULL",
        "DELETE FROM message WHERE id = 2",
        "DELETE FROM node WHERE id = 2",
        "DELETE FROM shape WHERE id = 1",
        "UPDATE raw SET body = x'28b52ffd00'",
    ],
)
async def test_damage_is_said(tmp_path: Path, statement: str) -> None:
    await damaged(tmp_path, statement)
    if "raw" in statement:
        async with store(tmp_path) as (connection, ingest):
            await ingest.file([made(99, b"no JSON", b"{}")])
            await connection.execute(text(statement))
            await connection.commit()
    with pytest.raises(WorkFailed, match="damaged"):
        await kept(tmp_path)


async def test_answers_alone_are_as_clients_echo_them(tmp_path: Path) -> None:
    async with store(tmp_path) as (_, ingest):
        await ingest.file([*exchange_calls(), made(99, b"{}", b'{"choices": []}')])
    async with open_reader(tmp_path) as connection:
        batch: list[Filed] = [row async for some in rows(connection, Selection()) for row in some]
        found = await answers(connection, Rebuilder(connection), batch)
    assert found[8] == {"role": "assistant", "content": f"{LONG}7"}
    assert set(found) == {row.seq for row in batch if row.answer_node}
    assert batch[-1].seq not in found
