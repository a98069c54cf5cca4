"""What is in place of a store: each command that reads says where, what it is and what to do, and makes nothing."""

import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tailrace.store import migrations
from tests.commands.filed import N, id_of
from tests.ordinary import closed_folder, ordinary_user
from tests.typed import Run

NEWEST: Final = migrations.STEPS[-1].number
COMMANDS: Final = {
    "logs": ("logs",),
    "logs --follow": ("logs", "--follow"),
    "logs show": ("logs", "show", id_of(N.HELLO)),
    "logs chain": ("logs", "chain", id_of(N.HELLO)),
    "db stats": ("db", "stats"),
    "replay": ("replay", "--model", "sim/echo", "--dry-run"),
    "export": ("export", "recipe.toml", "--out", "out"),
    "export preview": ("export", "preview", "recipe.toml"),
}

Make = Callable[[Path], object]


def query(path: Path, statement: str, *, anew: bool = False) -> None:
    if anew:
        path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def damaged(path: Path) -> None:
    """A store whose first table is gone to zeros."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\0" * 8 * 4096)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.endswith(("-shm", "-wal"))  # SQLite's own, made to read
    }


@pytest.fixture
def copy(filed: Path, tmp_path: Path) -> Iterator[Path]:
    """The store's file in a data folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(filed / "tailrace.db", folder)
    (tmp_path / "recipe.toml").touch()
    yield folder / "tailrace.db"
    folder.chmod(0o700)


def refused(tailrace: Run, data_dir: Path, command: str, *, code: int = 2) -> str:
    """The one line that a command says, having made nothing."""
    before = tree(Path.cwd())
    said = tailrace(*COMMANDS[command], "--data-dir", data_dir)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
    assert said.err.startswith("tailrace: ")
    assert tree(Path.cwd()) == before
    return said.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("folder", ["none", "file/none", "empty"])
def test_where_there_is_no_store(tailrace: Run, copy: Path, command: str, folder: str) -> None:
    Path("empty").mkdir()
    Path("file").touch()
    said = refused(tailrace, Path(folder), command)
    assert (
        f"{folder}/tailrace.db: no store there yet; `tailrace serve` makes it, or choose another [log] data_dir" in said
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b""), "no store there yet; `tailrace serve` makes it"),
        (
            lambda path: path.write_text("no database, only words; enough of them for a header" * 9),
            "cannot be opened as a store (file is not a database); restore a copy from its backups folder, or choose",
        ),
        (
            lambda path: query(path, "CREATE TABLE x (a)", anew=True),
            "the database of another program; choose another [log] data_dir",
        ),
        (
            lambda path: query(path, "INSERT INTO migration VALUES (99, 'future', 0)"),
            f"at migration 99, and this Tailrace knows only {NEWEST}; run the newer Tailrace, or restore the backup",
        ),
        (
            lambda path: query(path, "DELETE FROM migration WHERE number > 1"),
            f"at migration 1, and this Tailrace reads {NEWEST}; start `tailrace serve` anew, or run `tailrace db upg",
        ),
    ],
    ids=["empty", "words", "another program's", "newer", "older"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_as_a_store(tailrace: Run, copy: Path, command: str, make: Make, says: str) -> None:
    make(copy)
    said = refused(tailrace, copy.parent, command)
    assert f"{copy.parent}/tailrace.db: {says}" in said


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "replay"])
def test_a_damaged_store_is_work_that_failed(tailrace: Run, copy: Path, command: str) -> None:
    damaged(copy)
    before = tree(Path.cwd())
    said = tailrace(*COMMANDS[command], "--data-dir", copy.parent)
    assert (said.code in (1, 2), said.out.count("\n") <= 1, said.err.count("\n")) == (True, True, 1), said
    assert f"{copy}: cannot be read (" in said.err
    assert "backups" in said.err
    assert tree(Path.cwd()) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_may_not_be_looked_into(
    tailrace: Run, copy: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tailrace(*COMMANDS[command], "--data-dir", "none")  # imports
    with closed_folder(0) as folder:
        (folder.parent / "recipe.toml").touch()
        monkeypatch.chdir(folder.parent)
        with ordinary_user():
            said = tailrace(*COMMANDS[command], "--data-dir", folder)
    assert (said.code, said.out) == (2, ""), said
    says = "cannot be read (Permission denied); run this as the user that `tailrace serve` runs as"
    assert said.err == f"tailrace: {folder}/tailrace.db: {says}\n"


def test_reading_changes_nothing(tailrace: Run, copy: Path) -> None:
    copy.chmod(0o400)
    before = copy.read_bytes()
    for words in COMMANDS.values():
        if "--follow" not in words:
            assert tailrace(*words, "--data-dir", copy.parent).code == 0
    assert copy.read_bytes() == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert {path.name for path in copy.parent.iterdir()} <= {"tailrace.db", "tailrace.db-shm", "tailrace.db-wal"}
