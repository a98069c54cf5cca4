"""A student learns from the log, answers alone once its audits prove it, and is taken off when the traffic drifts."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from tailrace.classify.student.terms import FEWEST, SHADOW_SHARE
from tests.running import Proxy, proxy, until

pytestmark = pytest.mark.xdist_group("student_e2e")

WORDS = {
    "book": ("book", "reserve", "order", "get me"),
    "cancel": ("cancel", "call off", "drop", "undo"),
    "ask": ("what is", "how much is", "tell me about", "explain"),
}
THINGS = ("a flight", "a seat", "the ticket", "my meal", "two bags", "an upgrade", "the trip", "a car")
CONFIG = """
[log]
durability = "process"
[simulator]
gold = ["{gold}"]
[classifiers.wish]
when = "before"
labels = {{book = "", cancel = "", ask = ""}}
deadline_ms = 20000
target_agreement = 0.8
audit_share = 0.5
audit_after_s = 0
llm = {{model = "sim/label"}}
"""


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    """(text, label), all different."""
    dice = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        label = dice.choice(list(WORDS))
        text = f"{dice.choice(WORDS[label])} {dice.choice(THINGS)} to {dice.randrange(10_000)}"
        found[text] = label
    return list(found.items())


def gold(path: Path, items: list[tuple[str, str]], **swap: str) -> None:
    lines = [orjson.dumps({"text": text, "label": swap.get(label, label)}) for text, label in items]
    path.write_bytes(b"\n".join(lines) + b"\n")


def ask(running: Proxy, items: list[tuple[str, str]]) -> list[str]:
    """What `x-tailrace-label` said of each."""

    def one(item: tuple[str, str]) -> str:
        answer = running.post({"model": "sim/echo", "messages": [{"role": "user", "content": item[0]}]})
        return str(answer.headers.get("x-tailrace-label"))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, items))


def students(running: Proxy) -> list[dict[str, Any]]:
    return running.select("SELECT * FROM student ORDER BY seq")


def states(running: Proxy) -> list[str]:
    return [row["state"] for row in students(running)]


def in_state(running: Proxy, state: str) -> dict[str, Any]:
    return until(
        lambda: found if (found := students(running)) and found[-1]["state"] == state else None, f"a student {state}"
    )[-1]


def test_from_the_first_label_to_live_and_to_demoted(tmp_path: Path) -> None:
    items = texts(980, seed=1)
    first, second, third = items[:620], items[620:680], items[680:]
    teaching = len(first) * (1 - SHADOW_SHARE)
    assert teaching - 3.9 * (teaching * SHADOW_SHARE) ** 0.5 > FEWEST, "fewer teach once in 20,000 times"
    gold(tmp_path / "gold.jsonl", items)
    config = CONFIG.format(gold=tmp_path / "gold.jsonl")
    with proxy(tmp_path / "p", config) as running:
        assert "source=student" not in " ".join(ask(running, first[:480]))
        ask(running, first[480:])
        live = in_state(running, "live")
        assert states(running)[0] == "training"
        assert "shadow" in states(running)
        assert 0 < live["coverage"] <= 1
        assert "audits agree" in live["reason"]
        fresh = iter(texts(2000, seed=2))  # the very same text would be answered from the cache
        served = until(
            lambda: said if "source=student" in (said := ask(running, [next(fresh)])[0]) else None, "a student"
        )
        assert "confidence=0." in served or "confidence=1." in served
        said = ask(running, second)
        by_student = [told.split(";")[0] for told in said if "source=student" in told]
        assert len(by_student) > len(second) / 2
        right = sum(f"wish={label}" == told.split(";")[0] for (_, label), told in zip(second, said, strict=True))
        assert right >= 0.8 * len(second)
        rows = running.select("SELECT * FROM label WHERE source = 'student' AND mode = 'live'")
        assert all(row["confidence"] >= live["threshold"] for row in rows)
    gold(tmp_path / "gold.jsonl", items, book="cancel", cancel="book")
    with proxy(tmp_path / "p", config) as running:  # what was meant by two of the labels has changed
        assert any("source=student" in told for told in ask(running, third))
        demoted = in_state(running, "demoted")
        assert "disagree too often" in demoted["reason"]
        fresh = iter(texts(2000, seed=3))
        until(lambda: True if "source=llm" in ask(running, [next(fresh)])[0] else None, "the model in its stead")
        assert not (running.data_dir / "students" / "wish" / "current.student").exists()
