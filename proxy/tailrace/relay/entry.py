"""A completion's place in the log, as the relay sees it: the journal's, or that of a call which nobody keeps."""

import asyncio
from typing import Protocol

from tailrace.records import End, Retried


class Entry(Protocol):
    """One completion's place in the log."""

    async def written(self) -> None: ...
    async def attempt(self, retried: Retried) -> None: ...
    def part(self, body: bytes) -> None: ...
    @property
    def is_crowded(self) -> bool: ...
    async def room(self) -> None: ...
    def end(self, end: End, body: bytes) -> asyncio.Future[None]: ...
    def amend(self, end: End) -> None: ...


class Unlogged:
    """The place of a call that the log cannot keep and the user chose to serve (`on_log_failure = "serve"`)."""

    async def written(self) -> None:
        return None

    async def attempt(self, retried: Retried) -> None:  # noqa: ARG002 - the interface of an entry
        return None

    def part(self, body: bytes) -> None:  # noqa: ARG002 - the interface of an entry
        return None

    @property
    def is_crowded(self) -> bool:
        return False

    async def room(self) -> None:
        return None

    def end(self, end: End, body: bytes) -> asyncio.Future[None]:  # noqa: ARG002 - the interface of an entry
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def amend(self, end: End) -> None:  # noqa: ARG002 - the interface of an entry
        return None
