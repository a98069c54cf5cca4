"""An export that is broken off, by hand, by kill -9 or by a full disk: no half of it is left; it can be repeated."""

import resource
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tailrace_exporters.files import FolderFiles
from tests.exporters.test_export_cli import ENTRIES, contents
from tests.typed import Run

AT_THE_SECOND_ROW = """
import sys
from tailrace import cli
from tailrace_exporters.files import FolderFiles

real = FolderFiles.write

def write(self, path, data):
    line = real(self, path, data)
    if (path, line) == ("lineage.jsonl", 2):
        print("ready", flush=True)
        sys.stdin.readline()
    return line

FolderFiles.write = write
cli.main()
"""


def broken_off(words: list[str], number: signal.Signals) -> tuple[int, str]:
    """The command, with the signal in the middle of its rows: its exit code, and what it said of it."""
    with subprocess.Popen(
        [sys.executable, "-c", AT_THE_SECOND_ROW, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        _, told = child.communicate("\n", timeout=60)
        return child.returncode, told


@pytest.fixture
def words(recipe: Path, data_dir: Path, tmp_path: Path) -> list[str]:
    return ["export", str(recipe), "--out", str(tmp_path / "out"), "--data-dir", str(data_dir)]


def repeated(tailrace: Run, words: list[str], tmp_path: Path) -> None:
    """The same command now does all of it, as if nothing had been."""
    assert not (tmp_path / "out").exists()
    assert tailrace(*words).code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == ENTRIES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recipe.toml"]
    assert tailrace("export", "verify", tmp_path / "out", *words[-2:]).code == 0


def test_ctrl_c_leaves_nothing(tailrace: Run, words: list[str], tmp_path: Path) -> None:
    code, told = broken_off(words, signal.SIGINT)
    assert (code, told) == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
    repeated(tailrace, words, tmp_path)


def test_kill_9_leaves_nothing_under_the_name(tailrace: Run, words: list[str], tmp_path: Path) -> None:
    code, _ = broken_off(words, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.tailrace-partial", "recipe.toml"]
    repeated(tailrace, words, tmp_path)


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(
    tailrace: Run, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, limits = FolderFiles.__init__, resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(files: FolderFiles, folder: Path, stack: ExitStack) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # from here on: SQLite's own files are larger
        real(files, folder, stack)

    with monkeypatch.context() as patch:
        patch.setattr(FolderFiles, "__init__", limited)
        try:
            said = tailrace(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1), said
    assert "out: cannot be written (File too large); free space or choose another --out" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]
    repeated(tailrace, words, tmp_path)


def test_a_folder_that_is_there_is_not_touched(tailrace: Run, words: list[str], tmp_path: Path) -> None:
    assert tailrace(*words).code == 0
    before = contents(tmp_path / "out")
    said = tailrace(*words)
    assert (said.code, said.err.count("\n"), "exists already" in said.err) == (2, 1, True)
    assert contents(tmp_path / "out") == before
