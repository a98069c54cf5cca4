"""Stages of an export alone, over rows of 2 KB: rows a second of one core's time, which a busy machine spoils less."""

import io
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters.check import Check
from tailrace_exporters.decontaminate import Decontaminate
from tailrace_exporters.recipe_tables import Personal, Secrets
from tailrace_exporters.recipe_tables import Scrub as Rule
from tailrace_exporters.rows import Dropped, Row
from tailrace_exporters.scrub.canary import Canary
from tailrace_exporters.scrub.kinds import Value
from tailrace_exporters.scrub.pseudonyms import Pseudonyms
from tailrace_exporters.scrub.stage import Scrub
from tailrace_exporters.surroundings import Surroundings
from tests.bench.result import Result
from tests.exporters.logged import Call, said, user

ROWS: Final = 2_000
EVAL_ITEMS: Final = 10_000
_WORDS: Final = [
    f"{a}{b}{c}" for a in ("or", "ta", "mi", "ne") for b in "aeiou" for c in ("l", "ring", "st", "m", "nd")
]
_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {name: {"type": "string", "maxLength": 100} for name in ("to", "subject", "body")},
    "required": ["to"],
    "additionalProperties": False,
}

Stage = Callable[[Row], object]


def stages(seconds: float) -> list[Result]:
    """Scrub, schema check and decontamination, each alone, and the search of the files."""
    rows = list(_rows(random.Random(7)))
    size = sum(len(orjson.dumps([row.messages, row.tools])) for row in rows) / len(rows)
    with tempfile.TemporaryDirectory() as folder:
        _write_evals(Path(folder) / "eval.jsonl", random.Random(8))
        against = Decontaminate(("eval.jsonl",), 13, Surroundings(Path(folder), {}))
    pseudonyms = Rule(secrets=Secrets.MASK, personal=Personal.PSEUDONYM, key="env:K")
    takes: dict[str, tuple[Stage, str]] = {
        "scrub, a fifth of the rows with values": (_taken(Scrub(pseudonyms, Pseudonyms(b"k" * 16))), "≥ 5,000"),
        "schema and length checks": (_taken(Check(schema=True, max_tokens=8192)), "≥ 8,000"),
        f"decontamination, {EVAL_ITEMS:,} items": (_taken(against), "≥ 5,000"),
    }
    found = [
        Result(f"{name} ({size:,.0f} bytes a row)", _rate(take, rows, seconds), "rows/s a core", hold=hold)
        for name, (take, hold) in takes.items()
    ]
    return [*found, Result("search of the files for 100,000 values", _search_rate(rows), "MB/s")]


def _taken(stage: Scrub | Check | Decontaminate) -> Stage:
    def take(row: Row) -> object:
        (result,) = stage.take(row, {})
        assert not isinstance(result, Dropped), result
        return result

    return take


def _rate(take: Stage, rows: list[Row], seconds: float) -> float:
    """The best of rounds over all rows, in time of this process."""
    best, end = 0.0, time.monotonic() + seconds
    while not best or time.monotonic() < end:
        began = time.process_time()
        for row in rows:
            take(row)
        best = max(best, len(rows) / (time.process_time() - began))
    return best


def _search_rate(rows: list[Row]) -> float:
    canary = Canary()
    for n in range(100_000):
        canary.add(b"person%06d@corp.com" % n, Value.EMAIL)
    data = b"\n".join(orjson.dumps(row.messages).replace(b"corp.com", b"example.org") for row in rows * 4)
    began = time.process_time()
    assert not list(canary.search(io.BytesIO(data)))
    return len(data) / (time.process_time() - began) / 1e6


def _rows(rng: random.Random) -> Iterator[Row]:
    """Two questions and answers and a tool call each; every fifth names a person, every fiftieth a key."""
    tools = [{"type": "function", "function": {"name": "mail", "parameters": _SCHEMA}}]
    for n in range(ROWS):
        who = f"{rng.choice(_WORDS)}.{n}@corp.com" if n % 5 == 0 else "my account"
        key = f" with ghp_{rng.getrandbits(200):050x}" if n % 50 == 0 else ""
        arguments = orjson.dumps({"to": who, "subject": _text(rng, 5), "body": _text(rng, 12)}).decode()
        call = {"id": f"call_{n}", "type": "function", "function": {"name": "mail", "arguments": arguments}}
        made = Call(
            n + 1,
            [
                {"role": "system", "content": _text(rng, 30)},
                user(f"{_text(rng, 60)}{key}"),
                {"role": "assistant", "content": _text(rng, 60)},
                user(f"{_text(rng, 30)} at 2026-11-04 10:33, order {rng.randrange(10**6)}; write to {who}."),
            ],
            said("") | {"content": None, "tool_calls": [call]},
        )
        yield Row(made, made.conversation, tools, None, None, (False,) * 4 + (True,), (made,), chain=made.id)


def _text(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_WORDS, k=count)).capitalize() + "."


def _write_evals(path: Path, rng: random.Random) -> None:
    with path.open("wb") as file:
        for _ in range(EVAL_ITEMS):
            file.write(orjson.dumps({"prompt": _text(rng, 60), "completion": _text(rng, 10)}) + b"\n")
