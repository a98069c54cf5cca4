"""Filing looks rows up in indexes, however many there are: a scan would only show in production."""

from dataclasses import replace
from pathlib import Path

import orjson

from tailrace.records import Amended, Closed, Endpoint, Feedback
from tests.bench.made import conversations
from tests.store.plans import planned
from tests.writer.filing import BORN_US, chat, made, store

HELLO = {"role": "user", "content": "hello"}
HI = {"role": "assistant", "content": "hi"}


def named(n: int, **asked: str) -> Closed:
    answer = {"id": f"resp_{n}", "output": [{"type": "message", "role": "assistant", "content": "x"}]}
    body = orjson.dumps({"model": "m", "input": "x", **asked})
    return made(n, body, orjson.dumps(answer), endpoint=Endpoint.RESPONSES, session="conv", user="u")


def everything(first: int) -> list[list[Closed]]:
    """Batches that need each kind of look-up."""
    unknown = [HELLO, {"role": "assistant", "content": f"never logged {first}"}, HELLO, HI, HELLO]
    choices = [{"index": n, "message": {"role": "assistant", "content": f"hi {n}"}} for n in range(3)]
    begun_us = BORN_US + first * 1000
    late = chat(first + 8, [HELLO], HI, started_us=begun_us - 900, ended_us=begun_us - 800)
    return [
        [chat(first, [HELLO], HI, session="s", user="u"), chat(first + 1, [HELLO], HI)],
        [chat(first + 2, [HELLO, HI, HELLO], HI, session="s"), chat(first + 3, unknown, HI, user="u")],
        [chat(first + 4, [HELLO, HI, HELLO], HI), chat(first + 5, [HELLO, HI, HELLO], HI)],
        [made(first + 6, b'{"messages":[]}', orjson.dumps({"choices": choices}))],
        [named(first + 9), named(first + 10, previous_response_id=f"resp_{first + 9}")],
        [named(first + 11, conversation="conv"), named(first + 12, previous_response_id=f"resp_{first + 9}")],
        [late],
    ]


async def test_filing_reads_no_table_whole(tmp_path: Path) -> None:
    async with store(tmp_path) as (connection, ingest):
        for batch in [*conversations(20, 3), *everything(1000)]:
            await ingest.file(batch)
    async with store(tmp_path) as (connection, ingest):  # nothing is remembered
        async with planned(connection) as plans:
            for batch in [*conversations(5, 4, seed=8), *everything(2000)]:
                await ingest.file(batch)
            one = batch[0]
            assert one.end is not None
            said = [
                Feedback(name, 1, "default", None, name, "user", thumb="up") for name in (str(one.id), "resp_2009", "x")
            ]
            amended = [Amended(one.id, 1, replace(one.end, duration_us=5))]
            await ingest.file([], feedback=[*said, said[0]], amended=amended)
            await ingest.file([chat(3000, [HELLO], HI)])
        assert len(plans) > 60, "else this tests little"
        scans = [(step, statement) for step, statement in plans.reading_all() if "LIMIT 10000" not in statement]
        assert scans == []  # the newest feedback is read in a row, that many at most
        for index in (
            "completion_link_answer", "completion_link_pair", "completion_awaited", "completion_session",
            "completion_user", "completion_answer_id", "completion_external_id", "completion_chain", "choice_link",
            "node_path", "sqlite_autoindex_message_1", "sqlite_autoindex_shape_1", "sqlite_autoindex_completion_1",
            "sqlite_autoindex_feedback_1",
        ):  # fmt: skip
            assert plans.using(index), index
