"""Answers of models in the log: which row counts, and what is done about calls that fail."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Final, TypeVar
from uuid import UUID

import orjson
import pytest

from tailrace.errors import UserError, WorkFailed
from tailrace.records import Json, Origin, Usage
from tailrace.store.engine import open_reader
from tailrace.wire.own import Completed
from tailrace_exporters.asking import Answer, Ask, ask
from tailrace_exporters.calls import Purse
from tailrace_exporters.engines.local_answers import Counting, Found, LoggedAnswers, Recorded, name_of
from tailrace_exporters.engines.local_calls import Calling, alone
from tailrace_exporters.rows import Stage
from tests.exporters.filing import amend, file_log
from tests.exporters.logged import completion_id, opened
from tests.store.plans import planned

T = TypeVar("T")

ASKS: Final = [ask(Stage.JUDGE, {"model": "m", "messages": [n]}, about=opened(1), output_tokens=10) for n in range(30)]


def filed(data_dir: Path, rows: Sequence[tuple[Ask, str, int | None]]) -> Path:
    """A log of calls with their statuses."""
    log = {n: (opened(n, status=status, cost_usd=0.25), None) for n, (_, status, _) in enumerate(rows, 1)}
    file_log(data_dir, log)
    for n, (one, _, http_status) in enumerate(rows, 1):
        http = {} if http_status is None else {"http_status": http_status}
        amend(data_dir, "completion", n, origin="export", external_id=name_of(one.key), **http)
    return data_dir


def reading(data_dir: Path, work: Callable[[LoggedAnswers], Awaitable[T]], up_to_seq: int | None = None) -> T:
    async def opened_() -> T:
        async with open_reader(data_dir) as connection:
            return await work(LoggedAnswers(connection, up_to_seq=up_to_seq))

    return asyncio.run(opened_())


def test_the_first_that_ended_well_counts_for_ever(tmp_path: Path) -> None:
    one, other, failed, refused = ASKS[:4]
    rows: list[tuple[Ask, str, int | None]] = [
        (one, "provider_error", 503),
        (one, "ok", 200),
        (other, "client_closed", None),
        (one, "ok", 200),
        (failed, "provider_error", 503),
        (refused, "provider_error", 400),
        (other, "ok", 200),
    ]
    data_dir = filed(tmp_path, rows)
    keys = [each.key for each in ASKS]

    async def find(answers: LoggedAnswers) -> dict[bytes, tuple[int, bool]]:
        return {key: (each.row.seq, each.is_final) for key, each in (await answers.find(keys)).items()}

    assert reading(data_dir, find) == {
        one.key: (2, True),
        other.key: (7, True),
        failed.key: (5, False),
        refused.key: (6, True),
    }
    assert reading(data_dir, find, up_to_seq=3) == {one.key: (2, True), other.key: (3, False)}
    assert reading(data_dir, find, up_to_seq=1) == {one.key: (1, False)}


def test_only_calls_of_exports_are_found(tmp_path: Path) -> None:
    data_dir = filed(tmp_path, [(ASKS[0], "ok", 200)])
    amend(data_dir, "completion", 1, origin="app")
    assert reading(data_dir, lambda answers: answers.find([ASKS[0].key])) == {}


def test_answers_are_read_and_counted_once(tmp_path: Path) -> None:
    data_dir = filed(tmp_path, [(ASKS[0], "ok", 200), (ASKS[1], "provider_error", 400)])

    async def twice(answers: LoggedAnswers) -> tuple[Json, Json]:
        recorded = Recorded(answers)
        await recorded(ASKS[:1])
        return await recorded(ASKS[:3]), answers.content()

    found, content = reading(data_dir, twice)
    answer = found[ASKS[0].key]
    assert isinstance(answer, Answer)
    assert (answer.message["content"], answer.teacher) == ("answer 1", "openai/gpt-5-2026")
    assert answer.completion == completion_id(1).bytes
    assert [found[each.key] for each in ASKS[1:3]] == ["unanswered:provider_error", "unanswered:missing"]
    assert content == {
        "seq": 2, "count": 2, "input_tokens": 20, "output_tokens": 10, "usd": 0.5, "without_cost": 0,
    }  # fmt: skip


def test_what_is_missing_ends_a_read_that_asks_nobody(tmp_path: Path) -> None:
    data_dir = filed(tmp_path, [(ASKS[0], "ok", 200)])
    with pytest.raises(WorkFailed, match="no answer to 2 calls"):
        reading(data_dir, lambda answers: Recorded(answers, all_there=True)(ASKS[:3]))


def test_an_estimate_counts_each_call_once(tmp_path: Path) -> None:
    data_dir = filed(tmp_path, [(ASKS[0], "ok", 200), (ASKS[1], "provider_error", 503)])

    async def counted(answers: LoggedAnswers) -> dict[str, Json]:
        asker = Counting(answers, price)
        await asker(ASKS[:3])
        await asker(ASKS[:4])
        return asker.estimate.as_json()

    tokens = 3 * (len(ASKS[1].body) // 4 + 1)
    assert reading(data_dir, counted) == {
        "judge": {"calls": 3, "found": 1, "input_tokens": tokens, "output_tokens": 30, "cost_usd": 3.0}
    }


def test_answers_are_looked_up_by_index(tmp_path: Path) -> None:
    data_dir = filed(tmp_path, [(each, "ok", 200) for each in ASKS])

    async def work() -> None:
        async with open_reader(data_dir) as connection:
            async with planned(connection) as plans:
                await LoggedAnswers(connection).find([each.key for each in ASKS])
            assert not plans.reading_all()
            assert plans.using("completion_external_id")

    asyncio.run(work())


# ---- asking


def price(_model: str, _usage: Usage) -> float | None:
    return 1.0


class Provider:
    """A relay with its log: `statuses` are what each call is answered with, 200 for ever after."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.calls = 0
        self.log: dict[bytes, Found] = {}

    async def post(
        self, _path: str, body: bytes, *, origin: Origin, source: str | None = None, name: str | None = None
    ) -> Completed:
        assert origin is Origin.EXPORT
        if body == b"{}":
            return Completed(400, None, "no model", str(UUID(int=1)))
        self.calls += 1
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            return Completed(None, None, "refused connection")
        assert source == str(UUID(bytes=opened(1).id))
        assert name is not None
        call = opened(self.calls, status="ok" if status == 200 else "provider_error", cost_usd=1.0)
        kept = ("seq", "id", "status", "input_tokens", "output_tokens", "cost_usd")
        row: Json = SimpleNamespace(http_status=status, **{field: getattr(call, field) for field in kept})
        answer = Answer(call.id, "p/m", {}, "stop") if status == 200 else "unanswered:provider_error"
        self.log[bytes.fromhex(name.removeprefix("export:"))] = Found(row, answer)
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        said = {"usage": usage} if status == 200 else None
        return Completed(status, said, None if said else f"status {status}", str(UUID(bytes=call.id)))


