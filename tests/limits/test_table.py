"""The file of all slots: one for each key, the same in every process, and a lock that nobody's death keeps."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tailrace.keys import Key, KeyKind
from tailrace.limits import table as tables
from tailrace.limits.slot import Reserved, enter, running
from tailrace.limits.table import FILE, LimitTable, TableBusy

KEY = Key(id="key_a", hash=bytes(32), kind=KeyKind.CLIENT, name="n", created_us=1)
HOLDING = """
import sys, pathlib
from tailrace.limits.table import LimitTable
with LimitTable(pathlib.Path(sys.argv[1])) as table, table.slot("key_a"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_slot_is_its_keys_in_every_process_and_after_a_restart(tmp_path: Path) -> None:
    with LimitTable(tmp_path) as one, LimitTable(tmp_path) as other:
        with one.slot("key_a") as slot:
            enter(slot, KEY, 10**15, Reserved(), 3)
        with other.slot("key_b") as slot:
            assert running(slot) == 0
        with other.slot("key_a") as slot:
            assert running(slot) == 1
    with LimitTable(tmp_path) as again:
        again.forget_worker(3)
        with again.slot("key_a") as slot:
            assert running(slot) == 0
            enter(slot, KEY, 10**15, Reserved(), 5)
        again.begin_anew()
        with again.slot("key_a") as slot:
            assert running(slot) == 0
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_names_that_fall_together_get_places_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SLOTS", 4)
    with LimitTable(tmp_path) as table:
        for n in range(4):
            with table.slot(f"key_{n}") as slot:
                for _ in range(n):
                    enter(slot, replace(KEY, id=f"key_{n}"), 10**15, Reserved(), 0)
        for n in range(4):
            with table.slot(f"key_{n}") as slot:
                assert running(slot) == n
        with pytest.raises(TableBusy, match="all 4 places for keys with limits are taken"), table.slot("key_4"):
            pass


def test_a_file_of_another_size_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 100)
    with LimitTable(tmp_path) as table, table.slot("key_a") as slot:
        assert running(slot) == 0


def test_whoever_hangs_is_not_waited_for_and_whoever_dies_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        with LimitTable(tmp_path) as table:
            with pytest.raises(TableBusy, match="held by a process that hangs"), table.slot("key_a"):
                pass
            with table.slot("key_b"):
                pass
            holder.kill()
            holder.wait()
            with table.slot("key_a") as slot:
                assert running(slot) == 0
