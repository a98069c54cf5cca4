"""The log whose exports the loaders are given: what applications really say, and what trips loaders up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tailrace.records import Json
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, after, echoed, opened, said, user
from tests.exporters.test_export_labels import feedback, label, say

Log = Mapping[int, tuple[Call, int | None]]

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""One pixel."""
NESTED: Final = '{"place":{"city":"Köln","at":[50.94,6.96]},"days":2,"units":"°C"}'
PLAIN: Final = 60
"""Conversations of one plain answer: the strictest target (Bedrock's Claude) wants 32 rows and more."""


def function(name: str, **properties: Json) -> Json:
    """A tool."""
    parameters = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"type": "function", "function": {"name": name, "description": f"Tells {name}.", "parameters": parameters}}


WEATHER: Final = function("weather", place={"type": "object"}, days={"type": "integer"}, units={"type": "string"})
PRICE: Final = function("price", days={"type": "string"})
"""Its `days` is text, that of `weather` a number: one column of both has no type."""


def calling(**arguments: str) -> Json:
    """An answer that calls tools, each by its name."""
    calls = [
        {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": given}}
        for name, given in arguments.items()
    ]
    return said("") | {"content": None, "tool_calls": calls}


def result(name: str, content: str) -> Json:
    """What a tool said."""
    return {"role": "tool", "tool_call_id": f"call_{name}", "content": content}


def _tools() -> Log:
    """Two calls at once with nested arguments, and one by itself."""
    both = {"tools": [WEATHER, PRICE]}
    ask = Call(10, [user("Köln? 🌧")], calling(weather=NESTED, price='{"days":"two"}'), both, finish_reason="tool_calls")
    told = [*ask.messages, echoed(ask.answer), result("weather", "naß"), result("price", '{"eur": 80.5}')]
    one = Call(12, [user("price?")], calling(price='{"days":"one"}'), {"tools": [PRICE]}, finish_reason="tool_calls")
    cheap = [*one.messages, echoed(one.answer), result("price", "40")]
    return {
        10: (ask, None),
        11: (Call(11, told, said("Rain, for 80.50 €."), both), 10),
        12: (one, None),
        13: (Call(13, cheap, said("40 €."), one.params), 12),
    }


def _turns() -> Log:
    """Three steps of one conversation."""
    one = opened(1, "Wie heißt das?", "„Straße“.")
    two = after(one, "and in Greek?", seq=2, answer="οδός")
    three = after(two, "thanks", seq=3, answer="You are\nwelcome.")
    return {1: (one, None), 2: (two, 1), 3: (three, 2)}


def _retries() -> Log:
    """Conversations in which an answer was asked for again, and the second was gone on with."""
    log: dict[int, tuple[Call, int | None]] = {}
    for first in range(30, 50, 4):
        asked = opened(first, f"Sums from {first}, please.", "Ask me.")
        bad = after(asked, "2 + 2?", seq=first + 1, answer="5")
        good = after(asked, "2 + 2?", seq=first + 2, answer="4")
        right = after(good, "right!", seq=first + 3, answer="Of course.")
        log |= {first: (asked, None), first + 1: (bad, first), first + 2: (good, first), first + 3: (right, first + 2)}
    return log


def _beyond_text() -> Log:
    """Reasoning beside an answer, a picture, a developer's word."""
    picture = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    reasoned = said("Nine.") | {"reasoning_content": "3 × 3 is 9."}
    developer = {"role": "developer", "content": "Answer in French."}
    return {
        20: (Call(20, [user("3 × 3?")], reasoned), None),
        21: (Call(21, [{"role": "user", "content": picture}], said("A pixel.")), None),
        22: (Call(22, [developer, user("yes?")], said("Oui.")), None),
    }


def spoken() -> Log:
    """The whole log."""
    plain = {n: (opened(n, f"Question {n}: is {n} even?", "yes" if n % 2 == 0 else "no, odd"), None)
             for n in range(100, 100 + PLAIN)}  # fmt: skip
    return {**_turns(), **_tools(), **_beyond_text(), **_retries(), **plain}


def file_spoken(data_dir: Path) -> Path:
    """The log in a store, with labels and opinions."""
    folder = file_log(data_dir, spoken())
    scores = (feedback(n, n, float(n % 2)) for n in range(100, 120))
    say(folder, *(label(n, n, ("even", "odd")[n % 2]) for n in range(100, 100 + PLAIN)), opinions=tuple(scores))
    return folder
