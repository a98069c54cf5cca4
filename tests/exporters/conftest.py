"""A store with a small log of everything an export meets, and the command line as a process would see it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tailrace import cli
from tailrace.errors import TailraceError, UserError
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, after, echoed, opened, said, user
from tests.exporters.pure import Log

RECIPE = """
name = "small"
[split]
train = 0.5
valid = 0.5
[write]
formats = ["openai-chat", "trl-messages"]
"""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


def small_log() -> Log:
    """Conversations, a retry, duplicates, cut and failed answers, tools, two models."""
    one = opened(1)
    two = after(one, "and?", seq=2, answer="more")
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
    calling = said("") | {"content": None, "tool_calls": [call]}
    asked = Call(3, [user("rain?")], calling, {"tools": [weather]}, finish_reason="tool_calls")
    result = {"role": "tool", "tool_call_id": "c1", "content": "wet"}
    told = Call(4, [*asked.messages, echoed(calling), result], said("It rains."), asked.params)
    retry = after(one, "and?", seq=5, answer="other words")
    log: dict[int, tuple[Call, int | None]] = {
        1: (one, None),
        2: (two, 1),
        3: (asked, None),
        4: (told, 3),
        5: (retry, 1),
        6: (opened(6, "hello", "hi"), None),
        7: (opened(7, "hello", "hi"), None),
        8: (opened(8, finish_reason="length"), None),
        9: (opened(9, status="client_closed", finish_reason=None), None),
        10: (opened(10, model="small", served_model=None, tags='{"app":"shop"}'), None),
    }
    return log | {n: (opened(n), None) for n in range(11, 21)}


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the small log; read only."""
    return file_log(tmp_path_factory.mktemp("log") / "data", small_log())


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe on disk."""
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def tailrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tailrace …` in this process, in an empty folder, with the exit codes of `cli.main`."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> Said:
        found = CliRunner().invoke(cli.app, [str(word) for word in words])
        if isinstance(found.exception, TailraceError):
            code = 2 if isinstance(found.exception, UserError) else 1
            return Said(code, found.stdout, f"{found.stderr}{found.exception}")
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Said(found.exit_code, found.stdout, found.stderr)

    return run
