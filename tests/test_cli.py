"""The command line: fast where it only talks, one line where something is wrong, the exit codes of DESIGN 3."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tailrace import __version__, cli
from tailrace.errors import SettingsError, UserError, WorkFailed

CANARY = "sk-canary-0123456789abcdef"
HEAVY = {"pydantic", "sqlalchemy", "litestar", "httpx", "structlog", "rich", "asyncio", "tailrace_exporters"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tailrace", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def mount(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """A command `boom` that raises `error`."""
    app = typer.Typer()

    @app.command()
    def boom() -> None:
        """Raise."""
        raise error

    module = ModuleType("boom_module")
    module.__dict__["app"] = app
    monkeypatch.setitem(sys.modules, "boom_module", module)
    monkeypatch.setitem(cli.COMMANDS, "boom", ("boom_module", "Raise."))


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_only_talks_imports_nothing_heavy(word: str) -> None:
    code = (
        f"import sys; sys.argv = ['tailrace', '{word}']\n"
        "from tailrace.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print('\\n' + ' '.join(sys.modules))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not HEAVY & set(out.splitlines()[-1].split())


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"tailrace {__version__}\n")


def test_help_names_every_command_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    for name in ("serve", "check-config", "doctor", "db", "logs", "simulate", "export"):
        assert any(line.split()[:1] == [name] and len(line.split()) > 2 for line in out.splitlines()), name


@pytest.mark.parametrize("name", [*cli.COMMANDS, "export"])
def test_every_command_has_help_of_its_own_under_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(monkeypatch, name, "--help") == 0
    assert f"Usage: tailrace {name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (UserError("x.toml:1: wrong"), 2, ["tailrace: x.toml:1: wrong"]),
        (SettingsError("one\ntwo"), 2, ["tailrace: one", "tailrace: two"]),
        (WorkFailed("the disk is full"), 1, ["tailrace: the disk is full"]),
        (WorkFailed("it said \x1b[31mred\x9b\u202e"), 1, ["tailrace: it said \\x1b[31mred\\x9b\\u202e"]),
        (KeyboardInterrupt(), 130, []),
    ],
)
def test_an_error_of_ours_is_a_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    lines: list[str],
) -> None:
    mount(monkeypatch, error)
    assert run(monkeypatch, "boom") == code
    streams = capsys.readouterr()
    assert streams.err.splitlines() == lines
    assert streams.out == ""


@pytest.mark.parametrize(
    "words",
    [("serv",), ("serve", "--prot", "1"), ("serve", "--port", "70000"), ("serve", "--workers", "none"), ("db", "x")],
)
def test_a_wrong_call_is_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *words) == 2
    assert capsys.readouterr().err.startswith("tailrace: ")


def test_another_distribution_mounts_its_command_by_entry_point(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mount(monkeypatch, UserError("from outside"))
    monkeypatch.delitem(cli.COMMANDS, "boom")
    point = EntryPoint("outside", "boom_module:app", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group, name="outside": [point] if name == "outside" else [])
    assert run(monkeypatch, "outside") == 2
    assert capsys.readouterr().err == "tailrace: from outside\n"
    assert run(monkeypatch, "--help") == 0
    assert "outside" in capsys.readouterr().out


def test_check_config_shows_what_is_in_force_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("TAILRACE_SERVER__PORT", "4799")
    assert run(monkeypatch, "check-config") == 0
    text = capsys.readouterr().out
    assert text.startswith("# ok, config ")
    assert "port = 4799" in text
    assert run(monkeypatch, "check-config", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] is True
    assert shown["settings"]["providers"]["openai"]["api_key"] == "**********"
    assert CANARY not in text + json.dumps(shown)


def test_check_config_tells_every_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.toml").write_text("[server]\nprot = 1\nport = 'x'\n")
    assert run(monkeypatch, "check-config", "--config", "t.toml") == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert all(line.startswith("tailrace: t.toml:") for line in err)


def test_check_config_prints_an_example_that_is_good(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "check-config", "--example") == 0
    Path("tailrace.toml").write_text(capsys.readouterr().out)
    assert run(monkeypatch, "check-config") == 0


def test_serve_turns_its_options_into_settings() -> None:
    Path("file").write_text("")
    command = [sys.executable, "-m", "tailrace", "serve", "--port", "0", "--data-dir", "file/data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("tailrace: data folder file/data: cannot be written")
    assert done.stderr.count("\n") == 1


def test_db_upgrade_stats_and_backup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "db", "stats", "--data-dir", "d") == 2
    assert "no store there yet" in capsys.readouterr().err
    assert run(monkeypatch, "db", "upgrade", "--data-dir", "d") == 0
    assert "applied migration 1" in capsys.readouterr().out
    assert run(monkeypatch, "db", "upgrade", "--data-dir", "d") == 0
    assert "applied" not in capsys.readouterr().out
    assert run(monkeypatch, "db", "stats", "--data-dir", "d", "--json") == 0
    assert json.loads(capsys.readouterr().out)["completions"] == 0
    assert run(monkeypatch, "db", "stats", "--data-dir", "d") == 0
    assert "completions    0" in capsys.readouterr().out
    assert run(monkeypatch, "db", "backup", "copy.db", "--data-dir", "d") == 0
    assert Path("copy.db").stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    assert run(monkeypatch, "db", "backup", "copy.db", "--data-dir", "d") == 2
    assert "exists already" in capsys.readouterr().err


def test_simulate_lists_its_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "simulate", "--list") == 0
    assert "sim/echo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lgos",), "no such command: 'lgos'; did you mean 'logs'?"),
        (("zzz",), "no such command: 'zzz'; there are serve, check-config,"),
        (("logs", "--jsn"), "no such option: --jsn; did you mean --json? see `tailrace logs list --help`"),
        (("serve", "--port", "x"), "invalid value for '--port': "),
        (("logs", "show"), "missing argument 'ID'; see `tailrace logs show --help`"),
        (("db", "upgrad"), "no such command 'upgrad'. Did you mean 'upgrade'? see `tailrace db --help`"),
    ],
)
def test_a_wrong_call_is_told_in_one_line_with_the_remedy(
    words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"tailrace: {told}")
    assert said.err.count("\n") == 1
