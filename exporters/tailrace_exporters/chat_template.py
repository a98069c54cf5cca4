"""A local tokenizer: renders conversations with its chat template, and tells where the template marks answers.

    folder ─▶ chat_template.jinja | tokenizer_config.json ─▶ text, and the spans of {% generation %}
           └▶ tokenizer.json ─────────────────────────────▶ the spans of tokens in a text

Renders as Hugging Face's `apply_chat_template` does (the sandbox, its filters and functions, and which template is
taken where there are several), without its library. Imported only where a tokenizer is asked for: it needs the packages
of the extra `tokenizer`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from tailrace.errors import UserError
from tailrace.records import Json

Span = tuple[int, int]
"""Characters of a text, from the first to the one behind the last."""

_MARKS: Final = "".join(map(chr, range(0xFDD0, 0xFDF0)))
"""Code points that Unicode keeps free of characters, for a program's own use."""
_MOST_BYTES: Final = 64 << 20


class TemplateRefusesError(Exception):
    """The template does not take a conversation; the message is its own."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as text."""

    text: str
    marked: tuple[Span, ...]
    """What stands between `{% generation %}` and its end, in order."""


@dataclass(frozen=True, slots=True)
class _Marked:
    """A text with marks in it, and which they are: a part's begin and end, and a fence."""

    text: str
    marks: tuple[str, str, str]


class ChatTemplate:
    """A chat template and the vocabulary that goes with it."""

    def __init__(
        self, templates: Mapping[str, str], variables: Mapping[str, str], tokenizer: Tokenizer, now: datetime
    ) -> None:
        """`templates` by name, `default` among them; `variables`: its special tokens; `now`: for templates that ask.

        Raises:
            UserError: a template is none.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = now.strftime
        try:
            self._templates = {name: environment.from_string(text) for name, text in templates.items()}
        except TemplateError as exc:
            raise UserError(f"the chat template cannot be read ({exc}); give the folder of another tokenizer") from exc
        generation = environment.extensions[_Generation.identifier]
        assert isinstance(generation, _Generation)
        self._generation = generation
        self._variables = variables
        self._tokenizer = tokenizer

    def render(self, messages: Sequence[Json], tools: Json | None, *, opened: bool = False) -> Rendered:
        """The conversation as text. `opened`: up to where the model would go on.

        Raises:
            TemplateRefusesError: the template refuses it, or fails on it.
        """
        marked = self._marked(messages, tools, opened=opened)
        begin, end, _ = marked.marks
        return _unmarked(marked.text, begin, end)

    def claims(self, messages: Sequence[Json], tools: Json | None, index: int) -> bool:
        """Whether the template marks words of the message at `index`, whose content is text, as what the model says."""
        try:
            marked = self._marked(messages, tools, fenced=index)
        except TemplateRefusesError:  # it takes the conversation as it is, and nothing else is rendered
            return False
        begin, end, fence = marked.marks
        inside = False
        for mark in re.findall(f"[{begin}{end}{fence}]", marked.text):
            if mark == fence and inside:
                return True
            inside = mark == begin or (inside and mark != end)
        return False

    def _marked(
        self, messages: Sequence[Json], tools: Json | None, *, opened: bool = False, fenced: int | None = None
    ) -> "_Marked":
        """The text with its marks, and fences around the content of the message at `fenced`."""
        conversation = list(messages)
        given = {"messages": conversation, "tools": tools, "documents": None, "add_generation_prompt": opened}
        said = json.dumps(given, ensure_ascii=False)
        free = [mark for mark in _MARKS if mark not in said]
        if len(free) < 3:
            raise TemplateRefusesError("the conversation uses all the code points that mark answers here")
        begin, end, fence = free[:3]
        if fenced is not None:
            message = conversation[fenced]
            conversation[fenced] = message | {"content": f"{fence}{message['content']}{fence}"}
        template = self._templates.get("tool_use", self._templates["default"]) if tools else self._templates["default"]
        self._generation.marks = (begin, end)
        try:
            return _Marked(template.render(**self._variables, **given), (begin, end, fence))
        except (
            TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
            RecursionError,
        ) as exc:
            raise TemplateRefusesError(str(exc)) from exc  # a template is a program, and fails as one

    def tokens(self, text: str) -> list[Span]:
        """Where each token of a rendered text stands; tokens that share a character have the same span."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


def read_tokenizer_folder(folder: Path, now: datetime) -> ChatTemplate:
    """The chat template and vocabulary in `folder`, as Hugging Face's `save_pretrained` leaves them.

    Raises:
        UserError: something of it is not there, or not what it should be.
    """
    config = _json_object(folder / "tokenizer_config.json")
    try:
        tokenizer = Tokenizer.from_buffer(_read(folder / "tokenizer.json"))
    except UserError:
        raise
    except Exception as exc:  # the package raises no narrower kind for a file that is no tokenizer
        raise UserError(f"{folder / 'tokenizer.json'}: is no tokenizer ({exc})") from exc
    variables = {name: text for name, value in config.items() if (text := _special(name, value)) is not None}
    return ChatTemplate(_templates(folder, config), variables, tokenizer, now)


def _templates(folder: Path, config: Mapping[str, Json]) -> dict[str, str]:
    """A file of its own comes before the configuration's; each may have several, by name."""
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
        return {path.stem: _text(path) for path in more} | {"default": _text(alone)}
    found = config.get("chat_template")
    if isinstance(found, list):
        found = {str(each.get("name")): each.get("template") for each in found if isinstance(each, dict)}
    else:
        found = {"default": found}
    templates = {name: text for name, text in found.items() if isinstance(text, str)}
    if "default" not in templates:
        raise UserError(f"{folder}: the tokenizer has no chat template; give the folder of a chat model's tokenizer")
    return templates


def _special(name: str, value: Json) -> str | None:
    if not name.endswith("_token"):
        return None
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _json_object(path: Path) -> dict[str, Json]:
    try:
        found = json.loads(_read(path))
    except ValueError as exc:
        raise UserError(f"{path}: is no JSON ({exc})") from exc
    if not isinstance(found, dict):
        raise UserError(f"{path}: is no JSON object")
    return found


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as exc:
        raise UserError(f"{path}: byte {exc.start} is no UTF-8") from exc


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise UserError(f"{path}: cannot be read ({exc.strerror}); give a tokenizer's folder") from exc
    if len(data) > _MOST_BYTES:
        raise UserError(f"{path}: larger than {_MOST_BYTES} bytes; give a tokenizer's folder")
    return data


def _unmarked(text: str, begin: str, end: str) -> Rendered:
    """The text without its marks, and where they stood."""
    parts, spans, size, start = [], [], 0, 0
    for part in re.split(f"([{begin}{end}])", text):
        if part == begin:
            start = size
        elif part == end:
            spans.append((start, size))
        else:
            parts.append(part)
            size += len(part)
    return Rendered("".join(parts), tuple(spans))


class _Generation(Extension):
    """`{% generation %} … {% endgeneration %}`: what the model says, by the template's own word."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own attribute
    marks = ("", "")
    """What its text stands between."""

    def parse(self, parser: Parser) -> nodes.Node:
        """The block, its text between marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_between"), [], [], body).set_lineno(line)

    def _between(self, caller: Callable[[], str]) -> str:
        begin, end = self.marks
        return f"{begin}{caller()}{end}"


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _refuse(message: str) -> str:
    raise TemplateError(message)
