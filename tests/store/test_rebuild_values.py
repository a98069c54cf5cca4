"""Long values of an answer are stored compressed, and rebuilt all the same."""

from dataclasses import replace
from pathlib import Path

import orjson

from tailrace.store.engine import open_reader, open_writer
from tailrace.store.migrations import upgrade
from tailrace.store.read import Selection, rows
from tailrace.store.rebuild import exchanges
from tailrace.writer.ingest import Ingest
from tests.bench.made import conversations


async def test_an_answer_with_long_values_is_rebuilt(tmp_path: Path) -> None:
    closed = next(conversations(1, 1))[0]
    answer = orjson.loads(closed.answer)
    answer["choices"][0]["message"]["reasoning_content"] = "I should think about this once more. " * 50
    answer["provider_note"] = "a long value that says the same again and again, " * 20
    closed = replace(closed, answer=orjson.dumps(answer))
    async with open_writer(tmp_path) as connection:
        await upgrade(connection, tmp_path, now_us=0)
        await (await Ingest.open(connection, idle_s=1e6)).file([closed])
    async with open_reader(tmp_path) as connection:
        (found,) = [row async for batch in rows(connection, Selection()) for row in batch]
        assert found.answer_values is not None
        assert found.answer_values.startswith(b"\x28\xb5\x2f\xfd"), "else this tests nothing"
        (exchange,) = await exchanges(connection, [found])
    assert exchange.answer == answer
