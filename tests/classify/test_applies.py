"""A classifier is for the calls that it names."""

from typing import Any

import pytest

from tailrace.classify.applies import applies, compares
from tailrace.settings_classifiers import AppliesTo

CALL: dict[str, Any] = {
    "endpoint": "chat.completions", "model": "bot", "step": 2, "project": "p", "tags": {"app": "checkout", "x": "y"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("to", "fits"),
    [
        (AppliesTo(), True),
        (AppliesTo(step=">=2"), True),
        (AppliesTo(step=">2"), False),
        (AppliesTo(models=("bot", "b")), True),
        (AppliesTo(models=("b",)), False),
        (AppliesTo(tags={"app": "checkout"}), True),
        (AppliesTo(tags={"app": "checkout", "z": "1"}), False),
        (AppliesTo(endpoints=("messages",)), False),
        (AppliesTo(endpoints=("chat.completions",)), True),
        (AppliesTo(projects=("q",)), False),
        (AppliesTo(projects=("p",), models=("bot",), step="2"), True),
    ],
)
def test_all_that_is_named_must_fit(to: AppliesTo, fits: bool) -> None:
    assert applies(to, **CALL) is fits


def test_calls_without_tags_fit_where_none_are_named() -> None:
    assert applies(AppliesTo(), **CALL | {"tags": None})
    assert not applies(AppliesTo(tags={"a": "b"}), **CALL | {"tags": None})


@pytest.mark.parametrize("origin", ["classifier", "shadow", "replay", "experiment", "export"])
def test_calls_of_our_own_are_never_classified(origin: str) -> None:
    assert not applies(AppliesTo(), **CALL, origin=origin)


@pytest.mark.parametrize(
    ("wanted", "steps"),
    [(">=2", [2, 3]), ("<2", [1]), ("<=2", [1, 2]), (">2", [3]), ("2", [2]), ("= 2", [2]), ("==2", [2]),
     ("!=2", [1, 3]), ("=>2", [])],
)  # fmt: skip
def test_steps_are_compared(wanted: str, steps: list[int]) -> None:
    assert [step for step in (1, 2, 3) if compares(step, wanted)] == steps
