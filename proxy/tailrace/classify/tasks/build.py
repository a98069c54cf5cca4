"""The chat request that asks a model for a label.

    system     the task, the rules, your instructions, labels, question, glossary, passages, the form of the answer
    user       an example's text            } each example
    assistant  its answer                   }
    user       what was said before; then the text between <message_to_classify> and </message_to_classify>
    (assistant, user: an answer off the list, and the same once more)

Nothing that a caller wrote stands in the system message. The words of the prompt are in `frame.md` and beside each
task; here is only their order.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Template
from typing import Any, Final

import orjson

from tailrace.classify.tasks.task import FOLDER, Brief
from tailrace.classify.turn import Subject

BEGIN: Final = "<message_to_classify>"
END: Final = "</message_to_classify>"
TOOL: Final = "answer"
TOP_LOGPROBS: Final = 20
"""The most that providers give."""

_TAG: Final = re.compile(r"<(?=\s*/?\s*(?:message_to_classify|turn)\b)", re.IGNORECASE)
_DEFUSED: Final = "‹"  # one character for one, so that offsets stay

_NOTHING: Final = "…"  # providers refuse an empty message
_FRAME_TEXT: Final = (FOLDER / "frame.md").read_text("utf-8")
_FRAME: Final = {
    name: Template(text.strip())
    for name, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", _FRAME_TEXT, re.MULTILINE | re.DOTALL)
}


def request_of(
    brief: Brief, subject: Subject, *, shots: Sequence[tuple[Subject, Any]] = (), passages: Sequence[str] = ()
) -> dict[str, Any]:
    """The body for `/v1/chat/completions`. `shots` are examples with the JSON that answers each; `passages` come from
    documents of the operator's own."""
    messages = [{"role": "system", "content": "\n\n".join(_system(brief, subject, passages))}]
    for example, answer in shots:
        messages.append({"role": "user", "content": asked(example)})
        messages.append({"role": "assistant", "content": orjson.dumps(answer).decode()})
    messages.append({"role": "user", "content": asked(subject)})
    body: dict[str, Any] = {"model": brief.model, "messages": messages}
    if brief.temperature is not None:
        body["temperature"] = brief.temperature
    if brief.max_tokens is not None:
        body["max_completion_tokens"] = brief.max_tokens
    if brief.logprobs and brief.task.single and brief.output != "tool":
        body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    return body | _form(brief)


def corrected(body: dict[str, Any], brief: Brief, said: str = "") -> dict[str, Any]:
    """The same question once more, after the answer `said` (`Reading.said`) that was `correctable`: what is possible is
    said again, and the message to classify stands at the end again."""
    words = _said("again", ", ".join(f"`{label}`" for label in brief.labels))
    messages = body["messages"]
    again = {"role": "user", "content": f"{words}\n\n{messages[-1]['content']}"}
    return body | {"messages": [*messages, {"role": "assistant", "content": said or _NOTHING}, again]}


def shown(text: str) -> str:
    """A caller's text as it is shown: our own tags in it are no tags. Of the same length, so that offsets hold."""
    return _TAG.sub(_DEFUSED, text)


def asked(subject: Subject) -> str:
    """The user message that holds `subject`."""
    parts = []
    if subject.turns:
        turns = (f'<turn role="{turn.role}">\n{shown(turn.text)}\n</turn>' for turn in subject.turns)
        parts.append(_said("context", "\n".join(turns)))
    if subject.previous is not None:
        parts.append(_said("previous", subject.previous))
    parts.append(f"{BEGIN}\n{shown(subject.text)}\n{END}")
    return "\n\n".join(parts)


def frame_and_prompt(brief: Brief) -> str:
    """Our own part of the prompt, for the classifier's version."""
    return f"{_FRAME_TEXT}\n{brief.task.prompt}"


def _system(brief: Brief, subject: Subject, passages: Sequence[str]) -> Iterator[str]:
    yield brief.task.prompt
    yield _said("rules")
    if brief.instructions.strip():
        yield _said("instructions", brief.instructions.strip())
    yield _said("labels", _list(brief.labels))
    if brief.question:
        yield _said("question", brief.question)
    if terms := found_terms(brief.glossary, subject):
        yield _said("glossary", _list(terms))
    if passages:
        yield _said("passages", "\n\n".join(passages))
    yield _said(brief.output, orjson.dumps(_schema(brief)).decode())
    if brief.reasoning:
        yield _said("reasoning")


def _list(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {text}" if text else f"- {name}" for name, text in entries.items())


def found_terms(glossary: Mapping[str, str], subject: Subject) -> dict[str, str]:
    """The entries whose term stands as a word in the text or in what was said before."""
    seen = "\n".join((*(turn.text for turn in subject.turns), subject.text)).casefold()
    return {term: text for term, text in glossary.items() if _stands_in(term.casefold(), seen)}


def _stands_in(term: str, seen: str) -> bool:
    return term in seen and re.search(rf"(?<!\w){re.escape(term)}(?!\w)", seen) is not None


def _said(name: str, text: str = "") -> str:
    return _FRAME[name].substitute(text=text)


def _schema(brief: Brief) -> dict[str, Any]:
    properties = {"reasoning": {"type": "string"}} if brief.reasoning else {}
    properties |= brief.task.properties(brief)
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _form(brief: Brief) -> dict[str, Any]:
    if brief.output == "text":
        return {}
    if brief.output == "tool":
        function = {"name": TOOL, "parameters": _schema(brief), "strict": True}
        choice = {"type": "function", "function": {"name": TOOL}}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    form = {"name": brief.task.name, "strict": True, "schema": _schema(brief)}
    return {"response_format": {"type": "json_schema", "json_schema": form}}
