"""What of a request is classified: the user's new turn of this step, and the window of the conversation before it.

    request ─▶ turns (the endpoint's `turns_of`) ─▶ those after the last answer ─▶ harness stripped ─▶ Subject

Pure, and on the event loop: it looks at the newest turns only, and at a bounded part of each. A tool's results are not
the user's words. Must not judge, and must not rebuild a message: what is stripped here is stripped for the label only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tailrace.classify.harness import without_harness
from tailrace.records import Endpoint, Json
from tailrace.settings_classifiers import Context
from tailrace.wire.endpoint import EndpointWire

Role = Literal["user", "tool", "assistant"]

CUT: Final = "…"
"""Stands where something was left out."""

_MOST_CHARS: Final = 60_000
"""Of one turn, its end: a harness puts what it adds before the user's words, or right behind them."""
_MOST_MESSAGES: Final = 64
"""Messages of the turn, and before it, that are looked at, the newest; and parts of one message."""
_TEXTS: Final = frozenset((None, "text", "input_text", "output_text"))
_OBJECTS: Final = {
    "image_url": "[image]",
    "input_image": "[image]",
    "image": "[image]",
    "input_audio": "[audio]",
    "audio": "[audio]",
    "file": "[file]",
    "input_file": "[file]",
    "document": "[file]",
}
"""What stands in the text for a part that is none. Its own words (a name, an alternative text) are not the user's."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the conversation as a classifier sees it."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is classified, and what is seen beside it."""

    text: str
    turns: tuple[Turn, ...] = ()  # before it, oldest first
    previous: str | None = None  # label of the user's turn before
    before: str | None = None  # role of the turn right before it: assistant, tool; None: it begins the conversation


def subject_of(
    request: Json, wire: EndpointWire, context: Context, *, role: Role = "user", previous: str | None = None
) -> Subject | None:
    """The new turn of `role` in `request`; None where it brings none, as in the middle of a tool's loop.

    `previous` is the label of the user's turn before; it only shows where the context asks for it.
    """
    if wire.endpoint is Endpoint.COMPLETIONS:
        messages: Sequence[dict[str, Any]] = _prompt(request)
    else:
        messages = wire.turns_of(request)
    if messages and messages[-1].get("role") == "assistant" and not messages[-1].get("tool_calls"):
        messages = messages[:-1]  # the beginning of the answer that is asked for
    last = _last_answer(messages)
    if role == "assistant":
        begin, new = max(last, 0), messages[max(last, 0) : last + 1]
    else:
        begin, new = last + 1, messages[last + 1 :]
    text = _joined(message for message in new[-_MOST_MESSAGES:] if _role(message) == role)
    if not _has_words(text):
        return None
    before = _before(new) if role == "user" else None
    return Subject(
        text=shorten(text, context.text_chars),
        turns=_window(messages[:begin], context),
        previous=previous if context.previous_label else None,
        before=before or (_role(messages[begin - 1]) if begin else None),
    )


def shorten(text: str, chars: int) -> str:
    """`text`, or its beginning and its end, `chars` in all: what is asked stands at either."""
    if len(text) <= chars:
        return text
    kept = max(chars - len(CUT), 0)
    head = (kept + 1) // 2
    return (text[:head] + CUT + text[len(text) - (kept - head) :])[:chars]


def _prompt(request: Json) -> list[dict[str, Any]]:
    """A completions request as a conversation of one turn. Tokens and several prompts are no turn."""
    prompt = request.get("prompt") if isinstance(request, dict) else None
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []


def _last_answer(messages: Sequence[dict[str, Any]]) -> int:
    """The index of the newest assistant's message; -1: there is none."""
    return next((i for i in range(len(messages) - 1, -1, -1) if _role(messages[i]) == "assistant"), -1)


def _role(message: dict[str, Any]) -> str:
    role = message.get("role")
    return "tool" if role == "function" else role if isinstance(role, str) else ""


def _before(new: Sequence[dict[str, Any]]) -> str | None:
    """`tool`, where a tool's results stand between the last answer and the user's words."""
    first = next((i for i, message in enumerate(new) if _role(message) == "user"), 0)
    return "tool" if any(_role(message) == "tool" for message in new[:first]) else None


def _window(messages: Sequence[dict[str, Any]], context: Context) -> tuple[Turn, ...]:
    """The newest turns that fit. Of one that does not, the end: what the user answers to stands there."""
    left, turns = context.chars, list[Turn]()
    for turn in _newest(messages):
        if len(turns) == context.turns or left <= 0:
            break
        text = turn.text if len(turn.text) <= left else (CUT + turn.text[len(turn.text) - left + 1 :])[:left]
        turns.append(Turn(turn.role, text))
        left -= len(text)
    return tuple(reversed(turns))


def _newest(messages: Sequence[dict[str, Any]]) -> Iterator[Turn]:
    """The turns with words of the user and the assistant, newest first; a bounded number is looked at."""
    for message in reversed(messages[-_MOST_MESSAGES:]):
        role = _role(message)
        if role in {"user", "assistant"} and (text := _joined([message])):
            yield Turn(role, text)


def _joined(messages: Iterable[dict[str, Any]]) -> str:
    """The words of several messages that are one turn."""
    left, texts = _MOST_CHARS, list[str]()
    for message in reversed(list(messages)):
        if left <= 0:
            break
        raw = _raw(message)
        texts.append(without_harness(raw[-left:], begins_amid=len(raw) > left))
        left -= len(raw)
    return "\n\n".join(filter(None, reversed(texts)))


def _raw(message: dict[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else _parts(content)


def _parts(content: Json) -> str:
    if not isinstance(content, list):
        return ""
    return "\n".join(filter(None, map(_part, content[-_MOST_MESSAGES:])))


def _part(part: Json) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    kind, text = part.get("type"), part.get("text")
    if not isinstance(kind, str | None):
        return ""
    if kind in _TEXTS:
        return text if isinstance(text, str) else ""
    return _OBJECTS.get(kind or "", "")


def _has_words(text: str) -> bool:
    for mark in ("[image]", "[audio]", "[file]"):
        text = text.replace(mark, "")
    return not (not text or text.isspace())
