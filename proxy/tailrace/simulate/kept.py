"""Responses that a provider keeps: what `GET`, `DELETE`, `cancel` and `input_items` answer from, and what a question
that names an earlier one goes on from.

Owns them and their bound: the newest, so many bytes of JSON together. Conversations are kept alike, by their name.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qs, unquote

import orjson

from tailrace.records import Json
from tailrace.simulate import responses
from tailrace.simulate.acts import Act
from tailrace.simulate.answer import Answer, Asked, BadRequest, Said, Stamp
from tailrace.simulate.call import json_acts
from tailrace.simulate.ledger import SimRequest
from tailrace.simulate.wire import Manner

_MOST_BYTES: Final = 32 * 2**20
_PATH: Final = re.compile(r"/responses/(?P<id>[^/]+)(?P<what>/cancel|/input_items)?$")


@dataclass(frozen=True, slots=True)
class _Kept:
    document: bytes
    items: bytes
    said: tuple[Said, ...]  # all that was said up to its answer, and the answer

    @property
    def size_bytes(self) -> int:
        return len(self.document) + len(self.items) + sum(4 * len(one.text) for one in self.said)


class Keeper:
    """The kept responses of one provider."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()
        self._bytes = 0

    def before(self, body: dict[str, Json]) -> tuple[Said, ...]:
        """What was said before a question. Raises BadRequest where it names a response that is not kept."""
        previous = body.get("previous_response_id")
        if isinstance(previous, str):
            found = self._kept.get(previous)
            if found is None:
                message, param = f"Previous response with id '{previous}' not found.", "previous_response_id"
                raise BadRequest(message, param, code="previous_response_not_found")
            return found.said
        kept = self._kept.get(conversation(body) or "")
        return () if kept is None else kept.said

    def keep(self, asked: Asked, document: dict[str, Json]) -> None:
        """An answer was given."""
        kept = _Kept(
            orjson.dumps(document), orjson.dumps(_items(asked.body, document)), (*asked.messages, *_told(document))
        )
        if asked.body.get("store") is not False:
            self._put(document["id"], kept)
        if name := conversation(asked.body):
            self._put(name, kept)

    def answer(self, request: SimRequest) -> Sequence[Act] | None:
        """The answer to a request about one kept response; None where the path names none."""
        found = _PATH.search(request.path)
        if found is None or (request.method, found["what"]) not in _ASKED:
            return None
        id_ = unquote(found["id"])
        kept = self._kept.get(id_)
        if kept is None:
            message = f"Response with id '{id_}' not found."
            return json_acts(404, responses.failure(message, kind="invalid_request_error", status=404))
        if request.method == "DELETE":
            self._drop(id_)
            return json_acts(200, {"id": id_, "object": "response", "deleted": True})
        if found["what"] == "/input_items":
            return json_acts(200, _page(orjson.loads(kept.items), request.query))
        document = orjson.loads(kept.document)
        if found["what"] == "/cancel":
            return _cancelled(document)
        return json_acts(200, document)

    def _put(self, name: str, kept: _Kept) -> None:
        self._drop(name)
        self._kept[name] = kept
        self._bytes += kept.size_bytes
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        self._bytes -= 0 if kept is None else kept.size_bytes


_ASKED: Final = frozenset((("GET", None), ("DELETE", None), ("POST", "/cancel"), ("GET", "/input_items")))


@dataclass(frozen=True, slots=True)
class Remembering:
    """The responses wire of a provider that keeps what it answers."""

    keeper: Keeper
    MANNER: Manner = field(init=False, default=responses.MANNER)
    TERMINAL: bytes = field(init=False, default=responses.TERMINAL)
    frame = staticmethod(responses.frame)
    failure = staticmethod(responses.failure)

    def read(self, body: Json, path: str) -> Asked:
        """The question, behind what it goes on from. Raises BadRequest."""
        asked = responses.read(body, path)
        return replace(asked, messages=(*self.keeper.before(body), *asked.messages))

    def document(self, asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
        """The body of a plain answer."""
        document = responses.document(asked, answer, stamp)
        self.keeper.keep(asked, document)
        return document

    def events(self, asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
        """All events of a streamed answer. It is kept when the last one is asked for."""
        for event in responses.events(asked, answer, stamp):
            if event["type"] in {"response.completed", "response.incomplete"}:
                self.keeper.keep(asked, event["response"])
            yield event


def conversation(body: Mapping[str, Json]) -> str | None:
    """The id of the conversation that a question belongs to."""
    named = body.get("conversation")
    found = named.get("id") if isinstance(named, dict) else named
    return found if isinstance(found, str) else None


def _told(document: dict[str, Json]) -> Iterator[Said]:
    for item in document["output"]:
        if item["type"] == "message":
            yield Said("assistant", "".join(part.get("text") or part.get("refusal") or "" for part in item["content"]))


def _items(body: Mapping[str, Json], document: dict[str, Json]) -> list[Json]:
    """The question's items, each with an id."""
    given = body.get("input")
    items: list[Json] = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())
    name = document["id"].removeprefix("resp_")
    return [{"id": f"msg_{name}in{i:04d}", "type": "message", **item, **_content(item)} for i, item in enumerate(items)]


def _content(item: dict[str, Json]) -> dict[str, Json]:
    content = item.get("content")
    return {"content": [{"type": "input_text", "text": content}]} if isinstance(content, str) else {}


def _page(items: list[Json], query: str) -> dict[str, Json]:
    """The items, newest first unless `order=asc` asks otherwise, at most `limit`, after the one of id `after`."""
    wanted = {name: values[-1] for name, values in parse_qs(query).items()}
    if wanted.get("order") != "asc":
        items.reverse()
    ids = [item["id"] for item in items]
    if wanted.get("after") in ids:
        items = items[ids.index(wanted["after"]) + 1 :]
    limit = wanted.get("limit", "20")
    page = items[: max(1, min(100, int(limit) if limit.isdecimal() else 20))]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(page) < len(items),
    }


def _cancelled(document: dict[str, Json]) -> Sequence[Act]:
    if document.get("background") is not True:
        message = "Cannot cancel a synchronous response."
        return json_acts(400, responses.failure(message, kind="invalid_request_error", status=400))
    return json_acts(200, {**document, "status": "cancelled"})
