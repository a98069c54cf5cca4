"""`tailrace logs show ID`: one completion and everything that is known of it. Pure, but for `load`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from rich.text import Text
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands import logs_json, logs_labels
from tailrace.commands.logs_labels import Beside
from tailrace.commands.logs_table import style_of
from tailrace.commands.speech import choices_of, dumped, messages_of, speaker, spoken
from tailrace.commands.terminal import escaped, json_line, lasting, local_time, many_lines, one_line
from tailrace.records import Json, Label, LinkKind
from tailrace.store import labels as stored
from tailrace.store import read
from tailrace.store.layout import CONVERSATION
from tailrace.store.read import Filed
from tailrace.store.rebuild import Exchange, exchanges

_LINKS: Final[dict[str, str]] = {
    LinkKind.EXACT: "the client named it",
    LinkKind.SESSION: "same conversation so far, same session or user",
    LinkKind.INFERRED: "same conversation so far, and no other has it",
    LinkKind.AMBIGUOUS: "same conversation so far; of several that have it, the likeliest",
}
_NAME_CELLS: Final = 19
_INDENT: Final = "    "
_LONG_CHARS: Final = 2000
_KEPT: Final = "kept as bytes too, because JSON could not stand for them: see --raw"
_SAID: Final = frozenset(CONVERSATION.values())


@dataclass(frozen=True, slots=True)
class Shown:
    """A completion with all that belongs to it."""

    row: Filed
    parents: dict[int, UUID]
    attempts: Sequence[Row[Any]]
    feedback: Sequence[Row[Any]]
    beside: Beside
    labels: Sequence[Label]
    exchange: Exchange

    def as_json(self) -> Json:
        """For machines."""
        return logs_json.whole(
            self.row, self.parents, self.attempts, self.feedback, self.beside, self.labels, self.exchange
        )


async def load(connection: AsyncConnection, id_text: str) -> Shown:
    """Everything of the completion whose id begins with `id_text`.

    Raises:
        UserError: as `read.one`.
        WorkFailed: a stored body is damaged.
    """
    row = await read.one(connection, id_text)
    parents = await read.names(connection, logs_json.parents_of([row]))
    attempts = (await read.attempts(connection, [row.seq])).get(row.seq, [])
    (exchange,) = await exchanges(connection, [row])
    feedback, beside = await read.feedback(connection, row.seq), await logs_labels.load(connection, [row])
    labels = (await stored.history(connection, [row.id])).get(row.id, [])
    return Shown(row, parents, attempts, feedback, beside, labels, exchange)


def page(shown: Shown) -> Iterator[Text]:
    """The lines for a person: the fields, the provider's calls, the conversation, what was said of it."""
    yield from _fields(shown)
    yield from _attempts(shown.attempts)
    yield _title("request")
    yield from _request(shown.row.endpoint, shown.exchange)
    yield _title("answer")
    yield from _answer(shown)
    if shown.labels or shown.beside.actions:
        yield _title("labels and actions")
        yield from logs_labels.history(shown.labels, shown.beside.actions.get(shown.row.id, ()))
    yield from _feedback(shown.feedback)


def raw(exchange: Exchange) -> Iterator[bytes]:
    """The request, then the answer, as JSON; where bytes are kept because JSON could not stand for them, the bytes."""
    for value, kept in ((exchange.request, exchange.request_raw), (exchange.answer, exchange.answer_raw)):
        if kept is not None:
            yield kept
        elif value is not None:
            yield json_line(dumped(value)).encode()


def _fields(shown: Shown) -> Iterator[Text]:
    row = shown.row
    known = logs_json.fields(row, shown.parents)
    chain, tags = known.pop("chain"), known.pop("tags")
    known["started"] = local_time(row.started_us)
    known |= {
        name: lasting(round(known[name] * 1000)) for name in known if name.endswith("_ms") and known[name] is not None
    }
    known |= {f"chain.{name}": value for name, value in chain.items()} | {f"tags.{name}": tags[name] for name in tags}
    for name, value in known.items():
        note = f"  ({_LINKS[row.link_kind]})" if name == "link_kind" and row.link_kind in _LINKS else ""
        style = style_of(row.status) if name == "status" else ""
        yield Text(f"{escaped(name):{_NAME_CELLS}} ", "bold").append(_value(value) + note, f"not bold {style}")


def _value(value: Json) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else one_line(str(value))


def _attempts(attempts: Sequence[Row[Any]]) -> Iterator[Text]:
    if attempts:
        yield _title("calls of providers")
    for attempt in attempts:
        call = f"{attempt.provider} {attempt.model}"
        facts = (attempt.outcome, attempt.http_status, attempt.error, lasting(attempt.duration_us))
        ended = escaped("  ".join(str(fact) for fact in facts if fact))
        line = Text(f"{attempt.n:>3}  {local_time(attempt.started_us)}  {one_line(call)}  ")
        yield line.append(ended, style_of(attempt.outcome))
        if attempt.detail:
            yield Text(f"     {one_line(attempt.detail)}", "dim")


def _request(endpoint: str, exchange: Exchange) -> Iterator[Text]:
    request, messages = exchange.request, messages_of(endpoint, exchange.request)
    if exchange.request_raw is not None:
        yield Text(_KEPT, "italic")
    if isinstance(request, dict):
        params = {key: value for key, value in request.items() if key != "tools" and not (messages and key in _SAID)}
        yield Text(one_line(dumped(params).decode(), chars=_LONG_CHARS), "dim")
        if isinstance(request.get("tools"), list):
            yield Text(
                "tools: " + one_line(", ".join(_tool(tool) for tool in request["tools"]), chars=_LONG_CHARS), "dim"
            )
    for message in messages:
        yield from said(message, _INDENT)


def _tool(tool: Json) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    named = function if isinstance(function, dict) else tool
    name = (named.get("name") or named.get("type")) if isinstance(named, dict) else None
    return name if isinstance(name, str) else "?"


def _answer(shown: Shown) -> Iterator[Text]:
    exchange = shown.exchange
    if exchange.answer is None:
        yield from _unread(exchange.answer_raw)
        return
    if exchange.answer_raw is not None:
        yield Text(_KEPT, "italic")
    choices = choices_of(shown.row.endpoint, exchange.answer)
    for message in choices:
        yield from said(message, _INDENT)
    if not choices:
        yield _beginning(dumped(exchange.answer).decode())


def _unread(raw_: bytes | None) -> Iterator[Text]:
    """An answer that is no JSON: where it comes from, often a page of something in between."""
    if raw_ is None:
        yield Text("none", "dim")
        return
    yield Text("no JSON, kept as it came:", "italic")
    yield _beginning(raw_.decode(errors="backslashreplace"))


def _beginning(text: str) -> Text:
    return Text(one_line(text, chars=_LONG_CHARS) + (" … (--raw has all of it)" if len(text) > _LONG_CHARS else ""))


def said(message: Json, indent: str) -> Iterator[Text]:
    """A message: who says it, and under it what."""
    yield Text(one_line(speaker(message)), "bold cyan")
    for line in many_lines(spoken(message)):
        yield Text(indent + line)


def _feedback(said: Sequence[Row[Any]]) -> Iterator[Text]:
    if said:
        yield _title("feedback")
    for one in said:
        score = None if one.score is None else f"{one.score:g}"
        words = " ".join(word for word in (one.source, one.thumb, score, one.text) if word)
        yield Text(f"{local_time(one.at_us)}  {one_line(words)}")
        if one.correction is not None:
            yield Text(_INDENT + one_line("better: " + spoken(orjson.loads(one.correction)), chars=_LONG_CHARS))


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold underline")
