"""A store with a small log of everything an export meets."""

from pathlib import Path

import pytest

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
