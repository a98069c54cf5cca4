"""`tailrace check-config`: what is in force can be read, kept and used again; a secret cannot be read at all."""

import tomllib
from pathlib import Path

import orjson
import pytest

from tailrace.settings import Settings
from tests.commands.screen import on_a_terminal, plain
from tests.typed import Run

CANARY = "sk-canary-0123456789abcdef"
CONFIG = """
default_provider = "up"
[server]
port = 4711
[providers.up]
base_url = "https://up.example/v1"
api_key = "env:UP_KEY"
headers = {x-team = "env:UP_KEY"}
[models."support-bot"]
targets = [{provider = "up", model = "big"}]
"""


def test_what_it_prints_is_a_file_that_means_the_same(tailrace: Run) -> None:
    Path("tailrace.toml").write_text(CONFIG.replace('"env:UP_KEY"', '"client"', 1).replace("env:UP_KEY", "blue"))
    said = tailrace("check-config")
    assert (said.code, said.err) == (0, "")
    head, _, rest = said.out.partition("\n")
    assert tomllib.loads(rest)["server"]["port"] == 4711
    Path("again.toml").write_text(said.out.replace('"**********"', '"blue"'))
    again = tailrace("check-config", "--config", "again.toml")
    assert again.out.partition("\n")[0] == head, "the hash of the settings"
    assert again.out == said.out


def test_no_secret_is_shown_wherever_it_stands(tailrace: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tailrace.toml").write_text(CONFIG)
    monkeypatch.setenv("UP_KEY", CANARY)
    for words in ((), ("--json",)):
        said = tailrace("check-config", *words)
        assert said.code == 0, said
        assert CANARY not in said.out + said.err
        assert "**********" in said.out
    doctor = tailrace("doctor", "--json")
    assert CANARY not in doctor.out + doctor.err


def test_a_missing_secret_is_one_line_with_the_place_and_the_remedy(
    tailrace: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tailrace.toml").write_text(CONFIG.replace("headers", "# headers"))
    monkeypatch.delenv("UP_KEY", raising=False)
    for command in (("check-config",), ("serve", "--port", "0"), ("logs",)):
        said = tailrace(*command)
        assert (said.code, said.out) == (2, "")
        assert said.err == (
            "tailrace: tailrace.toml:7: providers.up.api_key: the variable UP_KEY is not set; export it; "
            "or write 'client' to pass the caller's own key on\n"
        )
    assert not Path("data").exists()


def test_json_is_the_same_for_machines(tailrace: Run) -> None:
    shown = orjson.loads(tailrace("check-config", "--json").out)
    assert shown["ok"] is True
    assert f"# ok, config {shown['config']}" in tailrace("check-config").out
    assert set(shown["settings"]) == set(Settings.model_fields)


def test_a_name_in_the_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        '[server]\n"\\u001b[31mred" = 1\n[models."\\u009b31m"]\ntargets = [{provider = "up", model = "m"}]\n'
    )
    code, got = on_a_terminal("check-config", "--config", path)
    assert code == 2
    assert "\\x1b" in plain(got).lower() or "\\u001b" in plain(got)
    path.write_text(
        '[models."\\u009b31m\\u001b[31mred"]\ntargets = [{provider = "openai", model = "\\u001b[31mred"}]\n'
    )
    code, got = on_a_terminal("check-config", "--config", path)
    assert code == 0, got
    assert plain(got)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server\n", "bad.toml:1:8: this is no TOML: expected ']' at the end of a table declaration; quote text, and"),
        ("[server]\nport = 4700x\n", "bad.toml:2:12: this is no TOML: "),
        ("[srver]\n", 'bad.toml:1: srver: unknown key; did you mean "server"?'),
        ("[server]\nport = 0.5\n", "bad.toml:2: server.port: expected a whole number, found 0.5"),
    ],
)
@pytest.mark.parametrize(
    "command", ["check-config", "serve", "doctor", "logs", "db stats", "db upgrade", "replay --model x"]
)
def test_every_command_that_reads_settings_says_what_is_wrong_with_them(
    tailrace: Run, command: str, text: str, says: str
) -> None:
    Path("bad.toml").write_text(text)
    said = tailrace(*command.split(), "--config", "bad.toml")
    told = said.out if command == "doctor" else said.err
    assert says in told
    assert said.code == (1 if command == "doctor" else 2), "the doctor found something"
    assert command == "doctor" or (said.out, said.err.count("\n")) == ("", 1)
    assert [path.name for path in Path.cwd().iterdir()] == ["bad.toml"]
