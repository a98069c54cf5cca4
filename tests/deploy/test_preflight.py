"""`make setup` on systems that lack something: one line that names the package, and nothing half-made that stays."""

import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PREFLIGHT: Final = ROOT / "deploy" / "preflight.py"
PACKAGE: Final = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"

WITHOUT: Final = """#!/bin/sh
# A python whose module {module} is not there, as on a Debian without python3-venv.
case "$1" in
  -c) exec {python} "$@" ;;
  -m) mkdir -p "$3/bin" && ln -sf {python} "$3/bin/python"; echo "ensurepip is not available" >&2; exit 1 ;;
esac
exec {python} -c "
import importlib.util, runpy, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == '{module}' else found(name, *more)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
" "$@"
"""


@pytest.fixture
def missing() -> Callable[[], str]:
    found: Callable[[], str] = runpy.run_path(str(PREFLIGHT))["missing"]
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a clone as `make setup` looks at before it installs anything."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "deploy").mkdir()
    shutil.copy(PREFLIGHT, tmp_path / "deploy")
    return tmp_path


def make(folder: Path, *words: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | {"PATH": path}
    return subprocess.run(
        ["make", *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def pretender(folder: Path, module: str) -> Path:
    """A python without `module`."""
    path = folder / "python"
    path.write_text(WITHOUT.format(module=module, python=sys.executable))
    path.chmod(0o755)
    return path


def test_nothing_is_missing_here(missing: Callable[[], str]) -> None:
    assert missing() == ""


def test_an_old_python_is_told_what_to_install(missing: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert missing().startswith("Tailrace needs Python 3.11 or newer; this is 3.9.2. Install one")
    assert "apt install python3.11 python3.11-venv" in missing()


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_missing_module_is_told_with_its_package(
    missing: Callable[[], str], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    assert f"Python's module {module} is missing here." in missing()
    assert f"apt install {PACKAGE}, or python3-venv" in missing()


def test_the_empty_folder_of_a_removed_package_is_no_module(
    missing: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ensurepip").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "ensurepip", raising=False)
    assert "module venv and ensurepip is missing" in missing() or "module ensurepip is missing" in missing()


def test_make_ends_with_that_line_and_makes_nothing(checkout: Path) -> None:
    done = make(checkout, "setup", f"PYTHON={pretender(checkout, 'ensurepip')}")
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    what = "Python's module ensurepip is missing here."
    assert told == [f"{what} Install it (Debian and Ubuntu: apt install {PACKAGE}, or python3-venv) and run make again"]
    assert not (checkout / ".venv").exists()


def test_a_venv_that_was_not_finished_is_not_taken_for_one(checkout: Path) -> None:
    done = make(checkout, "setup", f"PYTHON={pretender(checkout, 'none')}")
    assert done.returncode == 2
    assert "ensurepip is not available" in done.stderr
    assert not (checkout / ".venv" / "bin" / "python").is_symlink(), "the next run would take it for a whole one"


def test_no_python_at_all_is_told(checkout: Path) -> None:
    done = make(checkout, "setup", "PYTHON=python-that-is-not-there")
    assert done.returncode == 2
    assert "Tailrace needs Python 3.11 or newer (Debian and Ubuntu: apt install python3 python3-venv)" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_newer_python_beside_an_old_one_is_found(checkout: Path) -> None:
    folder = checkout / "bin"
    folder.mkdir()
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        body = f'exec {sys.executable} "$@"' if name == "python3.11" else "exit 1"
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    done = make(checkout, "-n", "setup", path=f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert "python3.11 deploy/preflight.py" in done.stdout
