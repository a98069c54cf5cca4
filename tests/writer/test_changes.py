"""What administrators did is filed once, whenever it comes; a key stands as the last change of it says."""

from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
import pytest

from tailrace.clock import Clock
from tailrace.journal import entries
from tailrace.journal.entries import Unreadable
from tailrace.keys import SNAPSHOT, Key, KeyKind, key_json, read_snapshot
from tailrace.records import Change, ChangeKind
from tailrace.store import keys as stored
from tailrace.writer.keyfile import KeyFile
from tests.writer.filing import count, store

KEY: Final = Key(id="key_1", hash=bytes(32), kind=KeyKind.CLIENT, name="app", created_us=1)


def change(n: int, key: Key = KEY, what: str = ChangeKind.KEY_CREATED) -> Change:
    return Change(UUID(int=n), n, "command:ada", what, key.id, key_json(key))


def revoked(n: int) -> Change:
    return change(n, replace(KEY, revoked_us=n), ChangeKind.KEY_REVOKED)


async def test_a_change_is_filed_once_and_the_last_one_counts_in_any_order(tmp_path: Path) -> None:
    async with store(tmp_path) as (connection, ingest):
        await ingest.file([], changes=[change(1), revoked(5)])
        await ingest.file([], changes=[revoked(5), change(1), change(3, what=ChangeKind.KEY_CHANGED)])
        (key,) = await stored.keys(connection)
        assert key.revoked_us == 5, "an older change that was filed late opens nothing again"
        told = await stored.audit(connection)
        assert [(seq, one.id.int, one.what, one.who) for seq, one in told] == [
            (1, 1, "key_created", "command:ada"),
            (2, 5, "key_revoked", "command:ada"),
            (3, 3, "key_changed", "command:ada"),
        ]
        assert await stored.audit(connection, after_seq=2, limit=1) == [told[2]]


@pytest.mark.parametrize(
    "bad",
    [
        Change(UUID(int=9), 9, "x", "key_eaten", "key_1", key_json(KEY)),
        Change(UUID(int=9), 9, "x", ChangeKind.KEY_CREATED, "key_1", {"id": "key_1"}),
        Change(UUID(int=9), 9, "x", ChangeKind.KEY_CREATED, "key_1", key_json(KEY) | {"kind": "king"}),
    ],
)
async def test_one_that_is_no_change_goes_alone_and_whole(tmp_path: Path, bad: Change) -> None:
    async with store(tmp_path) as (connection, ingest):
        await ingest.file([], changes=[bad, change(1)])
        assert len(await stored.keys(connection)) == 1
        assert len(await stored.audit(connection)) == 1
        assert await count(connection, "dead_letter") == 1


def test_a_change_comes_back_from_the_journal_as_it_was() -> None:
    assert entries.decode_change(entries.encode_change(revoked(5))) == revoked(5)
    for header in (b"{}", b'{"id": "x"}', orjson.dumps({"id": str(UUID(int=1)), "at_us": "y"})):
        with pytest.raises(Unreadable):
            entries.decode_change(header)


async def test_the_relays_file_is_whole_private_and_stood_behind(tmp_path: Path) -> None:
    async with store(tmp_path) as (connection, ingest):
        now = [10**15]
        keys = KeyFile(connection, tmp_path, Clock(0, lambda: now[0]))
        await ingest.file([], changes=[change(1)])
        await keys.publish()
        path = tmp_path / SNAPSHOT
        assert path.stat().st_mode & 0o777 == 0o600
        assert read_snapshot(path.read_bytes()) == {KEY.hash: KEY}
        stood = path.stat().st_mtime_ns
        await keys.stand_behind()
        assert path.stat().st_mtime_ns == stood, "not with every look"
        now[0] += 16 * 10**9
        await keys.stand_behind()
        assert path.stat().st_mtime_ns > stood
        path.unlink()
        now[0] += 16 * 10**9
        await keys.stand_behind()
        assert path.exists()
