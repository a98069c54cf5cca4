"""The answers that a recipe's calls have in the log, found by the content of the call.

A call's row carries its name (`external_id` `export:SHA256`, origin `export`, which only a holder of the folder's key
can say). Of several rows the first one that ended well counts, for ever: what is filed later changes nothing. Answers
are read from here alone, those of this very run too, once the writer has filed them: so a rebuild reads the same values
by the same way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.errors import WorkFailed
from tailrace.records import Json, Origin, Status
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Filed
from tailrace.store.rebuild import Rebuilder
from tailrace_exporters.asking import NOT_ASKED, Answer, Answers, Ask
from tailrace_exporters.assemble import conversation
from tailrace_exporters.calls import Estimate, Price
from tailrace_exporters.rows import teacher

NO_ANSWER: Final = "unanswered:no_answer"
MISSING: Final = "unanswered:missing"
_FEW: Final = 500
_NANO: Final = 10**9
_PASSING: Final = frozenset((408, 409, 425, 429))
T = TypeVar("T")


def name_of(key: bytes) -> str:
    """How the row of a call is found."""
    return f"export:{key.hex()}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the log has of a call."""

    row: Filed
    answer: Answer | str

    @property
    def is_final(self) -> bool:
        """Asking again would change nothing: it is answered, or what was asked cannot be."""
        status = self.row.http_status
        refused = status is not None and 400 <= status < 500 and status not in _PASSING
        return self.row.status == Status.OK or (self.row.status == Status.PROVIDER_ERROR and refused)


class LoggedAnswers:
    """Reads answers, and keeps count of those that were used (about 70 bytes each)."""

    def __init__(self, connection: AsyncConnection, *, up_to_seq: int | None = None) -> None:
        """`up_to_seq`: what was filed after it does not count."""
        self._connection = connection
        self._bodies = Rebuilder(connection, cached=_FEW)
        self._up_to_seq = up_to_seq
        self._used: set[int] = set()
        self._tokens = [0, 0]
        self._nano_usd = 0  # whole numbers, whose sum does not depend on their order
        self._without_cost = 0

    async def find(self, keys: Iterable[bytes]) -> dict[bytes, Found]:
        """What the log has now of the calls with these names. Ends the transaction it reads in."""
        names = {name_of(key): key for key in keys}
        chosen: dict[bytes, Filed] = {}
        for few in _few(names, _FEW):
            for row in await self._rows(few):
                key = names[row.external_id or ""]
                if key not in chosen or chosen[key].status != Status.OK:
                    chosen[key] = row
        good = [row for row in chosen.values() if row.status == Status.OK]
        answers = dict(zip((row.seq for row in good), await self._bodies.exchanges(good), strict=True))
        await self._connection.rollback()
        found = {}
        for key, row in chosen.items():
            answer: Answer | str = f"unanswered:{row.status}"
            if row.seq in answers:
                told = conversation(answers[row.seq])
                answer = NO_ANSWER if isinstance(told, str) else _answer(row, told.messages[-1])
            found[key] = Found(row, answer)
        return found

    async def filed(self, ids: Sequence[bytes]) -> set[bytes]:
        """Which of these completions are filed by now. Ends the transaction it reads in."""
        await self._connection.rollback()
        there: set[bytes] = set()
        for few in _few(ids, _FEW):
            there |= set(await self._connection.scalars(select(COMPLETION.c.id).where(COMPLETION.c.id.in_(few))))
        await self._connection.rollback()
        return there

    def use(self, found: Iterable[Found]) -> list[Found]:
        """The export is made of these; gives those that it was not made of before."""
        fresh = []
        for each in found:
            if each.row.seq in self._used:
                continue
            self._used.add(each.row.seq)
            fresh.append(each)
            self._tokens[0] += each.row.input_tokens or 0
            self._tokens[1] += each.row.output_tokens or 0
            self._nano_usd += round((each.row.cost_usd or 0.0) * _NANO)
            self._without_cost += each.row.cost_usd is None
        return fresh

    def content(self) -> dict[str, Json]:
        """Of a manifest: the last answer that counts, how many were used, and what they took."""
        return {
            "seq": max(self._used, default=0),
            "count": len(self._used),
            "input_tokens": self._tokens[0],
            "output_tokens": self._tokens[1],
            "usd": self._nano_usd / _NANO,
            "without_cost": self._without_cost,
        }

    async def _rows(self, names: Sequence[str]) -> Sequence[Filed]:
        c = COMPLETION.c
        statement = select(COMPLETION).where(c.external_id.in_(names), c.origin == Origin.EXPORT.value)
        if self._up_to_seq is not None:
            statement = statement.where(c.seq <= self._up_to_seq)
        return cast("Sequence[Filed]", (await self._connection.execute(statement.order_by(c.seq))).all())


class Recorded:
    """Answers from the log, and asks nobody."""

    def __init__(self, answers: LoggedAnswers, *, all_there: bool = False) -> None:
        """`all_there`: an answer that the log does not have is an error; else it is `unanswered:missing`."""
        self._answers = answers
        self._all_there = all_there

    async def __call__(self, asks: Sequence[Ask]) -> Answers:
        """As `Asker`.

        Raises:
            WorkFailed: an answer is missing, and all were to be there.
        """
        keys = {ask.key for ask in asks}
        found = await self._answers.find(keys)
        if self._all_there and (missing := len(keys - found.keys())):
            raise WorkFailed(
                f"the log has no answer to {missing} calls that this recipe makes; `tailrace export` asks for them"
            )
        self._answers.use(found.values())
        return {ask.key: found[ask.key].answer if ask.key in found else MISSING for ask in asks}


class Counting:
    """Answers from the log, and counts what it does not have."""

    def __init__(self, answers: LoggedAnswers, price: Price) -> None:
        self.estimate = Estimate()
        self._answers = answers
        self._price = price
        self._seen: set[bytes] = set()

    async def __call__(self, asks: Sequence[Ask]) -> Answers:
        """As `Asker`."""
        found = await self._answers.find({ask.key for ask in asks})
        self._answers.use(found.values())
        for ask in asks:
            need, known = self.estimate.of(ask.stage), found.get(ask.key)
            if ask.key in self._seen:
                continue
            self._seen.add(ask.key)
            if known is not None and known.is_final:
                need.found += 1
            else:
                need.add(ask, self._price)
        return {ask.key: found[ask.key].answer if ask.key in found else NOT_ASKED for ask in asks}


def _answer(row: Filed, message: Json) -> Answer:
    return Answer(row.id, teacher(row), message, row.finish_reason)


def _few(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while few := list(islice(rest, size)):
        yield few
