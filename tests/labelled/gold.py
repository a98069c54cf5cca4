"""Labelled items as the files that the simulated provider answers from: its gold, and dialogues for `sim/replay`."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

import orjson

from tests.labelled.loading import Item

_DESK: Final = {
    "openinggreeting": "Good day, this is the airline's desk. What can I do for you?",
    "bookflight": "I can book that. From where to where, and when?",
    "changeseatassignment": "I can change the seat. Your booking number, please?",
    "getboardingpass": "I can send the boarding pass. Your booking number, please?",
    "getseatinfo": "I can look the seat up. Your booking number, please?",
    "confirmation": "Good, it is done. Anything else?",
    "rejection": "All right, I leave it so. Anything else?",
    "contentonly": "Thank you, I have noted that. Is it correct so?",
    "outofdomain": "I am afraid that is nothing I can do from here.",
    "thankyou": "You are welcome.",
    "closinggreeting": "Thank you for your call. Goodbye.",
}
_CONTEXT: Final = 4  # turns that tell the same words apart
_ELSE: Final = "I see. Please go on."
"""What our desk says: the source of multidogo_airline leaves its own desk's turns out. Written for this file."""


def gold_line(item: Item) -> bytes:
    """One line of a gold file: `text`, what was said before, and what people say of it, in the words of every task."""
    shape: dict[str, Any] = {"text": item.text, "labels": item.labels}
    if item.before:
        shape["context"] = [{"role": turn.role, "text": turn.text} for turn in item.before[-_CONTEXT:]]
    if len(item.labels) == 1:
        shape["label"] = item.labels[0]
    shape["entities"] = [{"text": item.text[span.start : span.end], "label": span.kind} for span in item.spans]
    return orjson.dumps(shape)


def gold_file(items: Iterable[Item]) -> bytes:
    """A gold file; without the few turns that lost all their text to the source's cleaning."""
    return b"".join(gold_line(item) + b"\n" for item in items if item.text.strip())


def dialogue_file(items: Iterable[Item]) -> bytes:
    """A dialogue file for `sim/replay`: the users' turns of each chain in order, answered by a desk of ours."""
    return b"".join(_dialogue(chain, list(turns)) for chain, turns in groupby(items, key=lambda item: item.chain))


def _dialogue(chain: str, items: list[Item]) -> bytes:
    turns = []
    for item in filter(lambda item: item.text.strip(), items):
        turns.append({"role": "user", "text": item.text})
        turns.append({"role": "assistant", "text": _DESK.get(item.labels[0], _ELSE) if item.labels else _ELSE})
    return orjson.dumps({"id": chain, "turns": turns}) + b"\n"