class Log(LoggedAnswers):
    """The log of a `Provider`."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nothing here reads a store
        self._log = provider.log

    async def find(self, keys: Iterable[bytes]) -> dict[bytes, Found]:
        return {key: self._log[key] for key in keys if key in self._log}

    async def filed(self, ids: Sequence[bytes]) -> set[bytes]:
        return set(ids)


def asked(provider: Provider, asks: Sequence[Ask], budget_usd: float | None = None) -> Json:
    calling = Calling(Log(provider), provider, price, budget_usd=budget_usd, concurrency=3, first_s=0)
    found = asyncio.run(_asked(calling, asks))
    return [each if isinstance(each, str) else "ok" for each in (found[ask.key] for ask in asks)]


async def _asked(calling: Calling, asks: Sequence[Ask]) -> Json:
    return await calling(asks)


def test_each_call_is_made_once_and_what_failed_for_a_while_again() -> None:
    provider = Provider(503, 429, 500)
    assert asked(provider, [*ASKS[:3], *ASKS[:3]]) == ["ok"] * 6
    assert provider.calls == 6
    assert asked(provider, ASKS[:4]) == ["ok"] * 4
    assert provider.calls == 7


def test_a_request_that_is_refused_is_told_and_not_asked_again() -> None:
    provider = Provider(400)
    assert asked(provider, ASKS[:2]) == ["unanswered:provider_error", "ok"]
    assert asked(provider, ASKS[:2]) == ["unanswered:provider_error", "ok"]
    assert provider.calls == 2


def test_what_failed_for_good_is_asked_once_a_run() -> None:
    provider = Provider(*[500] * 4)

    async def twice() -> None:
        calling = Calling(Log(provider), provider, price, budget_usd=None, concurrency=1, first_s=0)
        for _ in range(2):
            assert await calling(ASKS[:1]) == {ASKS[0].key: "unanswered:provider_error"}

    asyncio.run(twice())
    assert provider.calls == 4
    assert asked(provider, ASKS[:1]) == ["ok"]


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([404], "judge: m takes no calls"),
        ([400] * 20, "the last 20 calls of m all failed"),
        ([None] * 12, "the proxy does not answer"),
    ],
)
def test_where_no_call_can_succeed_the_export_ends(statuses: list[int | None], message: str) -> None:
    with pytest.raises(WorkFailed, match=message):
        asked(Provider(*statuses), ASKS)


def test_no_call_is_begun_that_passes_the_budget() -> None:
    provider = Provider()
    with pytest.raises(WorkFailed, match=r"budget_usd = 7\.5 is used up: .* have cost 7\.0000 US dollars"):
        asked(provider, ASKS, 7.5)
    assert provider.calls == 7
    with pytest.raises(WorkFailed, match="used up"):
        asked(provider, ASKS, 7.5)
    assert provider.calls == 7  # what stood in the log is counted
    assert asked(provider, ASKS, 30.0) == ["ok"] * 30


def test_a_run_pays_for_its_own_answers_once() -> None:
    provider = Provider()

    async def batches() -> None:
        calling = Calling(Log(provider), provider, price, budget_usd=30.0, concurrency=3, first_s=0)
        for some in (ASKS[:15], ASKS[:15], ASKS[15:]):
            await calling(some)

    asyncio.run(batches())
    assert provider.calls == 30


def test_a_purse_holds_back_what_runs() -> None:
    purse = Purse(1.0)
    assert purse.hold(0.6)
    assert not purse.hold(0.6)
    purse.settle(0.6, 0.1)
    assert purse.hold(0.6)
    assert Purse(None).hold(1e9)


def test_one_export_at_a_time_asks(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(UserError, match="another export asks models"), alone(tmp_path):
        pass
    with pytest.raises(UserError, match="cannot be written"), alone(tmp_path / "nowhere"):
        pass


def test_a_body_is_the_same_whatever_the_order_of_its_keys() -> None:
    one = ask(Stage.JUDGE, {"model": "m", "b": 1, "a": 2}, about=opened(1), output_tokens=1)
    other = ask(Stage.JUDGE, {"a": 2, "b": 1, "model": "m"}, about=opened(2), output_tokens=2)
    assert (one.key, orjson.loads(one.body)) == (other.key, {"a": 2, "b": 1, "model": "m"})
