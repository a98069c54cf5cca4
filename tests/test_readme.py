"""The README is walked from top to bottom, as a newcomer would: every block of it is run, against one proxy."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from tailrace import datadir
from tests.running import PATIENCE_S, until

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()
BLOCKS: Final = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@contextmanager
def made_to_run(folder: Path, environ: dict[str, str]) -> Iterator[str]:
    """`make run` in a terminal of its own, until Ctrl-C; gives the address that its first line names."""
    # What `setup` makes is what these tests run in; whether it can be made is `tests/deploy`'s.
    command = ["make", "-o", "setup", f"VENV={sys.prefix}", "run"]
    with (folder / "terminal").open("wb") as log, subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
    ) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            ready = re.fullmatch(r"Tailrace is ready on (http://\S+) \(data in \S+\)\n", child.stdout.readline())
            assert ready is not None, (folder / "terminal").read_text()
            yield ready[1]
        finally:
            os.killpg(child.pid, signal.SIGINT)
            child.wait(PATIENCE_S)


@dataclass
class Newcomer:
    """Somebody at a second terminal, in `folder`."""

    folder: Path
    environ: dict[str, str]
    url: str = ""
    said: list[str] = field(default_factory=list)

    def shell(self, text: str) -> str:
        """What a block of commands prints; each must succeed."""
        text = text.replace("localhost:4700", self.url.removeprefix("http://"))
        if re.search(r"\bID\b", text):
            text = re.sub(r"\bID\b", self.rows()[-1]["id"], text)
        done = subprocess.run(
            ["bash", "-euc", text], cwd=self.folder, env=self.environ, capture_output=True, text=True,
            timeout=PATIENCE_S * 2, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def rows(self) -> list[dict[str, str]]:
        """The log, as soon as both calls of the README are in it."""
        listed = "exec .venv/bin/tailrace logs \"model LIKE 'sim/%'\" --json"
        return until(lambda: rows if len(rows := self._rows(listed)) >= 2 else None, "the calls in the log")

    def _rows(self, command: str) -> list[dict[str, str]]:
        return [orjson.loads(line) for line in self.shell(command).splitlines()]

    def python(self, text: str) -> str:
        """What a block of Python prints."""
        text = text.replace("http://localhost:4700", self.url)
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=self.folder, env=self.environ, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_every_block_does_what_it_says(tmp_path: Path) -> None:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAILRACE_", "OPENAI_", "MAKE"))
    }
    data = tmp_path / "data"
    environ |= {"TAILRACE_SERVER__PORT": "0", "TAILRACE_LOG__DATA_DIR": str(data)}
    (tmp_path / ".venv").symlink_to(sys.prefix)
    blocks = iter(BLOCKS)
    kind, text = next(blocks)
    assert (kind, text.split()[:2]) == ("", ["make", "run"])
    newcomer = Newcomer(tmp_path, environ)
    with made_to_run(tmp_path, environ) as newcomer.url:
        call = next(blocks)[1]
        assert orjson.loads(newcomer.shell(call))["choices"][0]["message"]["content"] == "Hello"
        assert newcomer.python(next(blocks)[1]) == "Hello\n"
        ids = [row["id"] for row in newcomer.rows()]
        table, rest = newcomer.shell(next(blocks)[1]).split("{", 1)
        assert [line.split()[-1] for line in table.splitlines()] == ["answer", "Hello", "Hello"]
        assert all(id_ in rest for id_ in ids)
        assert "calls of providers" in rest
        assert f"chain {ids[-1]}  1 completions, 1 steps" in rest
        kind, recipe = next(blocks)
        assert kind == "toml"
        assert recipe.startswith("# recipe.toml\n")
        (tmp_path / "recipe.toml").write_text(recipe)
        assert "dataset: verified: 1 rows, made again byte for byte" in newcomer.shell(next(blocks)[1])
        kind, classifier = next(blocks)
        assert (kind, classifier.split("\n")[0]) == ("toml", "[classifiers.reply_intent]")
        (tmp_path / "labels.toml").write_text(classifier)
        assert newcomer.shell(".venv/bin/tailrace check-config --config labels.toml").startswith("# ok")
        client, admin, *listed = newcomer.shell(next(blocks)[1]).splitlines()
        assert (client[:3], admin[:9]) == ("tr-", "tr-admin-")
        assert [line.split()[1:3] for line in listed] == [["client", "shop"], ["admin", "boss"]]
    assert next(blocks, None) is None, "a block that is not run here"
    assert datadir.holder(data) is None, "Ctrl-C ends all of it"


def test_the_make_targets_it_shows_are_there() -> None:
    shown = re.findall(r"^make ([a-z-]+)", BLOCKS[0][1], re.MULTILINE)
    assert shown == ["run", "demo", "test", "test-clients"]
    dry = subprocess.run(["make", "-n", *shown], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert dry.returncode == 0, dry.stderr
