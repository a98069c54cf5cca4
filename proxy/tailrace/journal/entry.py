"""One completion's records, as who logs it sees them. The journal keeps them; this knows where they stand."""

import asyncio
from typing import Protocol

from tailrace.journal.commits import Waiter
from tailrace.records import End, Retried


class Keeper(Protocol):
    """What an entry needs of its journal."""

    part_bytes: int

    def new_waiter(self) -> Waiter: ...
    def attempt(self, entry: "Entry", retried: Retried) -> Waiter: ...
    def part(self, entry: "Entry", body: bytes) -> None: ...
    def end(self, entry: "Entry", end: End, body: bytes, waiter: Waiter) -> None: ...
    def amend(self, entry: "Entry", end: End) -> None: ...
    def next_room(self) -> Waiter:
        """Resolves when there is a fresh segment, or trouble."""


class Entry:
    """One completion's records. Made by `Journal.begin`."""

    __slots__ = ("_keeper", "cut", "ended", "generation", "held", "home", "id", "late", "started")

    def __init__(self, keeper: Keeper, id_: bytes, generation: int, started: Waiter) -> None:
        self._keeper = keeper
        self.id = id_
        self.generation = generation  # of the segments its records are in
        self.home = 0  # number of START's segment; 0 while it waits for room
        self.started = started
        self.held = b""  # of the answer: found no room yet
        self.cut = False  # of the answer, what came after `held` was dropped
        self.ended: Waiter | None = None
        self.late: tuple[End, bytes] | None = None  # END came before START had found room

    async def written(self) -> None:
        """START is with the kernel: it survives this process. Await it before the provider is contacted.

        Raises:
            LogUnavailable: it is not in the log; nothing more of this entry will be.
        """
        await self.started

    async def attempt(self, retried: Retried) -> None:
        """A further provider call begins: as `written`, for that."""
        await self._keeper.attempt(self, retried)

    def part(self, body: bytes) -> None:
        """Some of the answer's bytes, in order. A failure shows at `end`."""
        self._keeper.part(self, body)

    @property
    def is_crowded(self) -> bool:
        """More of the answer waits for room than may; `room` says when to go on."""
        return not self.cut and len(self.held) >= self._keeper.part_bytes

    async def room(self) -> None:
        """Returns when what waits has found room, or never will."""
        while self.is_crowded:
            await self._keeper.next_room()
            self._keeper.part(self, b"")

    def end(self, end: End, body: bytes) -> asyncio.Future[None]:
        """How it ended, and the rest of the answer's bytes.

        Synchronous, so that it holds in the `finally` of a cancelled task. The future resolves when END is durable, and
        else gets LogUnavailable; nobody need wait for it. A second call is the first one's.
        """
        if self.ended is None:
            self.ended = self._keeper.new_waiter()
            if self.held:
                body = self.held if self.cut else self.held + body
            self._keeper.end(self, end, body, self.ended)
        return self.ended

    def amend(self, end: End) -> None:
        """After `end`: it ended otherwise, because the client was cut off while END was not yet durable."""
        self._keeper.amend(self, end)
