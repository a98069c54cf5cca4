"""`make test-guarantee`: 200 streams a target over whole data sets, seeded. Minutes; writes `bench-out/guarantee.json`.

Streams are made of the chains of train and dev in a seeded order; test splits have no part in it.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tailrace.classify.student.drift import Drift
from tailrace.classify.student.features import Features
from tailrace.records import StudentState as State
from tests.classify.student.labelled import airline
from tests.classify.student.streams import Terms, Told, Turns, run

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(3_600)]
OUT: Final = Path(__file__).parents[3] / "bench-out"
STREAMS: Final = 200
FIRST: Final = 1_000


@cache
def turns() -> Turns:
    return Turns.of(airline("train", "dev"), Features())


def noted(name: str, told: list[Told], **more: Any) -> None:
    """One file a test, so that an interrupted run keeps what it has."""
    OUT.mkdir(exist_ok=True)
    rows = [{"turns": t.turns, "calls": t.calls, "answered": t.answered, "agreed": t.agreed} for t in told]
    (OUT / f"guarantee-{name}.json").write_bytes(orjson.dumps({"streams": rows, **more}, option=orjson.OPT_INDENT_2))


@pytest.mark.parametrize("target", [0.9, 0.95])
def test_the_promise_is_broken_in_at_most_16_of_200_streams(target: float) -> None:
    told = list(run(turns(), Terms(target), range(FIRST, FIRST + STREAMS)))
    below = sum(each.agreed < target * each.answered for each in told)
    calls = sum(each.calls for each in told) / sum(each.turns for each in told)
    noted(f"{target}", told, below=below, calls=calls)
    assert below <= 16
    assert sum(each.answered > 0 for each in told) > STREAMS / 2
    if target == 0.9:
        assert calls <= 0.35


def test_a_noisy_model_is_refused() -> None:
    terms = Terms(0.97, noise=0.05, audit_share=0.25)  # 96 of 1,927 chains, the default, would not always be proof
    told = list(run(turns(), terms, range(FIRST, FIRST + 20)))
    noted("noisy", told, refused=sum(each.state is State.REFUSED for each in told))
    for each in told:
        assert each.state is State.REFUSED
        assert "√s" in each.reasons[-1][1]
        assert each.answered == 0


def test_drift_is_seen_within_the_stated_number_of_audits() -> None:
    terms = Terms(0.9, audit_share=0.5, swap=("contentonly", "confirmation"), swap_at=900)
    stated = Drift(0.9).audits_until_seen(0.4)
    assert stated is not None
    told = [each for each in run(turns(), terms, range(FIRST, FIRST + 20)) if each.answered]
    after = [each.demoted_after for each in told]
    noted("drift", told, stated=stated, after=after)
    seen = [each for each in after if each is not None and each <= stated]
    assert len(seen) >= 0.9 * len(told)
