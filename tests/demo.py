"""`make demo`: real dialogues through the proxy to the simulated provider, then what the log made of them.

Sixty dialogues of STAR are played by the official client, eight conversations at a time, half of them streamed, without
a session header and without anyone's key. Every line of the table that is printed is checked; one that does not hold
makes the exit code 1.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import openai
from rich.console import Console
from rich.table import Table

from tailrace.simulate.dialogues import Dialogue, packaged

AT_ONCE: Final = 8
MODEL: Final = "sim/replay"
READY_S: Final = 20
FILED_S: Final = 20
STORED_SHARE: Final = 1.0
"""The store must not be larger than the calls' JSON: each step of a chain repeats all that was said before."""

RECIPE: Final = """name = "demo"
seed = 7
[select]
where = "status = ok"
[assemble]
unit = "chain"
train = "all"
[split]
train = 0.8
valid = 0.1
test = 0.1
[write]
formats = ["openai-chat", "trl-messages"]
"""


@dataclass(slots=True)
class Played:
    """One dialogue as it went: each completion's id with what was said before its turn, and the bytes of its calls."""

    dialogue: Dialogue
    ids: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    raw_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    found: str
    holds: bool


@contextmanager
def proxy(data_dir: Path) -> Iterator[str]:
    """A running `tailrace serve` on a free port, with no key in its environment; gives its base URL."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    command = [sys.executable, "-m", "tailrace", "serve", "--port", "0", "--data-dir", str(data_dir)]
    log = data_dir.parent / "serve.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, text=True)
    try:
        assert process.stdout is not None
        ready = re.search(r"http://\S+?:\d+", process.stdout.readline())
        if ready is None:
            raise SystemExit(f"the proxy did not start:\n{log.read_text()}")
        yield ready[0]
    finally:
        process.terminate()
        process.wait(READY_S)


async def play_all(base_url: str, dialogues: tuple[Dialogue, ...]) -> list[Played]:
    """Plays the dialogues, `AT_ONCE` conversations at a time; every second one is streamed."""
    gate = asyncio.Semaphore(AT_ONCE)
    played = [Played(dialogue) for dialogue in dialogues]
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0) as client:

        async def one(index: int) -> None:
            async with gate:
                await play(client, played[index], streamed=index % 2 == 1)

        async with asyncio.TaskGroup() as tasks:
            for index in range(len(played)):
                tasks.create_task(one(index))
    return played


async def play(client: openai.AsyncOpenAI, played: Played, *, streamed: bool) -> None:
    """One conversation: the user's turns are the dialogue's, the assistant's are echoed as they were answered."""
    messages: list[Any] = []
    for text in played.dialogue.user_turns:
        messages.append({"role": "user", "content": text})
        calls = client.chat.completions.with_raw_response
        answer: Any = await calls.create(model=MODEL, messages=messages, stream=streamed)
        played.ids.append(answer.headers["x-tailrace-id"])
        if streamed:
            said, size = await streamed_text(answer.parse())
        else:
            said, size = answer.parse().choices[0].message.content, len(answer.content)
        played.before.append(json.dumps(messages[:-1]))
        played.raw_bytes += len(json.dumps({"model": MODEL, "messages": messages})) + size
        messages.append({"role": "assistant", "content": said})
        played.after.append(json.dumps(messages))


async def streamed_text(stream: Any) -> tuple[str, int]:
    """The text of a streamed answer, and the bytes of its chunks as JSON."""
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return text, sum(len(chunk.model_dump_json(exclude_unset=True)) for chunk in chunks)


def tailrace(*words: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of Tailrace."""
    command = [sys.executable, "-m", "tailrace", *words, "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def filed(data_dir: Path, calls: int) -> list[dict[str, Any]]:
    """The log's rows, as soon as there are as many as there were calls."""
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(FILED_S):
        while len(rows) < calls:
            listed = await asyncio.to_thread(tailrace, "logs", "--json", "--limit", "10000", data_dir=data_dir)
            if listed.returncode:
                raise SystemExit(listed.stderr)
            rows = [json.loads(line) for line in listed.stdout.splitlines()]
    return rows


def chain_lines(played: list[Played], rows: list[dict[str, Any]]) -> list[Line]:
    """What the log says of the calls and of the conversations they belong to."""
    by_id = {row["id"]: row for row in rows}
    chains = {row["chain"]["id"] for row in rows}
    conversation = {id_: after for one in played for id_, after in zip(one.ids, one.after, strict=True)}
    linked = sum(
        (by_id[id_]["parent"] is None and before == "[]") or conversation.get(by_id[id_]["parent"]) == before
        for one in played
        for id_, before in zip(one.ids, one.before, strict=True)
        if id_ in by_id
    )
    calls = sum(len(one.ids) for one in played)
    ended = sum(row["status"] == "ok" for row in rows)
    return [
        Line("calls played → rows in the log", f"{calls} → {len(rows)}", len(rows) == calls == len(by_id)),
        Line("ended ok", str(ended), ended == calls),
        Line("dialogues played → chains found", f"{len(played)} → {len(chains)}", len(chains) == len(played)),
        Line("steps linked to exactly what was said before", str(linked), linked == calls),
    ]


def storage_line(played: list[Played], data_dir: Path) -> Line:
    """The store's size beside the calls' JSON."""
    stored = (data_dir / "tailrace.db").stat().st_size
    raw = sum(one.raw_bytes for one in played)
    return Line(
        "bytes of the calls → bytes of the store",
        f"{raw:,} → {stored:,} ({stored / raw:.0%})",
        stored <= raw * STORED_SHARE,
    )


def export_lines(folder: Path, data_dir: Path, dialogues: int) -> list[Line]:
    """Exports the log and rebuilds the export from it."""
    recipe, out = folder / "recipe.toml", folder / "export"
    recipe.write_text(RECIPE)
    exported = tailrace("export", str(recipe), "--out", str(out), data_dir=data_dir)
    files = sorted(out.glob("openai-chat/*.jsonl"))
    rows = sum(len(path.read_bytes().splitlines()) for path in files)
    verified = tailrace("export", "verify", str(out), data_dir=data_dir)
    verdict = (verified.stdout + verified.stderr).strip().splitlines()[-1]
    return [
        Line("dialogues → rows exported", f"{dialogues} → {rows}", exported.returncode == 0 and rows > 0),
        Line("export verify", verdict.removeprefix(f"{out}: "), verified.returncode == 0),
    ]


def main() -> int:
    """Plays, prints, and says with its exit code whether all of it holds."""
    folder = Path(tempfile.mkdtemp(prefix="tailrace-demo-"))
    data_dir = folder / "data"
    dialogues = packaged()
    try:
        with proxy(data_dir) as base_url:
            played = asyncio.run(play_all(base_url, dialogues))
            rows = asyncio.run(filed(data_dir, sum(len(one.ids) for one in played)))
        lines = [
            *chain_lines(played, rows),
            storage_line(played, data_dir),
            *export_lines(folder, data_dir, len(dialogues)),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = Table("what", "found", "holds")
    for line in lines:
        table.add_row(line.what, line.found, "[green]yes[/]" if line.holds else "[red]NO[/]")
    Console().print(table)
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
