"""Exports of what the writer filed: links found by it, echoes as clients make them, batches in any order."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from tailrace.records import Closed, Status
from tailrace.store import migrations
from tailrace.store.engine import open_writer
from tailrace.writer.ingest import Ingest
from tests.exporters.logged import Call, after, closed, opened
from tests.typed import Run

DIALOGUES = 12
STEPS = 5


def played() -> list[list[Call]]:
    """Dialogues of several steps, played at the same time; the first step of one is asked twice."""
    dialogues = [[opened(n + 1)] for n in range(DIALOGUES)]
    seq = DIALOGUES
    for step in range(1, STEPS):
        for dialogue in dialogues:
            seq += 1
            dialogue.append(after(dialogue[-1], f"question {step}", seq=seq, answer=f"answer {seq}"))
    first = dialogues[0][0]
    dialogues[0].append(Call(seq + 1, first.messages, {"role": "assistant", "content": "another answer"}))
    return dialogues


def unreadable(call: Call) -> list[Closed]:
    """Requests that were refused for their shape, as the relay logs them: an export has none of them."""
    good = closed(call)
    assert good.end is not None
    start = replace(good.start, provider="", sent_model="", model="")
    end = replace(good.end, status=Status.REFUSED, last=None, http_status=400, answer_bytes=0)
    bodies = (b"{", b"[]", b'"x"', b'{"messages": 3}', b'{"messages": ["x", 5, null, {}], "tools": ["y"]}')
    return [
        replace(good, id=uuid4(), start=start, end=end, request=body, answer=b"") for body in (*bodies, good.request)
    ]


@pytest.mark.parametrize("batch", [1000, 7])
def test_each_dialogue_is_a_row_that_says_what_was_said(
    batch: int, tailrace: Run, recipe: Path, tmp_path: Path
) -> None:
    dialogues = played()
    calls = [call for dialogue in dialogues for call in dialogue]
    random.Random(batch).shuffle(calls)

    async def file() -> None:
        async with open_writer(tmp_path / "data") as connection:
            await migrations.upgrade(connection, tmp_path / "data", now_us=0)
            ingest = await Ingest.open(connection, idle_s=7 * 86400)
            for at in range(0, len(calls), batch):
                filed = await ingest.file([closed(call) for call in calls[at : at + batch]])
                assert filed.dead_letters == 0
            assert (await ingest.file(unreadable(calls[0]))).dead_letters == 0

    asyncio.run(file())
    out = tmp_path / "out"
    said = tailrace("export", recipe, "--out", out, "--data-dir", tmp_path / "data")
    assert said.code == 0, said.err
    assert (out / "openai-chat").exists(), said.out
    rows = [orjson.loads(line) for path in (out / "openai-chat").iterdir() for line in path.read_bytes().splitlines()]
    heads = [dialogue[STEPS - 1] for dialogue in dialogues] + [dialogues[0][-1]]
    expected = {tuple(message["content"] for message in head.conversation) for head in heads}
    assert {tuple(message["content"] for message in row["messages"]) for row in rows} == expected
    assert len(rows) == len(heads)
    assert tailrace("export", "verify", out, "--data-dir", tmp_path / "data").code == 0
