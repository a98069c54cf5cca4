"""Asks the running proxy what a recipe's stages want to know and the log does not have yet.

    asks ─▶ in the log? ─▶ budget ─▶ the proxy, as any caller ─▶ filed by the writer ─▶ read from the log

Nothing is kept here: an answer is durable in the log before the proxy gives it, so a run that was killed is run again,
finds what was answered, and pays for the rest alone. One export at a time asks for a data folder, so that none pays for
what another is asking.
"""

import asyncio
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from tailrace.classify.patient import FIRST_S, TRIES, pauses
from tailrace.errors import UserError, WorkFailed
from tailrace.records import Origin
from tailrace.wire.own import Completed
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.calls import Price, Purse, expected, used
from tailrace_exporters.engines.local_answers import Found, LoggedAnswers, name_of

LOCK_FILE: Final = "export.lock"
_PATH: Final = "/chat/completions"
_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.02
_IN_A_ROW: Final = 20
"""Calls that all failed, after all tries: then none is made any more."""
_FOR_ALL: Final = frozenset((401, 402, 403, 404))
"""No call of the stage would fare better."""
_AGAIN: Final = "what was answered is in the log: run the same command again to go on"


class Relay(Protocol):
    """What is needed of `RelayClient`."""

    async def post(
        self, path: str, body: bytes, *, origin: Origin, source: str | None = None, name: str | None = None
    ) -> Completed: ...


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """The only export that asks models for this folder.

    Raises:
        UserError: another one does, or the folder cannot be written.
    """
    try:
        fd = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise UserError(f"data folder {data_dir}: cannot be written ({exc.strerror}); export as its user") from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UserError("another export asks models for this data folder now; wait for its end") from exc
        yield
    finally:
        os.close(fd)


