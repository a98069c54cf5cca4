"""What the doctor says of the log: a store well, empty, ill or of another version, and a journal that grows."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tailrace.commands import doctor_checks
from tailrace.commands.doctor_checks import Finding, Verdict
from tailrace.commands.doctor_store import log
from tailrace.settings import Log, Settings
from tailrace.store import migrations
from tests.typed import Run

NEWEST = migrations.STEPS[-1].number


def found(folder: Path, **settings: int) -> dict[str, Finding]:
    return {finding.subject: finding for finding in log(Settings(log=Log(data_dir=folder, **settings)))}


@pytest.fixture
def copy(filed: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    shutil.copy(filed / "tailrace.db", folder)
    return folder


def query(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "tailrace.db")) as store, store:
        store.execute(statement)


def test_a_folder_before_its_first_start_is_no_fault(tmp_path: Path) -> None:
    findings = found(tmp_path)
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}
    assert findings["store"].advice == "does not exist yet; the first start makes it"


def test_a_store_says_its_version_and_what_is_newest(copy: Path) -> None:
    assert found(copy)["store"] == Finding(
        "store", Verdict.OK, f"migration {NEWEST}, newest completion 2026-09-21T14:13:20.018000Z"
    )


def test_what_was_set_aside_and_what_was_never_kept_is_a_warning(copy: Path) -> None:
    findings = found(copy)
    assert (findings["dead letters"].verdict, findings["gaps"].verdict) == (Verdict.WARN, Verdict.WARN)
    assert findings["dead letters"].value == "1 records could not be filed"
    assert findings["gaps"].value == "3 calls were served and not logged"
    query(copy, "DELETE FROM dead_letter")
    query(copy, "DELETE FROM gap")
    assert set(found(copy)) == {"store", "journal"}


def test_an_older_store_is_upgraded_by_the_next_start(copy: Path) -> None:
    query(copy, "DELETE FROM migration WHERE number > 1")
    finding = found(copy)["store"]
    assert (finding.verdict, finding.advice) == (Verdict.OK, f"the next start brings it to {NEWEST}, after a copy")


def test_a_store_that_a_start_would_refuse_is_a_fault(copy: Path) -> None:
    query(copy, "INSERT INTO migration VALUES (99, 'future', 0)")
    finding = found(copy)["store"]
    assert finding.verdict is Verdict.FAIL
    assert "run the newer Tailrace" in finding.value
    (copy / "tailrace.db").write_text("no database, only words; enough of them for a header" * 9)
    finding = found(copy)["store"]
    assert finding.verdict is Verdict.FAIL
    assert "restore a copy" in finding.value


def test_a_journal_that_is_half_full_is_a_warning(copy: Path) -> None:
    (copy / "journal").mkdir()
    for name in ("a.seg", "b.seg"):
        (copy / "journal" / name).write_bytes(b"\0" * 2**20)
    (copy / "journal" / "other").write_bytes(b"\0" * 2**22)
    assert found(copy, journal_max_bytes=4 * 2**20)["journal"] == Finding(
        "journal", Verdict.OK, "2 MiB of at most 4 MiB"
    )
    finding = found(copy, journal_max_bytes=3 * 2**20)["journal"]
    assert (finding.verdict, finding.value) == (Verdict.WARN, "2 MiB of at most 3 MiB")
    assert "the writer is behind, or down" in finding.advice


def test_a_folder_that_may_not_be_looked_into_is_one_fault_and_nothing_is_claimed_of_its_contents(
    tailrace: Run, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != copy)
    monkeypatch.setenv("TAILRACE_LOG__DATA_DIR", str(copy))
    monkeypatch.setenv("TAILRACE_SERVER__PORT", "0")
    said = tailrace("doctor")
    lines = {line[6:24].strip(): line[:4].strip() for line in said.out.splitlines()}
    assert said.code == 1
    assert [subject for subject, verdict in lines.items() if verdict == "fail"] == ["data folder"]
    assert not {"permissions", "held by", "disk sync", "store", "journal"} & lines.keys()
    assert "disk space" in lines


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path)
    settings = Settings(log=Log(data_dir=tmp_path / "a" / "b"))
    finding = next(doctor_checks.data_folder(settings))
    assert finding.verdict is Verdict.FAIL
    assert finding.value == f"{tmp_path}/a/b cannot be used, because {tmp_path} cannot be written"


def test_all_of_it_stands_in_the_report(tailrace: Run, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_LOG__DATA_DIR", str(copy))
    monkeypatch.setenv("TAILRACE_SERVER__PORT", "0")
    said = tailrace("doctor")
    assert said.code == 0, "warnings are no failure"
    for line in ("ok    store  ", "warn  dead letters  ", "warn  gaps  ", "ok    journal  ", "ok    tls  "):
        assert any(told.startswith(line) for told in said.out.splitlines()), line
