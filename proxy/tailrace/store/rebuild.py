"""Rows → the request and the answer that went over the wire. Reads in batches: a few queries for any number of rows.

    request = params (shape) + messages (path of prompt_node, system messages put back at their positions) + tools
    answer  = envelope (shape and values) + the message of each choice (core from its node, the rest from the envelope)

Parsed messages are shared between exchanges and with the caches: read them, never change them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, Protocol, TypeVar

import orjson
from sqlalchemy import BindParameter, Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from tailrace.bounded import Bounded
from tailrace.errors import WorkFailed
from tailrace.records import Endpoint, Json
from tailrace.store.codec import Codec
from tailrace.store.envelope import join, member
from tailrace.store.layout import CONVERSATION, Taken, put
from tailrace.store.parts import referred, whole
from tailrace.store.tables import Choice, Message, Node, Raw, Shape

V = TypeVar("V")

_FEW: Final = 1000
"""Ids in one query; a database bounds the parameters of a statement."""


class Stored(Protocol):
    """What is needed of a completion's row: the columns `COLUMNS`."""

    @property
    def seq(self) -> int: ...
    @property
    def params(self) -> int: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def context(self) -> int | None: ...
    @property
    def prompt_node(self) -> int: ...
    @property
    def answer_node(self) -> int | None: ...
    @property
    def answer_shape(self) -> int | None: ...
    @property
    def answer_values(self) -> bytes | None: ...
    @property
    def answer_id(self) -> str | None: ...


COLUMNS: Final = tuple(
    SQLModel.metadata.tables["completion"].c[name]
    for name in (
        "seq",
        "endpoint",
        "params",
        "context",
        "prompt_node",
        "answer_node",
        "answer_shape",
        "answer_values",
        "answer_id",
    )
)
"""What to select of `completion`, for rows that are `Stored`."""

