"""Pieces labelled in bulk: who is asked, in which order, what is kept and what stays open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from tailrace.classify.cascade import Cascade, Said
from tailrace.classify.near import Near
from tailrace.classify.ready import load
from tailrace.classify.turn import Subject
from tailrace.labeller.bulk import Bulk, Piece
from tailrace.labeller.metered import Metered
from tailrace.records import Json, Origin
from tailrace.settings_classifiers import Classifier
from tailrace.wire.own import Completed

BASE: dict[str, Any] = {
    "labels": {"a": "is a", "b": "is b"},
    "rules": [{"label": "a", "exact": ["ay"]}],
    "llm": {"model": "m"},
    "context": {"turns": 0, "previous_label": True},
}


class Models:
    """Says of each text what its first word is; `dead` fails for good, `odd` is off the list."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def complete(
        self, request: Json, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        said = next(
            one["content"] for one in reversed(request["messages"]) if "<message_to_classify>" in one["content"]
        )
        self.asked.append(said)
        word = said.split("<message_to_classify>\n")[1].split("\n</message_to_classify>")[0].split()[0]
        if word == "dead":
            return Completed(400, None, "status 400: no such model")
        message = {"role": "assistant", "content": orjson.dumps({"label": word}).decode()}
        return Completed(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]] | None:
        return None


@dataclass
class Answer:
    labels: tuple[str, ...] = ("b",)
    confidence: float = 0.99
    alone: bool = True


class Student:
    def say(self, subject: Subject) -> Answer:
        return Answer(alone=subject.text.startswith("sure"))


class Kept:
    def __init__(self) -> None:
        self.labels: list[tuple[str, str, Json, str]] = []

    async def __call__(self, piece: Piece, said: Sequence[Said], took_us: int) -> None:
        self.labels += [(piece.key, one.source.value, one.value, one.mode.value) for one in said]


def piece(key: str, text: str, group: str = "", place: int = 0, parent: int | None = None) -> Piece:
    return Piece(key, Subject(text), group or key, place, parent)


async def run(
    *pieces: Piece, near: Near | None = None, student: bool = False, asks: bool = True, **settings: Any
) -> tuple[Bulk, Kept, Models]:
    cascade = Cascade(load("x", Classifier.model_validate(BASE | settings)), Student() if student else None)
    models, kept = Models(), Kept()
    meter = Metered(models, lambda _: 0.0, expected=_NOTHING, first_s=0) if asks else None
    bulk = Bulk(cascade, meter, kept, near)
    await bulk.run(pieces)
    return bulk, kept, models


_NOTHING: Any = None


async def test_the_first_that_knows_decides_and_each_piece_is_counted_once() -> None:
    pieces = [piece("1", "Ay!"), piece("2", "sure thing"), piece("3", "b it is"), piece("4", "dead"), piece("5", "odd")]
    bulk, kept, models = await run(*pieces, student=True)
    assert sorted(kept.labels) == [
        ("1", "rule", "a", "live"),
        ("2", "student", "b", "live"),
        ("3", "llm", "b", "live"),
        ("5", "llm", None, "live"),
    ]
    tally = bulk.tally
    assert (tally.labelled, tally.off_list, tally.failed, tally.open) == ({"rule": 1, "student": 1, "llm": 2}, 1, 1, 0)
    assert "no such model" in tally.first_failure
    assert len(models.asked) == 4  # the odd one once more


async def test_without_a_model_what_nobody_knows_stays_open() -> None:
    bulk, kept, _ = await run(piece("1", "ay"), piece("2", "b"), asks=False)
    assert (bulk.tally.done, bulk.tally.open, len(kept.labels)) == (1, 1, 1)


async def test_the_turns_of_a_chain_go_in_order_each_with_the_label_before() -> None:
    pieces = [piece("1", "b one", "c", 1), piece("2", "a two", "c", 2, 1), piece("3", "b three", "c", 3, 2)]
    _, kept, models = await run(*pieces)
    assert [label for _, _, label, _ in kept.labels] == ["b", "a", "b"]
    first, second, third = models.asked
    assert "previous" not in first.lower()
    assert ("b" in second.split("<message_to_classify>")[0], third != second) == (True, True)


async def test_a_model_in_shadow_stands_beside_what_counts() -> None:
    bulk, kept, _ = await run(piece("1", "ay b"), piece("2", "ay"), modes={"llm": "shadow"})
    assert kept.labels == [("1", "llm", None, "shadow"), ("2", "llm", None, "shadow"), ("2", "rule", "a", "live")]
    assert bulk.tally.done == 2


async def test_a_near_duplicate_takes_the_label_and_says_whose() -> None:
    pieces = [piece(str(n), "b it is what i would like to have please" + "!" * n, "one") for n in range(3)]
    _, kept, models = await run(*pieces, near=Near())
    assert [(source, value) for _, source, value, _ in kept.labels] == [
        ("llm", "b"),
        ("propagated", "b"),
        ("propagated", "b"),
    ]
    assert len(models.asked) == 1


async def test_what_cannot_be_kept_is_not_counted() -> None:
    async def broken(_piece: Piece, _said: Sequence[Said], _took_us: int) -> None:
        raise OSError("disk full")

    bulk = Bulk(Cascade(load("x", Classifier.model_validate(BASE))), None, broken)
    with pytest.raises(ExceptionGroup):
        await bulk.run([piece("1", "ay")])
    assert bulk.tally.done == 0
