"""Content → ids inside the store, for one transaction. Owns the ids it hands out and the rows that these need.

After COMMIT `remember` tells the catalog; after a rollback the object is dropped and with it all it handed out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy import BindParameter, Select, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from tailrace.bounded import Bounded
from tailrace.chains.canonical import content_hash
from tailrace.store.codec import Codec
from tailrace.store.parts import refer
from tailrace.store.tables import Message, Node, Shape
from tailrace.writer.asking import STEP, Row, ask, chunks
from tailrace.writer.catalog import Catalog
from tailrace.writer.prepared import Content, Prepared

_HASHES: Final[BindParameter[list[bytes]]] = bindparam("hashes", expanding=True)
_MESSAGES: Final = select(col(Message.hash), col(Message.id)).where(col(Message.hash).in_(_HASHES))
_SHAPES: Final = select(col(Shape.hash), col(Shape.id)).where(col(Shape.hash).in_(_HASHES))
_NODES: Final = select(STEP.c.parent, STEP.c.message, col(Node.id)).join(
    Node, and_(col(Node.parent) == STEP.c.parent, col(Node.message) == STEP.c.message)
)


@dataclass(frozen=True, slots=True)
class Placed:
    """The ids of one completion's parts. `choices` are (index, node)."""

    params: int
    context: int | None
    prompt_node: int
    envelope: int | None
    choices: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Walk:
    """A path on its way down: the node reached, and the messages still to go."""

    node: int
    left: list[int]  # reversed: the next one is the last