_IDS: Final[BindParameter[list[int]]] = bindparam("ids", expanding=True)
_MESSAGES: Final = select(col(Message.id), col(Message.body)).where(col(Message.id).in_(_IDS))
_SHAPES: Final = select(col(Shape.id), col(Shape.body)).where(col(Shape.id).in_(_IDS))
_NODES: Final = select(col(Node.id), col(Node.parent), col(Node.message)).where(col(Node.id).in_(_IDS))
_CHOICES: Final = select(col(Choice.completion), col(Choice.index), col(Choice.node)).where(
    col(Choice.completion).in_(_IDS)
)
_RAWS: Final = select(col(Raw.completion), col(Raw.side), col(Raw.body)).where(col(Raw.completion).in_(_IDS))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. Where `…_raw` is set, the bytes are the truth and the JSON the nearest to them.

    `request` is None for a body that was no JSON; `answer` is None for that and where there was no answer.
    """

    request: Json | None
    answer: Json | None
    request_raw: bytes | None = None
    answer_raw: bytes | None = None


def _with_ancestors(nodes: Select[int, int, int]) -> Select[int, int, int]:
    """The nodes and all above them: one query, where a query a level would be as many as a path is long."""
    path = nodes.cte("path", recursive=True)
    path = path.union(
        select(col(Node.id), col(Node.parent), col(Node.message)).join(path, col(Node.id) == path.c.parent)
    )
    return select(path.c.id, path.c.parent, path.c.message)


_PATHS: Final = _with_ancestors(_NODES)


class Rebuilder:
    """Rebuilds from one reading connection, with bounded caches that outlive a batch."""

    def __init__(self, connection: AsyncConnection, *, cached: int = 20_000) -> None:
        """`cached`: how many messages, and how many nodes, are remembered at least."""
        self._connection = connection
        self._codec = Codec()
        self._messages: Bounded[int, tuple[Json]] = Bounded(cached)
        self._shapes: Bounded[int, tuple[Json]] = Bounded(cached)
        self._nodes: Bounded[int, tuple[int, int]] = Bounded(cached)

    async def exchanges(self, rows: Sequence[Stored], *, choices_only: bool = False) -> list[Exchange]:
        """The exchanges of `rows`, in their order. With `choices_only` a chat's answer has nothing but its `choices`.

        Raises:
            WorkFailed: a stored body is damaged, or missing.
        """
        seqs = [row.seq for row in rows]
        shapes = await self._load_shapes(
            {id_ for row in rows for id_ in (row.params, row.context, row.answer_shape) if id_}
        )
        choices = await self._choices(seqs)
        lists = {row.answer_node for row in rows if row.answer_node and row.endpoint == Endpoint.RESPONSES}
        paths = await self.paths({row.prompt_node for row in rows} | lists)
        nodes = await self._load_nodes(
            {row.answer_node for row in rows if row.answer_node}
            | {node for some in choices.values() for _, node in some}
        )
        wanted = {id_ for path in paths.values() for id_ in path} | {message for _, message in nodes.values()}
        wanted |= {id_ for row in rows if row.context for id_ in _context_ids(shapes[row.context][0])}
        messages = await self._load_messages(wanted)
        raws = await self._raws(seqs)
        answers = {node: message for node, (_, message) in nodes.items()}
        build = _Build(self._codec, shapes, messages, paths, answers, choices, choices_only)
        return [
            Exchange(
                build.request(row), build.answer(row), raws.get((row.seq, "request")), raws.get((row.seq, "answer"))
            )
            for row in rows
        ]

    async def envelopes(self, rows: Sequence[Stored]) -> list[Json | None]:
        """The answers of `rows` without their messages: of an error, all there is.

        Raises:
            WorkFailed: a stored body is damaged, or missing.
        """
        shapes = await self._load_shapes({row.answer_shape for row in rows if row.answer_shape})
        build = _Build(self._codec, shapes, {}, {}, {}, {})
        return [build.envelope(row) for row in rows]

    async def paths(self, nodes: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """Message ids from the first message to the node's, for each node; the empty path for node 0."""
        leaves = set(nodes)
        known: dict[int, tuple[int, int]] = {}
        wanted = leaves - {0}
        while wanted:
            known |= await _through(self._nodes, wanted, partial(self._fetch_nodes, _PATHS))
            wanted = {known[node][0] for node in wanted} - known.keys() - {0}
        return {leaf: _walk(leaf, known) for leaf in leaves}

    async def messages(self, ids: Iterable[int]) -> dict[int, Json]:
        """Messages and tool schemas by row id; an answer's message is its core (see `parts`)."""
        return {id_: box[0] for id_, box in (await self._load_messages(set(ids))).items()}

    async def _load_shapes(self, ids: set[int]) -> dict[int, tuple[Json]]:
        return await _through(self._shapes, ids, self._fetch_shapes)

    async def _load_nodes(self, ids: set[int]) -> dict[int, tuple[int, int]]:
        return await _through(self._nodes, ids, partial(self._fetch_nodes, _NODES))

    async def _load_messages(self, ids: set[int]) -> dict[int, tuple[Json]]:
        return await _through(self._messages, ids, self._fetch_messages)

    async def _fetch_shapes(self, ids: list[int]) -> dict[int, tuple[Json]]:
        rows = await self._connection.execute(_SHAPES, {"ids": ids})
        return {id_: (self._loads(body),) for id_, body in rows}

    async def _fetch_nodes(self, query: Select[int, int, int], ids: list[int]) -> dict[int, tuple[int, int]]:
        rows = await self._connection.execute(query, {"ids": ids})
        return {id_: (parent, message) for id_, parent, message in rows}

    async def _fetch_messages(self, ids: list[int]) -> dict[int, tuple[Json]]:
        rows = {row[0]: row[1] for row in await self._connection.execute(_MESSAGES, {"ids": ids})}
        split = {id_: parts for id_, body in rows.items() if (parts := referred(body)) is not None}
        cores = await self._load_messages({core for core, _ in split.values()}) if split else {}
        found = {id_: (self._loads(body),) for id_, body in rows.items() if id_ not in split}
        return found | {id_: (whole(cores[core][0], self._loads(rest)),) for id_, (core, rest) in split.items()}

    def _loads(self, stored: bytes) -> Json:
        try:
            return orjson.loads(self._codec.unpack(stored))
        except orjson.JSONDecodeError as exc:
            raise WorkFailed(f"a stored body is damaged: {exc}") from exc

    async def _choices(self, seqs: list[int]) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for ids in _chunks(seqs):
            for seq, index, node in await self._connection.execute(_CHOICES, {"ids": ids}):
                found.setdefault(seq, []).append((index, node))
        return found

    async def _raws(self, seqs: list[int]) -> dict[tuple[int, str], bytes]:
        found: dict[tuple[int, str], bytes] = {}
        for ids in _chunks(seqs):
            for seq, side, body in await self._connection.execute(_RAWS, {"ids": ids}):
                found[seq, side] = self._codec.unpack(body)
        return found


