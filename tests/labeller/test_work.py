"""One turn that breaks the code, or the store, holds up no other."""

from types import SimpleNamespace
from typing import Any

import pytest

from tailrace import metrics
from tailrace.classify.cascade import AtOnce, Cascade, Said
from tailrace.classify.ready import load
from tailrace.classify.turn import Subject
from tailrace.clock import Clock
from tailrace.errors import WorkFailed
from tailrace.labeller.subjects import Item, items
from tailrace.labeller.work import Work
from tailrace.records import Label, LabelMode, LabelSource
from tailrace.settings_classifiers import Classifier

READY = load(
    "c", Classifier.model_validate({"labels": {"a": ""}, "rules": [{"label": "a", "any": ["."]}], "cascade": ["rules"]})
)


class Breaks(Cascade):
    """At one text."""

    def at_once(self, subject: Subject) -> AtOnce:
        if subject.text == "bad":
            raise RuntimeError("broken")
        return super().at_once(subject)


def row(n: int) -> Any:
    return SimpleNamespace(
        id=bytes([n]) * 16, seq=n, chain=n, parent=None, tags=None, endpoint="chat.completions", model="m", step=1,
        project="default", origin="app",
    )  # fmt: skip


async def test_a_turn_that_breaks_the_code_is_marked_and_the_others_are_labelled() -> None:
    some = [Item(row(n), Subject(text)) for n, text in enumerate(("good", "bad", "fine"), 1)]
    nobody: Any = None
    records = await Work(Breaks(READY), None, Clock(0)).label(nobody, some)
    told = {record.completion.bytes[0]: (record.label, record.error) for record in records if isinstance(record, Label)}
    assert told == {1: ("a", None), 2: (None, "internal"), 3: ("a", None)}


class Damaged:
    """A store in which one body is broken."""

    async def exchanges(self, rows: Any) -> list[Any]:
        if any(each.seq == 2 for each in rows):
            raise WorkFailed("a body is damaged")
        return [SimpleNamespace(request={"messages": [{"role": "user", "content": f"text {r.seq}"}]}) for r in rows]


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_a_damaged_body_costs_its_own_label_alone(count: int) -> None:
    damaged: Any = Damaged()
    found = await items(damaged, READY.settings, [row(n) for n in range(1, count + 1)])
    assert [item.row.seq for item in found] == [n for n in range(1, count + 1) if n != 2]


def test_what_was_not_timed_is_counted_and_no_time_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float | None] = []
    monkeypatch.setattr(metrics, "labelled", lambda *_, seconds, **__: told.append(seconds))
    work, said = Work(Cascade(READY), None, Clock(0)), Said(LabelSource.LLM, "a", mode=LabelMode.AUDIT)
    for took_us in (None, 500):
        work.record(Item(row(1), Subject("x")).id, said, took_us)
    assert told == [None, 0.0005]