class Identities:
    """Finds or makes the ids of a batch; the new rows gather in `messages`, `shapes` and `nodes`."""

    def __init__(self, connection: AsyncConnection, catalog: Catalog, codec: Codec) -> None:
        self.last = replace(catalog.last)
        self.messages: list[Row] = []
        self.shapes: list[Row] = []
        self.nodes: list[Row] = []
        self._connection = connection
        self._catalog = catalog
        self._codec = codec
        self._message_ids: dict[bytes, int] = {}
        self._shape_ids: dict[bytes, int] = {}
        self._node_ids: dict[tuple[int, int], int] = {}

    async def place(self, batch: Sequence[Prepared]) -> list[Placed]:
        """The ids of all parts of `batch`, in its order."""
        await self._place_messages([content for item in batch for content in _messages_of(item)])
        contexts = [self._context(item) for item in batch]
        parts = [part for item in batch for part in (item.request.params, item.answer.envelope)]
        await self._place_shapes([shape for shape in (*parts, *contexts) if shape is not None])
        prompts = await self._place_paths([(0, self._ids(item.request.path)) for item in batch])
        starts = [
            (node, self._ids(choice.messages))
            for node, item in zip(prompts, batch, strict=True)
            for choice in item.answer.choices
        ]
        answers = iter(await self._place_paths(starts))
        return [
            Placed(
                params=self._shape(item.request.params) or 0,
                context=self._shape(context),
                prompt_node=prompt,
                envelope=self._shape(item.answer.envelope),
                choices=tuple((choice.index, next(answers)) for choice in item.answer.choices),
            )
            for item, context, prompt in zip(batch, contexts, prompts, strict=True)
        ]

    def remember(self) -> None:
        """The transaction was committed."""
        self._catalog.last = self.last
        for hash_, id_ in self._message_ids.items():
            self._catalog.messages.put(hash_, id_)
        for hash_, id_ in self._shape_ids.items():
            self._catalog.shapes.put(hash_, id_)
        for step, node in self._node_ids.items():
            self._catalog.nodes.put(step, node)

    def _ids(self, contents: Iterable[Content]) -> list[int]:
        return [self._message_ids[content.hash] for content in contents]

    def _shape(self, shape: Content | None) -> int | None:
        return None if shape is None else self._shape_ids[shape.hash]

    def _context(self, item: Prepared) -> Content | None:
        """System messages with their positions, and tools, as a shape; None where a request has neither."""
        system, tools = item.request.system, item.request.tools
        if not system and not tools:
            return None
        context: dict[str, Any] = {}
        if system:
            context["system"] = [[at, self._message_ids[message.hash]] for at, message in system]
        if tools:
            context["tools"] = self._ids(tools)
        body = orjson.dumps(context)
        return Content(content_hash(body, item.project), body)

    async def _place_messages(self, contents: list[Content]) -> None:
        for content in await self._unknown(contents, self._message_ids, self._catalog.messages, _MESSAGES):
            self.last.message += 1
            self._message_ids[content.hash] = self.last.message
            body = self._codec.pack(content.body)
            if content.core is not None:
                body = refer(self._message_ids[content.core.hash], body)
            self.messages.append((self.last.message, content.hash, body))

    async def _place_shapes(self, shapes: list[Content]) -> None:
        for shape in await self._unknown(shapes, self._shape_ids, self._catalog.shapes, _SHAPES):
            self.last.shape += 1
            self._shape_ids[shape.hash] = self.last.shape
            self.shapes.append((self.last.shape, shape.hash, self._codec.pack(shape.body)))

    async def _unknown(
        self, contents: list[Content], ids: dict[bytes, int], remembered: Bounded[bytes, int], query: Select[bytes, int]
    ) -> list[Content]:
        """Fill `ids` from memory and the store; returns what neither has, each once, in the order of `contents`."""
        asked: dict[bytes, Content] = {}
        for content in contents:
            if content.hash in ids or content.hash in asked:
                continue
            id_ = remembered.get(content.hash)
            if id_ is None:
                asked[content.hash] = content
            else:
                ids[content.hash] = id_
        for few in chunks(asked):
            ids.update((hash_, id_) for hash_, id_ in await self._connection.execute(query, {"hashes": few}))
        return [content for content in asked.values() if content.hash not in ids]

    async def _place_paths(self, paths: Iterable[tuple[int, list[int]]]) -> list[int]:
        """The node at the end of each path; a path is the node it starts from, and messages.

        One query a level for all paths together, and none below the first node that is new.
        """
        known_before = self._catalog.last.node
        walks = [_Walk(start, messages[::-1]) for start, messages in paths]
        under_way = walks
        while under_way:
            asked = {(walk.node, walk.left[-1]) for walk in under_way if not self._descend(walk)}
            under_way = [walk for walk in under_way if walk.left]
            await self._fetch_nodes([step for step in asked if step[0] <= known_before])
            for walk in under_way:
                step = (walk.node, walk.left[-1])
                if step not in self._node_ids:
                    self._make_node(step)
        return [walk.node for walk in walks]

    def _descend(self, walk: _Walk) -> bool:
        """Go down as far as is known; whether that is the end."""
        known, remembered = self._node_ids, self._catalog.nodes
        while walk.left:
            step = (walk.node, walk.left[-1])
            node = known.get(step)
            if node is None:
                node = remembered.get(step)
                if node is None:
                    if walk.node <= self._catalog.last.node:
                        return False
                    node = self._make_node(step)
                else:
                    known[step] = node
            walk.node = node
            walk.left.pop()
        return True

    def _make_node(self, step: tuple[int, int]) -> int:
        self.last.node += 1
        self._node_ids[step] = self.last.node
        self.nodes.append((self.last.node, *step))
        return self.last.node

    async def _fetch_nodes(self, steps: list[tuple[int, int]]) -> None:
        if steps:
            await ask(self._connection, STEP, steps)
            for parent, message, node in await self._connection.execute(_NODES):
                self._node_ids[parent, message] = node


def _messages_of(item: Prepared) -> Iterator[Content]:
    """All that goes into `message`, cores before what refers to them."""
    yield from _with_cores(item.request.path)
    yield from (message for _, message in item.request.system)
    yield from item.request.tools
    for choice in item.answer.choices:
        yield from choice.messages


def _with_cores(contents: Iterable[Content]) -> Iterator[Content]:
    for content in contents:
        if content.core is not None:
            yield content.core
        yield content
