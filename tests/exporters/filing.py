"""A store with given completions and given links: the tables as the writer leaves them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.chains.canonical import content_hash
from tailrace.records import Json
from tailrace.store import migrations
from tailrace.store.engine import open_writer
from tests.exporters.logged import BORN_MS, Call

TABLES = SQLModel.metadata.tables
Rows = dict[str, list[dict[str, Any]]]


def file_log(data_dir: Path, log: Mapping[int, tuple[Call, int | None]]) -> Path:
    """Add `log` (completions with their parents, by `seq`) to the store in `data_dir`, which is made when missing."""

    async def work() -> None:
        async with open_writer(data_dir) as connection:
            await migrations.upgrade(connection, data_dir, now_us=0)
            for table, rows in _Filing(log).rows.items():
                if rows:
                    await _insert(connection, table, rows)
            await connection.commit()

    asyncio.run(work())
    return data_dir


def amend(data_dir: Path, table: str, key: int, **values: int | str) -> None:
    """Change what the writer changes of a filed row: its links and counts."""

    async def work() -> None:
        async with open_writer(data_dir) as connection:
            (primary,) = TABLES[table].primary_key
            await connection.execute(TABLES[table].update().where(primary == key).values(values))
            await connection.commit()

    asyncio.run(work())


async def _insert(connection: AsyncConnection, table: str, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(TABLES[table]), rows)


class _Filing:
    """The rows of one log. Ids count on from the log's smallest `seq`, so that logs can be added to a store."""

    def __init__(self, log: Mapping[int, tuple[Call, int | None]]) -> None:
        self.rows: Rows = {name: [] for name in ("message", "node", "shape", "chain", "completion")}
        self._next = min(log) * 10_000
        self._log = log
        self._children = {seq: sum(parent == seq for _, parent in log.values()) for seq in log}
        for seq in sorted(log):
            self._file(*log[seq])

    def _id(self) -> int:
        self._next += 1
        return self._next

    def _top(self, seq: int) -> int:
        while (parent := self._log[seq][1]) is not None and parent in self._log:
            seq = parent
        return seq

    def _blob(self, table: str, value: Json) -> int:
        id_ = self._id()
        unique = content_hash(orjson.dumps([id_, value]), "default")
        self.rows[table].append({"id": id_, "hash": unique, "body": orjson.dumps(value)})
        return id_

    def _file(self, call: Call, parent: int | None) -> None:
        node, system = 0, []
        for position, message in enumerate(call.messages):
            body = self._blob("message", message)
            if message["role"] in {"system", "developer"}:
                system.append([position, body])
                continue
            self.rows["node"].append({"id": self._id(), "parent": node, "message": body})
            node = self._next
        top = self._top(call.seq)
        if top == call.seq:
            self._chain(call)
        self.rows["completion"].append(
            _columns(call)
            | {
                "chain": top,
                "parent": parent,
                "relation": "start" if parent is None else "continue",
                "link_kind": None if parent is None else "inferred",
                "children": self._children[call.seq],
                "params": self._blob("shape", {"model": call.model, **call.params}),
                "context": self._blob("shape", {"system": system}) if system else None,
                "prompt_node": node,
                "answer_shape": self._blob("shape", call.envelope),
            }
        )

    def _chain(self, call: Call) -> None:
        members = [other for other, _ in self._log.values() if self._top(other.seq) == call.seq]
        at_us = BORN_MS * 1000
        chain = {"id": call.seq, "key": call.id, "project": "default", "started_us": at_us, "last_us": at_us}
        steps = max(_step(member) for member in members)
        self.rows["chain"].append(chain | {"completions": len(members), "steps": steps})


def _step(call: Call) -> int:
    return 1 + len([message for message in call.messages if message["role"] == "assistant"])


def _columns(call: Call) -> dict[str, Any]:
    return {
        "seq": call.seq,
        "id": call.id,
        "started_us": call.started_us,
        "project": "default",
        "endpoint": call.endpoint,
        "omits": call.omits,
        "origin": "app",
        "provider": call.provider,
        "model": call.model,
        "served_model": call.served_model,
        "status": call.status,
        "finish_reason": call.finish_reason,
        "stream": False,
        "attempts": 1,
        "step": _step(call),
        "link_answer": call.link_answer,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "usage_source": call.usage_source,
        "cost_usd": call.cost_usd,
        "tags": call.tags,
        "user": call.user,
        "session": call.session,
    }