class Calling:
    """Answers from the log, and asks for what it does not have."""

    def __init__(
        self,
        answers: LoggedAnswers,
        relay: Relay,
        price: Price,
        *,
        budget_usd: float | None,
        concurrency: int,
        first_s: float = FIRST_S,
    ) -> None:
        """`first_s`: the pause before a call is tried a second time."""
        self.calls = 0
        """That were made, tries included."""
        self._answers = answers
        self._relay = relay
        self._price = price
        self._purse = Purse(budget_usd)
        self._budget_usd = budget_usd
        self._concurrency = concurrency
        self._first_s = first_s
        self._caught_up = False
        self._own: set[bytes] = set()  # ids of completions that this run was answered by
        self._failed: set[bytes] = set()  # by this run, which asks once
        self._failed_in_a_row = 0

    async def __call__(self, asks: Sequence[Ask]) -> Answers:
        """As `Asker`.

        Raises:
            UserError: no proxy of this data folder can be reached.
            WorkFailed: the budget is used up, or the proxy or the provider does not answer.
        """
        wanted = {ask.key: ask for ask in asks}
        found = await self._answers.find(wanted)
        if self._missing(wanted, found):
            await self._catch_up()
            found = await self._answers.find(wanted)
            self._pay(found)
            await self._ask(self._missing(wanted, found))
            found = await self._answers.find(wanted)
            lost = wanted.keys() - found.keys()
            if lost:
                raise WorkFailed(f"{len(lost)} calls were answered and are not in the log; please report this")
        self._pay(found)
        return {key: each.answer for key, each in found.items()}

    def _missing(self, wanted: dict[bytes, Ask], found: dict[bytes, Found]) -> list[Ask]:
        asked = self._failed | {key for key, each in found.items() if each.is_final}
        return [ask for key, ask in wanted.items() if key not in asked]

    def _pay(self, found: dict[bytes, Found]) -> None:
        """Answers that stood in the log cost what they cost when they were given; this run's own are paid already."""
        final = [each for key, each in found.items() if each.is_final or key in self._failed]
        for each in self._answers.use(final):
            if each.row.id not in self._own:
                self._purse.settle(0.0, each.row.cost_usd or 0.0)

    async def _catch_up(self) -> None:
        """Once, before the first call: what a run before this one was answered is filed, and can be found.

        A request without a model goes nowhere and is logged as refused; when that row is filed, all before it are. It
        also shows, before anything is paid for, that there is a proxy, that it is this folder's, and that it files.
        """
        if self._caught_up:
            return
        done = await self._relay.post(_PATH, b"{}", origin=Origin.EXPORT)
        if done.status is None:
            raise UserError(
                f"no proxy answers ({done.failure}), through which the models would be asked: start `tailrace serve` "
                "for this data folder, or name where it listens with --url"
            )
        if done.id is None or done.status != 400:
            raise UserError(
                f"the proxy takes no calls of this export ({done.failure}): --url and --data-dir must be of one "
                "`tailrace serve`"
            )
        await self._until_filed([UUID(done.id).bytes])
        self._caught_up = True

    async def _ask(self, asks: Sequence[Ask]) -> None:
        """Make these calls, a few at once; returns when all of their rows are filed."""
        left, answered = deque(asks), list[bytes]()
        is_broke = False

        async def worker() -> None:
            nonlocal is_broke
            while left and not is_broke:
                ask = left[0]
                held = self._price(ask.model, expected(ask)) or 0.0
                if not self._purse.hold(held):
                    is_broke = True
                    return
                left.popleft()
                answered.append(await self._one(ask, held))

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(self._concurrency, len(left))):
                    tasks.create_task(worker())
        except* (WorkFailed, UserError) as group:
            raise _first(group) from None
        self._own |= set(answered)
        if is_broke:
            raise WorkFailed(
                f"[calls] budget_usd = {self._budget_usd:g} is used up: the answers of this dataset have cost "
                f"{self._purse.spent_usd:.4f} US dollars so far; raise it, and run the same command again to go on"
            )
        await self._until_filed(answered)

    async def _one(self, ask: Ask, held_usd: float) -> bytes:
        """The id of the completion that answers, or of the last one that failed."""
        waits, paid_usd = pauses(self._first_s), 0.0
        try:
            for left in range(TRIES - 1, -1, -1):
                source, name = str(UUID(bytes=ask.about)), name_of(ask.key)
                done = await self._relay.post(_PATH, ask.body, origin=Origin.EXPORT, source=source, name=name)
                self.calls += 1
                if not done.may_be_tried_again or not left:
                    break
                await asyncio.sleep(next(waits))
            if done.answer is not None:
                usage = used(done.answer)
                told = None if usage is None else self._price(ask.model, usage)
                paid_usd = held_usd if told is None else told
        finally:
            self._purse.settle(held_usd, paid_usd)
        return self._told(ask, done)

    def _told(self, ask: Ask, done: Completed) -> bytes:
        """Whether to go on after an answer, or a failure that has no more tries."""
        if done.id is None:
            raise WorkFailed(f"the proxy does not answer ({done.failure}); {_AGAIN}")
        if done.answer is not None:
            self._failed_in_a_row = 0
            return UUID(done.id).bytes
        self._failed.add(ask.key)
        self._failed_in_a_row += 1
        if done.status in _FOR_ALL:
            raise WorkFailed(f"{ask.stage}: {ask.model} takes no calls ({done.failure}); {_AGAIN}")
        if self._failed_in_a_row >= _IN_A_ROW:
            raise WorkFailed(
                f"{ask.stage}: the last {_IN_A_ROW} calls of {ask.model} all failed ({done.failure}); {_AGAIN}"
            )
        return UUID(done.id).bytes

    async def _until_filed(self, ids: Sequence[bytes]) -> None:
        deadline, left = time.monotonic() + _PATIENCE_S, set(ids)
        while left := left - await self._answers.filed(list(left)):
            if time.monotonic() > deadline:
                raise WorkFailed(
                    f"the writer of `tailrace serve` has not filed the last answers; {_AGAIN} "
                    "(`tailrace doctor` tells how far behind it is)"
                )
            await asyncio.sleep(_POLL_S)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    one = group.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
