"""The journal's one thread: runs disk work in order and tells the event loop how each piece ended. Decides nothing."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
_Task = tuple[Callable[[], object], Callable[[object, Exception | None], None]]


class DiskThread:
    """Work goes in with `submit` and comes back as a callback on the loop. `stop` it when nothing is under way."""

    __slots__ = ("_loop", "_tasks", "_thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tailrace-journal", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], object], done: Callable[[object, Exception | None], None]) -> None:
        """Run `work()` after all work submitted before it, then `done(its result, its exception)` on the loop."""
        self._tasks.put((work, done))

    async def idle(self) -> None:
        """Wait until all work submitted so far has ended, and its callbacks have run."""
        future: asyncio.Future[None] = self._loop.create_future()

        def reached(_result: object, _error: Exception | None) -> None:
            if not future.done():
                future.set_result(None)

        self.submit(lambda: None, reached)
        await future

    def stop(self) -> None:
        """End the thread after what was submitted; blocks until then."""
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            work, done = task
            result: object = None
            error: Exception | None = None
            try:
                result = work()
            except Exception as exc:  # noqa: BLE001 - top of the thread: a call that waits must hear of any failure
                error = exc
            self._loop.call_soon_threadsafe(done, result, error)
