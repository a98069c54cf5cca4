"""Why a call must end before its time: its client left, one of its clocks ran out, or the process shuts down.

One guard a call. It interrupts the call by cancelling its task with a cause beside it; the call catches the
cancellation, asks `cause`, and goes on to log how it ended. A cancellation without a cause is someone else's and must
be raised again.

Cost decides the shape: one timer a call, armed again only when it fires, instead of one for each clock and chunk; and
no task that listens for the client's leaving until the call is older than `WATCH_AFTER_S`. A call that ends earlier
asks once, with `client_is_gone`, before it says how it ended.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self

from tailrace.settings import Timeouts

WATCH_AFTER_S: Final = 0.25
TICK_S: Final = 0.5
AFTER_TERMINAL_S: Final = 0.25
"""How long the transport's end may lag behind a stream's terminal event before the answer is taken as whole."""

Receive = Callable[[], Awaitable[Any]]


class Cause(Enum):
    """Why a call was interrupted."""

    CLIENT_GONE = auto()
    FIRST_BYTE = auto()
    IDLE = auto()
    TOTAL = auto()
    SHUTDOWN = auto()
    AFTER_TERMINAL = auto()


class Phase(Enum):
    """What a call waits for; each phase has its own clock."""

    HEAD = auto()  # the provider's first byte
    EVENTS = auto()  # the next event or piece
    CLIENT = auto()  # the client, to take what it was sent: no clock but the total one
    PAUSE = auto()  # the time between two attempts, or a body on its way up: the same
    TAIL = auto()  # the transport's end, after a stream's terminal event


class Guard:
    """Watches one call. A context manager: inside it the task may be interrupted, outside it may not.

    `on_tick` is called at least each `TICK_S` from the event loop; it must not raise or block.
    """

    __slots__ = ("_attempt_begun", "_begun", "_drain", "_loop", "_on_tick", "_receive", "_task", "_tasks", "_timeouts",
                 "_timer", "_watch", "cause", "event_at", "gone", "phase", "raw_at")  # fmt: skip

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        receive: Receive,
        timeouts: Timeouts,
        *,
        drain: bool,
        on_tick: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._receive = receive
        self._timeouts = timeouts
        self._drain = drain
        self._on_tick = on_tick
        self._task = asyncio.current_task()
        self._begun = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self.phase = Phase.HEAD
        self._attempt_begun = self.event_at = self.raw_at = self._begun
        self.cause: Cause | None = None
        self.gone = False

    def __enter__(self) -> Self:
        soonest = min(WATCH_AFTER_S, self._timeouts.first_byte_s, self._timeouts.total_s)
        self._timer = self._loop.call_later(soonest, self._first_tick)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def attempt(self, timeouts: Timeouts) -> None:
        """A call of a provider begins, under its clocks; the total one goes on from the beginning."""
        self._timeouts = timeouts
        self._attempt_begun = self._loop.time()
        self.phase = Phase.HEAD
        if self._timer is not None and self._watch is not None:
            self._timer.cancel()
            self._tick()

    def waiting(self, phase: Phase) -> None:
        """The call waits for something else from now on; its clock begins anew."""
        self.phase = phase
        self.event_at = self.raw_at = self._loop.time()
        if phase is Phase.TAIL and self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(AFTER_TERMINAL_S, self._tick)

    def interrupt(self, cause: Cause) -> None:
        """Ends the call's present wait with a cancellation, once."""
        if self.cause is not None or self._timer is None:
            return
        self.cause = cause
        if self._task is not None:
            self._task.cancel()

    def client_is_gone(self) -> bool:
        """Whether the client has closed its connection by now, asked without waiting."""
        if self.gone or self._watch is not None:
            return self.gone
        self.gone = is_disconnected(self._receive)
        return self.gone

    def _first_tick(self) -> None:
        self._watch = self._tasks.create_task(self._listen())
        self._tick()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if not self._drain:
            self.interrupt(Cause.CLIENT_GONE)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._on_tick()
        now = self._loop.time()
        cause, due = self._next_deadline()
        if now >= due:
            self.interrupt(cause)
        elif due - now < TICK_S:
            self._timer.cancel()
            self._timer = self._loop.call_at(due, self._tick)

    def _next_deadline(self) -> tuple[Cause, float]:
        clocks = self._timeouts
        total = (Cause.TOTAL, self._begun + clocks.total_s)
        if self.phase is Phase.CLIENT or self.phase is Phase.PAUSE:
            return total
        if self.phase is Phase.TAIL:
            return Cause.AFTER_TERMINAL, self.event_at + AFTER_TERMINAL_S
        if self.phase is Phase.HEAD:
            own = (Cause.FIRST_BYTE, self._attempt_begun + clocks.first_byte_s)
        elif self.raw_at > self.event_at:
            # Something comes, but no event: comments keep the connection, not the answer, alive.
            own = (Cause.IDLE, max(self.event_at + clocks.ping_idle_s, self.raw_at))
        else:
            own = (Cause.IDLE, self.event_at + clocks.idle_s)
        return min(own, total, key=lambda clock: clock[1])


def at_hand(receive: Receive) -> Any | None:
    """What ASGI's `receive` gives without a wait, or None.

    The coroutine is stepped by hand: it either returns without waiting, or is closed where it began to wait.
    """
    waiting = receive().__await__()
    try:
        next(waiting)
    except StopIteration as done:
        return done.value
    waiting.close()
    return None


def is_disconnected(receive: Receive) -> bool:
    """Whether ASGI's `receive` would say `http.disconnect` at once."""
    message = at_hand(receive)
    return message is not None and bool(message["type"] == "http.disconnect")
