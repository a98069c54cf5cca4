"""Requests made from twenty known templates, and noise that belongs to none; words are of real dialogues."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Final

from tailrace.records import Json
from tailrace.simulate.dialogues import packaged
from tailrace.templates.match import Match, render
from tailrace.templates.template import Frame, Pattern, Slot, Template

IMAGE: Final = "data:image/png;base64,iVBORw0KGgo="
PEOPLE: Final = ["Ann Lee", "Bob Stone", "Cyril Okafor", "Dana Weiss", "Eve", "Farid Haddad", "Gita Rao", "Hugo"]
CITIES: Final = ["Berlin", "Lyon", "Porto", "São Paulo", "Kraków", "Osaka", "New York", "Graz"]
TONGUES: Final = ["French", "German", "Italian", "Polish"]
TURNS: Final = [turn for dialogue in packaged() for turn in dialogue.turns[::2]]
"""What users said."""
LINES: Final = [turn for dialogue in packaged() for turn in dialogue.turns]
"""With what they were told, much of it again and again: as passages of documents are that many requests quote."""

Draw = Callable[[random.Random], str]


def turn(dice: random.Random) -> str:
    return dice.choice(TURNS)


def tale(dice: random.Random) -> str:
    return " ".join(dice.choice(TURNS) for _ in range(dice.randint(3, 12)))


def lines(dice: random.Random) -> str:
    return "\n".join(dice.choice(LINES) for _ in range(dice.randint(2, 9)))


def of(*words: str) -> Draw:
    return lambda dice: dice.choice(words)


def number(most: int) -> Draw:
    return lambda dice: str(dice.randint(1, most))


def order(dice: random.Random) -> str:
    return f"ORD-{dice.randint(10_000, 99_999)}"


def date(dice: random.Random) -> str:
    return f"2026-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"


DRAWS: Final[dict[str, Draw]] = {
    "text": tale,
    "context": lines,
    "question": turn,
    "language": of(*TONGUES),
    "n": number(90),
    "company": of("ACME Ltd", "Initech", "Globex", "Umbrella Inc", "Hooli", "Stark & Co", "Wayne Ltd"),
    "message": turn,
    "order": order,
    "date": date,
    "customer": of(*PEOPLE),
    "city": of(*CITIES),
    "ticket": lines,
    "tone": of("friendly", "formal", "curt"),
    "agent": of(*PEOPLE),
    "user": turn,
    "review": turn,
    "stars": number(5),
    "product": of("kettle", "tea set", "desk lamp", "phone X-12"),
    "answer": turn,
    "reference": turn,
    "what": of("the label", "the damage", "the barcode", "the colour", "a serial number", "its size"),
    "first": turn,
    "second": turn,
    "code": lines,
    "entry": turn,
    "title": turn,
    "notes": lines,
    "document": lines,
}
"""Words for each slot, by its name."""

TEXTS: Final = json.loads((Path(__file__).parent / "known_templates.json").read_text())
"""By name, the messages: role and texts; `{slot}` is a slot, `{{` a brace."""


def pattern(text: str) -> Pattern:
    """`{name}` is a slot; `{{` and `}}` are braces."""
    made: list[str | Slot] = []
    for static, name, _, _ in Formatter().parse(text):
        if static and made and isinstance(made[-1], str):
            made[-1] += static
        elif static:
            made.append(static)
        if name is not None:
            made.append(Slot(name))
    return tuple(made)


def known() -> dict[str, Template]:
    """The twenty, by name."""
    return {
        name: Template(name, tuple(Frame(role, tuple(map(pattern, texts))) for role, *texts in messages), name)
        for name, messages in TEXTS.items()
    }


@dataclass(frozen=True)
class Asked:
    """A request with what it was made from."""

    messages: list[Json]
    template: str | None = None
    slots: dict[str, str] | None = None


def asked(template: Template, dice: random.Random) -> Asked:
    """A request made from `template`."""
    slots = {name: DRAWS[name](dice) for name in template.slots}
    blank: list[Json] = []
    for frame in template.frames:
        parts: list[Json] = [{"type": "text", "text": ""} for _ in frame.texts]
        if template.name.startswith("look") and frame.role == "user":
            image = {"type": "image_url", "image_url": {"url": f"{IMAGE}{dice.randint(0, 999)}", "detail": "low"}}
            parts[1:1] = [image] * dice.randint(1, 2)
        blank.append({"role": frame.role, "content": parts if len(parts) > 1 else ""})
    return Asked(render(Match(template, slots), blank), template.name, slots)


def noise(dice: random.Random) -> Asked:
    """A request that was made from nothing."""
    messages: list[Json] = [{"role": "user", "content": tale(dice) if dice.random() < 0.5 else turn(dice)}]
    if dice.random() < 0.3:
        messages.insert(0, {"role": "system", "content": turn(dice)})
    if dice.random() < 0.3:
        messages += [{"role": "assistant", "content": turn(dice)}, {"role": "user", "content": turn(dice)}]
    return Asked(messages)


def log(count: int, seed: int = 1, noisy: float = 0.1) -> Iterator[Asked]:
    """`count` requests, some of them noise; a fifth of the others go on for a turn."""
    dice = random.Random(seed)
    templates = list(known().values())
    weights = [1 + n % 4 for n in range(len(templates))]
    for _ in range(count):
        if dice.random() < noisy:
            yield noise(dice)
            continue
        (template,) = dice.choices(templates, weights)
        made = asked(template, dice)
        if dice.random() < 0.2:
            made.messages.extend(
                [{"role": "assistant", "content": turn(dice)}, {"role": "user", "content": turn(dice)}]
            )
        yield made
