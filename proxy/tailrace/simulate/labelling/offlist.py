"""Answers that are beside the list of labels, as open models give them.

Owns the forms. Those that hold a phrase keep to the schema in all but the enum; the others leave it altogether.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

_SYNONYMS: Final = MappingProxyType(
    {
        "confirm": "agreement", "confirmation": "agreement", "affirm": "agreement", "yes": "certainly",
        "reject": "declined", "rejection": "declined", "deny": "declined", "no": "by no means",
        "positive": "favourable", "negative": "unfavourable", "neutral": "balanced",
    }
)  # fmt: skip


def synonym(label: str) -> str:
    """Another word for a label, or its words without the marks between them."""
    return _SYNONYMS.get(label) or f"{label.replace('_', ' ').replace('-', ' ')} matter"


def other_case(label: str) -> str:
    """The label in another case; the same where it has no case."""
    return label.upper() if label != label.upper() else label.lower()


PHRASES: Final[Mapping[int, Callable[[str], str]]] = MappingProxyType(
    {
        1: lambda label: f"I think it is {label}",
        2: lambda label: f"{label}.",
        3: other_case,
        4: synonym,
        5: lambda label: f"{label}_miscellaneous_request",
    }
)
"""What stands in place of the label, by the form's number."""

TEXTS: Final[Mapping[int, Callable[[str, str, str], str]]] = MappingProxyType(
    {
        6: lambda label, second, _json: f"It could be {label} or {second}, that is hard to say.",
        7: lambda label, _second, _json: f"The user seems to mean {label}, I would say.",
        8: lambda _label, _second, _json: "",
        9: lambda _label, _second, json: json[: len(json) * 2 // 3],
        10: lambda _label, _second, json: f"Sure, here is the answer:\n```json\n{json}\n```",
    }
)
"""The whole answer, by the form's number: of the label, another label, and the JSON that was due."""

REFUSAL: Final = 11
"""The number of the form that is a refusal, without a text."""
FORMS: Final = (*PHRASES, *TEXTS, REFUSAL)


def second(label: str, options: Sequence[str]) -> str:
    """Another label than `label`, if there is one."""
    return next((option for option in options if option != label), label)
