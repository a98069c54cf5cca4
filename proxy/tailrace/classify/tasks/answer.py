"""A model's answer, read. Pure, never fails: whatever came back is a reading on the list, or `none` with the reason.

chat completion ─▶ what it said ─▶ JSON, where it is ─▶ the task's `read` (with the off-list ladder) ─▶ Reading
"""

import re
from dataclasses import replace
from typing import Any, Final

import orjson

from tailrace.classify.logprobs import label_probabilities
from tailrace.classify.tasks.build import shown
from tailrace.classify.tasks.task import Brief, ReadError, Reading, nothing
from tailrace.classify.turn import Subject
from tailrace.records import Json

_MOST_CHARS: Final = 200_000
_MOST_REASONING: Final = 4000
_MOST_SAID: Final = 1000
_FENCED: Final = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_THOUGHT_END: Final = "</think>"
_BY_FINISH: Final = {"length": ReadError.CUT, "content_filter": ReadError.REFUSED}


def reading_of(brief: Brief, subject: Subject, answer: Json) -> Reading:
    """What the chat completion `answer` to `build.request_of(brief, subject)` says."""
    choice = _first(answer.get("choices")) if isinstance(answer, dict) else None
    message = choice.get("message") if choice is not None else None
    if choice is None or not isinstance(message, dict):
        return nothing(ReadError.EMPTY)
    text = _text(message).rpartition(_THOUGHT_END)[2].strip()[:_MOST_CHARS]
    stopped = _BY_FINISH.get(finish) if isinstance(finish := choice.get("finish_reason"), str) else None
    if not text:
        return nothing(ReadError.REFUSED if message.get("refusal") else stopped or ReadError.EMPTY)
    said = _parsed(text)
    reading = brief.task.read(said, brief, shown(subject.text))
    if reading.error is not None:
        return replace(reading, error=stopped or reading.error, said=text[:_MOST_SAID])
    return replace(reading, confidence=_confidence(brief, reading, choice), reasoning=_reasoning(said))


def _confidence(brief: Brief, reading: Reading, choice: dict[str, Any]) -> float | None:
    if not brief.task.single or not set(reading.labels) <= brief.labels.keys() or reading.value is not None:
        return None
    probabilities = label_probabilities(choice.get("logprobs"), list(brief.labels))
    return None if probabilities is None else probabilities.get(reading.label)


def _reasoning(said: Json) -> str | None:
    reasoning = said.get("reasoning") if isinstance(said, dict) else None
    return reasoning[:_MOST_REASONING] if isinstance(reasoning, str) else None


def _first(values: Json) -> dict[str, Any] | None:
    return values[0] if isinstance(values, list) and values and isinstance(values[0], dict) else None


def _text(message: dict[str, Any]) -> str:
    """The arguments of its tool's call (a text that is JSON), else its words."""
    call = _first(message.get("tool_calls"))
    function = call.get("function") if call is not None else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if isinstance(arguments, str) and arguments.strip():
        return arguments
    content = message.get("content")
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _parsed(text: str) -> Json:
    """The JSON that `text` is, or has a fence or words around; else the text."""
    candidates = [text]
    if (fenced := _FENCED.search(text)) is not None:
        candidates.append(fenced[1])
    begin, end = text.find("{"), text.rfind("}")
    if 0 <= begin < end:
        candidates.append(text[begin : end + 1])
    for candidate in candidates:
        try:
            parsed = orjson.loads(candidate)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            continue
        if isinstance(parsed, dict | list | str):
            return parsed
    return text
