"""`tailrace simulate`: a provider on a port of its own, until it is asked to end; its list; and wrong calls."""

import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import orjson
import pytest

from tailrace.simulate.scenarios import scenario_list
from tailrace.simulate.simulator import WIRES
from tests.commands.screen import GUARD_S
from tests.typed import Run

DIALOGUE = (
    '{"id": "d1", "turns": [{"role": "user", "text": "Knock"}, {"role": "assistant", "text": "Who is there?"}]}\n'
)


def test_labels_come_from_all_gold_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tailrace", "simulate", "--port", "0"]
    for text, label in (("yes", "confirm"), ("no", "reject")):
        (tmp_path / f"{text}.jsonl").write_text(f'{{"text": "{text}", "label": "{label}"}}\n')
        command += ["--gold", str(tmp_path / f"{text}.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            url = f"{child.stdout.readline().split()[-1]}/chat/completions"
            bodies = [{"model": "sim/label", "messages": [{"role": "user", "content": text}]} for text in ("yes", "no")]
            answers = [orjson.loads(httpx.post(url, json=body, timeout=GUARD_S).content) for body in bodies]
            assert [answer["choices"][0]["message"]["content"] for answer in answers] == ["confirm", "reject"]
        finally:
            child.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_replays_a_dialogue_and_ends_well(tmp_path: Path, ending: signal.Signals) -> None:
    dialogues = tmp_path / "dialogues.jsonl"
    dialogues.write_text(DIALOGUE)
    command = [sys.executable, "-m", "tailrace", "simulate", "--port", "0", "--dialogues", str(dialogues)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            said = child.stdout.readline()
            assert said.startswith("The simulated provider is ready on http://127.0.0.1:")
            body = {"model": "sim/replay", "messages": [{"role": "user", "content": "Knock"}]}
            url = f"{said.split()[-1]}/chat/completions"
            answer = orjson.loads(httpx.post(url, json=body, timeout=GUARD_S).content)
            assert answer["choices"][0]["message"]["content"] == "Who is there?"
            child.send_signal(ending)
            assert child.wait(GUARD_S) == 0
            assert (child.stdout.read(), child.stderr.read()) == ("", "")
        finally:
            child.kill()


def test_the_list_has_a_line_for_every_model_and_for_every_path(tailrace: Run) -> None:
    models, paths = (part.splitlines() for part in tailrace("simulate", "--list").out.split("\n\n"))
    assert [line.split()[0] for line in models] == [name for name, _ in scenario_list()]
    assert {wire.MANNER.path for wire in WIRES.values()} <= {line[24:].strip() for line in paths}
    assert all(len(line.split()) > 1 for line in [*models, *paths])


def test_wrong_calls_say_what_is_wrong(tailrace: Run) -> None:
    def refused(*words: str) -> str:
        said = tailrace("simulate", *words)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        return said.err.removeprefix("tailrace: ").rstrip("\n")

    Path("bad.jsonl").write_text(DIALOGUE + "{no\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        said = refused("--port", port)
    assert said == f"127.0.0.1:{port}: cannot listen (Address already in use); choose another --host or --port"
    assert "203.0.113.1:0: cannot listen (Cannot assign requested address)" in refused(
        "--host", "203.0.113.1", "--port", "0"
    )
    assert "none.jsonl: No such file or directory; expected a JSONL file" in refused("--dialogues", "none.jsonl")
    assert "none.jsonl: No such file or directory; expected a JSONL file" in refused("--gold", "none.jsonl")
    assert refused("--dialogues", "bad.jsonl", "--port", "0").startswith("bad.jsonl:2: expected ")
