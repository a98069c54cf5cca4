"""The file of templates, which a person reads and edits, and recipe and proxy load: JSON.

    {"tailrace_templates": 1,
     "templates": [{"id": "93c1…", "name": "support", "tag": "support",
                    "messages": [{"role": "system", "texts": [["You answer for ", {"slot": "company"}, "."]]},
                                 {"role": "user", "texts": [["Question: ", {"slot": "question"}]]}]}]}

Names, tags and `keep` are a person's to change. Who changes static text makes another template: the `id` no longer
fits and is left out, to be told by `tailrace export templates` or made up again here. `seen` is for people only.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tailrace.records import Json
from tailrace.templates.match import MAX_TEMPLATES, Templates
from tailrace.templates.template import ASSISTANT, Frame, Pattern, Slot, Template

MAX_FILE_BYTES: Final = 2**26
_VERSION: Final = 1
_MOST_CHARS: Final = 64


class TemplatesError(Exception):
    """A file of templates is wrong; the text says where and what to do."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Slot(_Table):
    slot: Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]


class _Message(_Table):
    role: Literal["system", "developer", "user", "assistant"]
    texts: tuple[tuple[str | _Slot, ...], ...]
    keep: bool = False


class _Template(_Table):
    id: str | None = None
    name: Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]
    tag: Annotated[str, Field(max_length=4 * _MOST_CHARS)] | None = None
    messages: Annotated[tuple[_Message, ...], Field(min_length=1)]
    seen: dict[str, Json] | None = None


class _File(_Table):
    tailrace_templates: Literal[1]
    templates: Annotated[tuple[_Template, ...], Field(max_length=MAX_TEMPLATES)]


def read_templates(path: Path) -> Templates:
    """The templates in the file `path`.

    Raises:
        TemplatesError: it cannot be read, or as `parse_templates`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise TemplatesError(f"{path} cannot be read ({exc.strerror}); `tailrace export templates` makes one") from exc
    try:
        return parse_templates(data)
    except TemplatesError as exc:
        raise TemplatesError(f"{path}: {exc}") from exc


def parse_templates(data: bytes) -> Templates:
    """The templates in the bytes of a file.

    Raises:
        TemplatesError: it is none, or a template in it says what cannot be.
    """
    if len(data) > MAX_FILE_BYTES:
        raise TemplatesError(f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise TemplatesError(
            f"is no JSON ({exc.msg} at line {exc.lineno}); `tailrace export templates` makes one"
        ) from exc
    try:
        file = _File.model_validate_json(orjson.dumps(parsed), strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise TemplatesError(f"{_pointer(first['loc']) or '/'}: {first['msg'][:1].lower()}{first['msg'][1:]}") from exc
    templates: dict[str, Template] = {}
    names: set[str] = set()
    for n, raw in enumerate(file.templates):
        template = _template(raw, f"/templates/{n}")
        other = templates.setdefault(template.id, template)
        if other is not template:
            raise TemplatesError(f'/templates/{n}: is the same as "{other.name}"; leave one out')
        if template.name in names:
            raise TemplatesError(f'/templates/{n}/name: another template is called "{template.name}"; rename one')
        names.add(template.name)
    return Templates(templates.values())


def file_of(templates: Iterable[Template], seen: Mapping[str, Json]) -> bytes:
    """The bytes of the file. `seen`: what is to be told of a template, by id."""
    content = {
        "tailrace_templates": _VERSION,
        "templates": [_as_json(template) | {"seen": seen[template.id]} for template in templates],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _as_json(template: Template) -> dict[str, Json]:
    return {
        "id": template.id,
        "name": template.name,
        "tag": template.tag,
        "messages": [
            {"role": frame.role, "texts": [[_segment(each) for each in text] for text in frame.texts]}
            | ({"keep": True} if frame.keep else {})
            for frame in template.frames
        ],
    }


def _segment(segment: str | Slot) -> Json:
    return {"slot": segment.name} if isinstance(segment, Slot) else segment


def _template(raw: _Template, place: str) -> Template:
    frames = tuple(Frame(each.role, tuple(_pattern(text) for text in each.texts), each.keep) for each in raw.messages)
    template = Template(raw.name, frames, raw.name if raw.tag is None else raw.tag)
    for problem in _problems(raw, template):
        raise TemplatesError(f"{place}{problem}")
    return template


def _pattern(text: tuple[str | _Slot, ...]) -> Pattern:
    """Without empty static text, and with static text in one piece."""
    pattern: list[str | Slot] = []
    for segment in text:
        if isinstance(segment, _Slot):
            pattern.append(Slot(segment.slot))
        elif segment and pattern and isinstance(pattern[-1], str):
            pattern[-1] += segment
        elif segment:
            pattern.append(segment)
    return tuple(pattern)


def _problems(raw: _Template, template: Template) -> Iterator[str]:
    if raw.id is not None and raw.id != template.id:
        yield f"/id: this static text is {template.id}; where it was meant to change, take the id out"
    for name in ("name", "tag"):
        if not (getattr(raw, name) or "").isprintable():
            yield f"/{name}: has a character that cannot be shown; rename it"
    for n, frame in enumerate(template.frames):
        yield from (f"/messages/{n}{problem}" for problem in _wrong(frame))
    last = template.frames[-1]
    if last.role == ASSISTANT:
        yield "/messages: end with the assistant's turn, which nothing follows; leave it out"
    elif last.texts and not last.keep and not any(left.slots or left.tag for left in template.left[-1]):
        yield f'/messages/{len(template.frames) - 1}: nothing would be left of it; give it "keep": true'


def _wrong(frame: Frame) -> Iterator[str]:
    if frame.role == ASSISTANT and not frame.keep:
        yield ': is the assistant\'s, which is never touched; give it "keep": true'
    if frame.role == ASSISTANT and not frame.texts:
        yield "/texts: an assistant's turn is recognised by its text; give it one"
    for n, text in enumerate(frame.texts):
        if any(isinstance(one, Slot) and isinstance(two, Slot) for one, two in pairwise(text)):
            yield f"/texts/{n}: two slots side by side cannot be told apart; put text between them, or make them one"
    for name in frame.slots:
        if not name.isprintable() or name != name.strip() or ":" in name:
            yield f'/texts: "{name}" is no name for a slot: printable, without a colon and space around'


def _pointer(place: tuple[int | str, ...]) -> str:
    return "".join(f"/{part}" for part in place if not isinstance(part, str) or part.isidentifier())
