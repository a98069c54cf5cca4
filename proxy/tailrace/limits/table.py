"""The file in which the slots of all keys lie: mapped by the relay workers and the writer, a lock for each slot.

A lock is a byte range of the file (`fcntl`), which the kernel gives back when its holder dies. It is held for a few
microseconds; whoever does not get it in time is told so, and waits for nobody that hangs.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tailrace.limits.slot import NUMBERS, Slot, begin_anew, forget_worker

FILE: Final = "limits"
"""Name in the data folder. It outlives a restart: budgets are for a day and a month."""
SLOTS: Final = 4096
_SLOT_BYTES: Final = NUMBERS * 8
_SIZE: Final = SLOTS * _SLOT_BYTES
_FILLING: Final = SLOTS
"""The lock of whoever gives a slot away."""
_PATIENCE_S: Final = 0.25
_POLL_S: Final = 0.0005


class TableBusy(Exception):
    """A lock could not be had in time: its holder hangs. Or every slot is some key's."""


class LimitTable:
    """The slots of one data folder, in this process. A context manager."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._slots: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if os.fstat(self._fd).st_size != _SIZE:
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, _SIZE)  # sparse: a slot takes room when it is some key's
        self._map = mmap.mmap(self._fd, _SIZE)
        self._bytes = memoryview(self._map)
        self._numbers = self._bytes.cast("q")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._numbers.release()
        self._bytes.release()
        self._map.close()
        os.close(self._fd)

    @contextmanager
    def slot(self, key_id: str) -> Iterator[Slot]:
        """The slot of a key, locked.

        Raises:
            TableBusy: it cannot be had.
        """
        index = self._slots.get(key_id)
        if index is None:
            index = self._slots[key_id] = self._find(key_id)
        with self._locked(index), self._at(index) as numbers:
            yield numbers

    def forget_worker(self, worker: int) -> None:
        """A relay worker starts: none of the calls it was counted with goes on."""
        for index in self._taken():
            with self._locked(index), self._at(index) as numbers:
                forget_worker(numbers, worker)

    def begin_anew(self) -> None:
        """Nothing runs on this node yet."""
        for index in self._taken():
            with self._at(index) as numbers:
                begin_anew(numbers)

    def _taken(self) -> Iterator[int]:
        return (index for index in range(SLOTS) if self._numbers[index * NUMBERS])

    def _at(self, index: int) -> Slot:
        return self._numbers[index * NUMBERS : (index + 1) * NUMBERS]

    def _find(self, key_id: str) -> int:
        """The key's slot: its own, or the next free one, from where its name says on."""
        digest = blake2b(key_id.encode(), digest_size=16).digest()
        high, low = (int.from_bytes(half, "big", signed=True) or 1 for half in (digest[:8], digest[8:]))
        with self._locked(_FILLING):
            for step in range(SLOTS):
                index = (high + step) % SLOTS
                at = index * NUMBERS
                if not self._numbers[at]:
                    self._numbers[at], self._numbers[at + 1] = high, low
                if (self._numbers[at], self._numbers[at + 1]) == (high, low):
                    return index
        raise TableBusy(f"{self._path}: all {SLOTS} places for keys with limits are taken")

    @contextmanager
    def _locked(self, index: int) -> Iterator[None]:
        deadline = 0.0
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
                break
            except OSError as exc:
                now = time.monotonic()
                deadline = deadline or now + _PATIENCE_S
                if now > deadline:
                    raise TableBusy(f"{self._path}: place {index} is held by a process that hangs") from exc
                time.sleep(_POLL_S)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, index)
