"""torchtune's chat rows (`chat_dataset`, `conversation_style: openai`): text only.

    {"messages": [{"role", "content"}, ...]}

torchtune is not maintained any more, and takes `content: null` for the content of the message before: a tool call would
be learned as the user's own question. So rows with tools are refused, and content is always text. All answers are
learned.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.turns import TEXT_REASONS, TEXT_RULES, text_turns
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    found = text_turns(shaper, row)
    shaper.all_learned()
    messages = [] if found.system is None else [{"role": "system", "content": found.system}]
    messages += [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(found.turns)]
    return Line({"messages": messages}, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What torchtune's `validate_messages` asks of a line, and that content is text."""
    last = "assistant"
    messages = items(at(line, "messages"))
    if len(messages) < 2:
        yield Problem("/messages", "expected two messages or more")
    for index, each in enumerate(messages):
        role, pointer = at(each, "role"), f"/messages/{index}"
        if type(at(each, "content")) is not str:
            yield Problem(f"{pointer}/content", "expected text: null is taken for the message before")
        if role == "system" and index:
            yield Problem(f"{pointer}/role", "expected the system message to be the first")
        elif role in ("user", "assistant") and role == last:
            yield Problem(f"{pointer}/role", "expected users and answers to take turns")
        elif role not in ("system", "user", "assistant"):
            yield Problem(f"{pointer}/role", "expected system, user or assistant")
        last = role if role != "system" else last


FORMAT: Final = Format(
    about="torchtune chat rows, text only",
    project=project,
    rules=TEXT_RULES,
    reasons=TEXT_REASONS | {MASK: "an answer is not to be learned, and torchtune has no mark for that"},
    check=check,
)