async def exchanges(connection: AsyncConnection, rows: Sequence[Stored]) -> list[Exchange]:
    """The exchanges of `rows`, for one batch only; for more, keep a `Rebuilder` and its caches."""
    return await Rebuilder(connection).exchanges(rows)


@dataclass(frozen=True, slots=True)
class _Build:
    """One batch, all fetched: puts each row together. Pure."""

    codec: Codec
    shapes: dict[int, tuple[Json]]
    messages: dict[int, tuple[Json]]
    paths: dict[int, tuple[int, ...]]
    answers: dict[int, int]  # node → its message
    choices: dict[int, list[tuple[int, int]]]
    choices_only: bool = False

    def request(self, row: Stored) -> Json | None:
        if not row.params:
            return None
        params = self.shapes[row.params][0]
        messages = [self.messages[id_][0] for id_ in self.paths[row.prompt_node]]
        if row.context:
            context = self.shapes[row.context][0]
            for position, id_ in context.get("system", ()):
                messages.insert(position, self.messages[id_][0])
            if "tools" in context:
                params = params | {"tools": [self.messages[id_][0] for id_ in context["tools"]]}
        return params | {CONVERSATION[Endpoint(row.endpoint)]: messages} if messages else params

    def answer(self, row: Stored) -> Json | None:
        envelope = self.envelope(row)
        if envelope is None:
            return None
        taken = [Taken(index, (self.messages[self.answers[node]][0],)) for index, node in self.choices.get(row.seq, ())]
        if row.answer_node:
            taken.append(Taken(0, self._first_choice(row, row.answer_node)))
        return put(row.endpoint, envelope, taken)

    def envelope(self, row: Stored) -> Json | None:
        if not row.answer_shape:
            return None
        shape = self.shapes[row.answer_shape][0]
        if row.answer_values is None:
            return shape
        try:
            values = self.codec.unpack(row.answer_values)
            if self.choices_only and row.endpoint == Endpoint.CHAT:
                return {"choices": member(shape, values, row.answer_id, "choices")}
            return join(shape, values, row.answer_id)
        except ValueError as exc:
            raise WorkFailed(f"the stored answer of completion {row.seq} is damaged: {exc}") from exc

    def _first_choice(self, row: Stored, node: int) -> tuple[Json, ...]:
        if row.endpoint != Endpoint.RESPONSES:
            return (self.messages[self.answers[node]][0],)
        items = self.paths[node][len(self.paths[row.prompt_node]) :]
        return tuple(self.messages[id_][0] for id_ in items)


def _context_ids(context: Json) -> list[int]:
    return [*(id_ for _, id_ in context.get("system", ())), *context.get("tools", ())]


def _walk(leaf: int, known: dict[int, tuple[int, int]]) -> tuple[int, ...]:
    path: list[int] = []
    while leaf:
        leaf, message = known[leaf]
        path.append(message)
    return tuple(reversed(path))


def _chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    rest = iter(ids)
    while few := list(islice(rest, _FEW)):
        yield few


async def _through(
    cache: Bounded[int, V], ids: set[int], fetch: Callable[[list[int]], Awaitable[dict[int, V]]]
) -> dict[int, V]:
    """The values of `ids`, and any others that came with them: from the cache, the missing ones fetched."""
    found = {id_: value for id_ in ids if (value := cache.get(id_)) is not None}
    for few in _chunks(ids - found.keys()):
        fetched = await fetch(few)
        if missing := set(few) - fetched.keys():
            raise WorkFailed(f"the store is damaged: no message, path or shape {min(missing)} is there")
        for id_, value in fetched.items():
            cache.put(id_, value)
        found |= fetched
    return found


async def readable(rebuilder: Rebuilder, rows: Sequence[Stored]) -> list[Exchange | None]:
    """The exchanges of `rows`, in their order; None for each whose stored body is damaged, so that it costs no other.

    For whoever goes on along the log, and must not stop at one row for good.
    """
    try:
        return list(await rebuilder.exchanges(rows))
    except WorkFailed:
        if len(rows) == 1:
            return [None]
    half = len(rows) // 2
    return await readable(rebuilder, rows[:half]) + await readable(rebuilder, rows[half:])
