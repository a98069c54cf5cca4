"""What a model gets wrong: truths with an error in them, each kind as labelling models make it.

A single label's error is made where it is chosen (`choices.wrong`); here is what has no single label: spans lost, cut,
or seen where there are none, labels lost or added, answers that say otherwise.
"""

from dataclasses import replace
from enum import Enum

import orjson

from tailrace.records import Json
from tailrace.simulate.labelling.draws import Draws
from tailrace.simulate.labelling.gold import GoldSpan, Truth
from tailrace.simulate.labelling.question import Question

_NEGATIVE = frozenset(("no", "none", "different"))


class Slip(Enum):
    """An error."""

    LOST = "lost"
    CUT = "cut"
    MISTAKEN = "mistaken"


def slip_of(truth: Truth, draws: Draws) -> Slip:
    """The kind of error that is made, one that this truth leaves room for."""
    if truth.spans:
        return draws.pick("slip", tuple(Slip))
    return draws.pick("slip", (Slip.LOST, Slip.MISTAKEN)) if len(truth.labels) > 1 else Slip.MISTAKEN


def slipped(truth: Truth, question: Question, slip: Slip, draws: Draws) -> Truth:
    """`truth` with an error, but for that in a label which is mistaken for another one."""
    answer = orjson.loads(truth.answer)
    if answer is not None:
        return replace(truth, answer=orjson.dumps(_otherwise(answer, question.text, draws)))
    if not question.options:
        return replace(truth, labels=("yes",) if truth.labels[:1] and truth.labels[0] in _NEGATIVE else ("no",))
    if truth.spans:
        return replace(truth, spans=_spans(truth.spans, slip, draws))
    if not truth.labels:
        words = question.text.split() or [question.text]
        word, label = draws.pick("word", words), draws.pick("kind", question.options)
        start = question.text.find(word)
        return replace(truth, labels=(label,), spans=(GoldSpan(word, label, start, start + len(word)),))
    return replace(truth, labels=truth.labels[1:]) if slip is Slip.LOST else truth


def _spans(spans: tuple[GoldSpan, ...], slip: Slip, draws: Draws) -> tuple[GoldSpan, ...]:
    at = draws.below("span", len(spans))
    span = spans[at]
    if slip is Slip.LOST:
        return spans[:at] + spans[at + 1 :]
    if slip is Slip.CUT and len(span.text) > 1:
        first, _, rest = span.text.partition(" ")
        kept = rest or first[1:]
        return (*spans[:at], GoldSpan(kept, span.label, span.end - len(kept), span.end), *spans[at + 1 :])
    return (span, *spans[:at], *spans[at + 1 :]) if slip is Slip.MISTAKEN else spans[:at] + spans[at + 1 :]


def _otherwise(answer: Json, text: str, draws: Draws) -> Json:
    """Another answer of the same form."""
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, int | float):
        return answer + 1
    if isinstance(answer, dict) and answer:
        name = draws.pick("member", sorted(answer))
        return {**answer, name: None if answer[name] is not None else draws.pick("word", text.split() or [text])}
    if isinstance(answer, list):
        return answer[1:]
    return "unknown" if answer != "unknown" else text
