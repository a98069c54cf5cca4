"""`tailrace db`: brings the store up to this version, counts it, copies it; whole or not at all."""

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson
import pytest

from tailrace.store import migrations
from tailrace.store.engine import writing_lock
from tests.commands.filed import N
from tests.commands.screen import on_a_terminal, plain
from tests.ordinary import closed_folder, give_away, ordinary_user
from tests.typed import Run

NEWEST: Final = migrations.STEPS[-1].number


def completions(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM completion").fetchone()[0])


def test_upgrade_makes_a_store_and_says_what_it_did(tailrace: Run) -> None:
    said = tailrace("db", "upgrade", "--data-dir", "d")
    steps = [f"applied migration {step.number} ({step.name})" for step in migrations.STEPS]
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [*steps, f"d/tailrace.db is at migration {NEWEST}"]
    assert stat.S_IMODE(Path("d").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path("d/tailrace.db").stat().st_mode) == 0o600
    assert tailrace("db", "upgrade", "--data-dir", "d").out == f"d/tailrace.db is at migration {NEWEST}\n"


def test_an_older_store_is_copied_before_it_is_upgraded(tailrace: Run) -> None:
    tailrace("db", "upgrade", "--data-dir", "d")
    with closing(sqlite3.connect("d/tailrace.db")) as store, store:
        for statement in ("DROP TABLE feedback", "DELETE FROM migration WHERE number > 1"):
            store.execute(statement)
    said = tailrace("db", "upgrade", "--data-dir", "d")
    assert said.code == 1, "the columns of migration 2 are there already"
    assert said.err.startswith("tailrace: migration 2 (clients) failed: ")
    (kept,) = Path("d/backups").iterdir()
    assert said.err.endswith(f"; a copy from before is {kept}\n")
    assert completions(kept) == 0


def test_upgrade_leaves_a_store_alone_that_another_process_writes(tailrace: Run) -> None:
    tailrace("db", "upgrade", "--data-dir", "d")
    with writing_lock(Path("d")):
        said = tailrace("db", "upgrade", "--data-dir", "d")
    assert (said.code, said.out) == (2, "")
    assert said.err == "tailrace: d: another process writes this store; stop it, or choose another [log] data_dir\n"


def test_upgrade_where_an_ordinary_user_may_not_write(tailrace: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tailrace("db", "upgrade", "--data-dir", "d")  # imports
    with closed_folder(0o555) as folder:
        monkeypatch.chdir(folder.parent)
        with ordinary_user():
            said = tailrace("db", "upgrade", "--data-dir", folder)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"tailrace: {folder}: cannot be written (Permission denied); choose another [log] data_dir\n"
        assert not any(folder.iterdir())


def test_stats_count_what_is_there(tailrace: Run, filed: Path) -> None:
    counted = orjson.loads(tailrace("db", "stats", "--json", "--data-dir", filed).out)
    assert (counted["schema"], counted["completions"], counted["attempts"]) == (NEWEST, len(N), len(N))
    assert counted["by_status"] == {"ok": 13, "provider_error": 3, "interrupted": 1, "provider_truncated": 1}
    assert (counted["feedback"], counted["dead_letters"], counted["gaps"], counted["gap_calls"]) == (1, 1, 1, 3)
    assert counted["chains"] == len(N) - 4
    assert (counted["labels"], counted["actions"], counted["classifiers"]) == (4, 2, 2)
    assert counted["label_sources"] == {"student": 2, "human": 1, "llm": 1}
    assert counted["file_bytes"] == (filed / "tailrace.db").stat().st_size
    lines = dict(line.split(maxsplit=1) for line in tailrace("db", "stats", "--data-dir", filed).out.splitlines())
    assert lines["by_status"] == "ok 13, provider_error 3, interrupted 1, provider_truncated 1"
    assert lines["first_us"] == "2026-09-21T14:13:20.001000Z"
    assert set(lines) == set(counted)


def test_stats_of_nothing(tailrace: Run) -> None:
    tailrace("db", "upgrade", "--data-dir", "d")
    lines = tailrace("db", "stats", "--data-dir", "d").out.splitlines()
    assert "completions    0" in lines
    assert "first_us" in lines, "what is unknown is empty, without space behind it"


def test_a_models_name_cannot_steer_a_terminal(filed: Path) -> None:
    code, got = on_a_terminal("db", "stats", "--data-dir", filed)
    assert code == 0
    assert "evil\\x1b[5m6 1" in plain(got)
    assert b"\x1b" not in got


def test_a_backup_is_a_store_of_its_own(tailrace: Run, filed: Path) -> None:
    said = tailrace("db", "backup", "copies/new/copy.db", "--data-dir", filed)
    copy = Path("copies/new/copy.db")
    assert (said.code, said.out) == (0, f"{copy} ({copy.stat().st_size} bytes)\n")
    assert completions(copy) == len(N)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"], "one file, nothing beside it"


def test_a_backup_without_a_name_is_among_the_others(tailrace: Run, filed: Path) -> None:
    Path("d").mkdir()
    shutil.copy(filed / "tailrace.db", "d")
    said = tailrace("db", "backup", "--data-dir", "d")
    (copy,) = Path("d/backups").iterdir()
    assert said.out.startswith(f"{copy} (")
    assert completions(copy) == len(N)


def test_a_backup_of_another_version_is_a_backup(tailrace: Run, filed: Path) -> None:
    Path("d").mkdir()
    shutil.copy(filed / "tailrace.db", "d")
    with closing(sqlite3.connect("d/tailrace.db")) as store, store:
        store.execute("INSERT INTO migration VALUES (99, 'future', 0)")
    assert tailrace("db", "backup", "copy.db", "--data-dir", "d").code == 0
    assert completions(Path("copy.db")) == len(N)


def test_no_backup_is_left_half_made(tailrace: Run, filed: Path) -> None:
    def refused(target: str | Path, data_dir: Path = filed, code: int = 2) -> str:
        before = sorted(Path.cwd().rglob("*"))
        said = tailrace("db", "backup", target, "--data-dir", data_dir)
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
        assert sorted(Path.cwd().rglob("*")) == before
        return said.err

    for name in ("words", "other", "empty"):
        Path(name).mkdir()
    Path("there.db").touch()
    Path("link.db").symlink_to("nowhere")
    Path("words/tailrace.db").write_text("no database, only words; enough of them for a header" * 9)
    Path("empty/tailrace.db").touch()
    with closing(sqlite3.connect("other/tailrace.db")) as other:
        other.execute("CREATE TABLE x (a)")
    assert refused("there.db") == "tailrace: there.db: exists already; name a new file\n"
    assert refused("link.db") == "tailrace: link.db: exists already; name a new file\n"
    assert "exists already" in refused("words")
    assert "there.db/x: cannot be made (File exists); name a file where this user" in refused("there.db/x")
    assert "cannot be opened as a store (file is not a database)" in refused("copy.db", Path("words"))
    assert "the database of another program" in refused("copy.db", Path("other"))
    assert "no store there yet" in refused("copy.db", Path("empty"))
    assert "no store there yet" in refused("copy.db", Path("none"))


def test_a_backup_where_an_ordinary_user_may_not_write(
    tailrace: Run, filed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tailrace("db", "backup", "copy.db", "--data-dir", filed)  # imports
    with closed_folder(0o555) as folder:
        data = folder.parent / "data"
        data.mkdir()
        shutil.copy(filed / "tailrace.db", data)
        give_away(data)
        monkeypatch.chdir(folder.parent)
        with ordinary_user():
            said = tailrace("db", "backup", folder / "copy.db", "--data-dir", data)
        assert (said.code, said.out) == (2, ""), said
        assert (
            f"{folder}/copy.db: cannot be made (Permission denied); name a file where this user can write" in said.err
        )
        assert not any(folder.iterdir())
