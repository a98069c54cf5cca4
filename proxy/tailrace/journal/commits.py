"""How records reach the disk: who writes, when a group is synced, who is told. Knows segments and offsets, no records.

The loop's thread writes a record itself, into space reserved before, which is a copy into the page cache: 2 us, where
having a thread do it costs 30 to 65 us of CPU and up to two waits for the interpreter's lock (5 ms each under load).
The disk thread does what waits for a disk: syncs, closes. The loop never writes while a sync runs, because the kernel
may make a write wait for a sync of the same file; such records queue, and go out with one call when it ends. If a write
of the loop's was slow all the same (the kernel throttles writers when memory is full of dirty pages), the thread writes
for the next seconds.

    record ─▶ [no sync running] written at once ─────────────▶ waiters of the write
              [sync running]    queued ─▶ written when it ends ─▶ waiters of the write
                                        └▶ one sync for all ─────▶ waiters of the sync
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

from tailrace.errors import LogUnavailable
from tailrace.journal.segment import Segment
from tailrace.journal.thread import DiskThread

SLOW_WRITE_NS: Final = 20_000_000
DEFER_NS: Final = 5_000_000_000

Waiter = asyncio.Future[None]
_Write = tuple[Segment, int, tuple[bytes, bytes]]
_Waiting = tuple[Waiter, object]
_Close = tuple[Segment, int]


class Need(Enum):
    """What a record's waiter waits for."""

    NOTHING = "nothing"
    WRITTEN = "written"  # the kernel has it: it survives this process
    DURABLE = "durable"  # by the journal's durability: as WRITTEN, or on the medium


@dataclass(frozen=True, slots=True)
class Failure:
    """A write or a sync failed. By now every waiter has LogUnavailable."""

    error: Exception
    lost: tuple[object, ...]  # notes of the records that waited to be durable
    unclosed: tuple[Segment, ...]  # retired, and still open


class Commits:
    """Writes, in order; syncs, in groups. All methods are for the loop's thread.

    After `on_failure` no segment in use before may be used again: what a failed sync did not put on the medium is gone
    from the kernel's mind too, and a second sync would say that all is well.
    """

    __slots__ = (
        "_closes",
        "_closing",
        "_defer_until",
        "_dirty",
        "_for_sync",
        "_for_write",
        "_on_failure",
        "_power",
        "_queue",
        "_read_ns",
        "_running",
        "_thread",
        "groups",
    )

    def __init__(
        self,
        thread: DiskThread,
        *,
        power: bool,
        read_ns: Callable[[], int],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self._thread = thread
        self._power = power
        self._read_ns = read_ns
        self._on_failure = on_failure
        self._running = False
        self._defer_until = 0
        self._queue: list[_Write] = []
        self._dirty: dict[Segment, None] = {}  # written since they were last synced; only with `power`
        self._closes: list[_Close] = []
        self._closing: list[_Close] = []  # with the thread
        self._for_write: list[_Waiting] = []
        self._for_sync: list[_Waiting] = []
        self.groups = 0

    @property
    def busy(self) -> bool:
        """Whether the thread has work of ours."""
        return self._running

    @property
    def waiting(self) -> int:
        """Records and waiters that wait for the running group to end."""
        return len(self._queue) + len(self._for_write) + len(self._for_sync)

    def write(
        self,
        segment: Segment,
        offset: int,
        buffers: tuple[bytes, bytes],
        need: Need = Need.NOTHING,
        waiter: Waiter | None = None,
        note: object = None,
    ) -> None:
        """Write a record; `waiter` resolves when what it needs is so, or gets LogUnavailable."""
        if self._power:
            self._dirty[segment] = None
        waits: list[_Waiting] = [] if waiter is None else [(waiter, note)]
        if self._running or self._defer_until:
            self._queue.append((segment, offset, buffers))
        else:
            error = self._write_now([(segment, offset, buffers)])
            if error is not None:
                self._fail(error, waits)
                return
        if need is Need.DURABLE and self._power:
            self._for_sync += waits
        elif self._queue:
            self._for_write += waits
        else:
            _resolve(waits)
        if not self._running and (self._queue or self._for_sync):
            self._start()

    def retire(self, segment: Segment, size: int) -> None:
        """Close a segment, cut to `size` bytes, once all that was written to it is durable."""
        self._closes.append((segment, size))
        self.flush()

    def flush(self) -> None:
        """Start a group for whatever is left, unless one is running and will be followed by one."""
        if not self._running:
            self._start()

    def _start(self) -> None:
        """Write what is queued, and hand to the thread what waits for a disk."""
        if self._defer_until and self._read_ns() >= self._defer_until:
            self._defer_until = 0
        writes: list[_Write] = []
        if self._defer_until:
            writes, self._queue = self._queue, []
        elif not self._write_queued():
            return
        syncs = tuple(self._dirty) if self._for_sync or self._closes else ()
        waiters = self._for_sync
        self._for_sync = []
        if writes:
            waiters += self._for_write
            self._for_write = []
        if not (writes or waiters or self._closes):
            return
        if syncs:
            self._dirty = {}
        self._closing, self._closes = self._closes, []
        self._running = True
        self._thread.submit(partial(_commit, writes, syncs, self._closing), partial(self._committed, waiters))

    def _write_queued(self) -> bool:
        queue, self._queue = self._queue, []
        waiters, self._for_write = self._for_write, []
        error = self._write_now(queue)
        if error is not None:
            self._fail(error, waiters)
            return False
        _resolve(waiters)
        return True

    def _write_now(self, writes: list[_Write]) -> Exception | None:
        began = self._read_ns()
        try:
            _write_all(writes)
        except OSError as exc:
            return exc
        ended = self._read_ns()
        if ended - began > SLOW_WRITE_NS:
            self._defer_until = ended + DEFER_NS
        return None

    def _committed(self, waiters: list[_Waiting], _result: object, error: Exception | None) -> None:
        self._running = False
        if error is not None:
            self._fail(error, waiters)
            return
        self.groups += 1
        self._closing = []
        _resolve(waiters)
        self._start()

    def _fail(self, error: Exception, failed: list[_Waiting]) -> None:
        failed = [*failed, *self._for_write, *self._for_sync]
        unclosed = tuple(segment for segment, _ in (*self._closing, *self._closes) if not segment.closed)
        self._queue, self._for_write, self._for_sync = [], [], []
        self._closing, self._closes, self._dirty = [], [], {}
        for waiter, _note in failed:
            refuse(waiter)
        self._on_failure(Failure(error, tuple(note for _, note in failed if note is not None), unclosed))


def refuse(waiter: Waiter, reason: str = "The log cannot be written.") -> None:
    """Tell a waiter that its record is not in the log."""
    if not waiter.done():
        waiter.set_exception(LogUnavailable(reason))
        waiter.exception()  # seen: asyncio need not report it where the caller is gone


def _resolve(waiters: list[_Waiting]) -> None:
    for waiter, _note in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _write_all(writes: list[_Write]) -> None:
    """Write in order, each run of records of one segment with one call: they lie one after the other."""
    first = 0
    while first < len(writes):
        segment, offset, _ = writes[first]
        last = first
        buffers: list[bytes] = []
        while last < len(writes) and writes[last][0] is segment:
            buffers += writes[last][2]
            last += 1
        segment.write(buffers, offset)
        first = last


def _commit(writes: list[_Write], syncs: Iterable[Segment], closes: Iterable[_Close]) -> None:
    """What the thread does for a group."""
    _write_all(writes)
    for segment in syncs:
        segment.sync()
    for segment, size in closes:
        segment.close(size)
