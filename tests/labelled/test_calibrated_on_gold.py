"""A model that is too sure by a known temperature: calibration on people's labels brings its confidences down to earth.

The cascade asks as it does anywhere, the simulated model answers with log-probabilities, gold is banking77's; what is
fitted on one half is judged on the other.
"""

from typing import Any

import pytest

from tailrace.classify.calibration import Temperature, area_under_roc, expected_calibration_error, temperature
from tailrace.classify.cascade import Cascade
from tailrace.classify.learned import learned
from tailrace.classify.ready import load
from tailrace.classify.turn import Subject
from tailrace.records import Origin
from tailrace.settings_classifiers import Classifier
from tailrace.simulate import chat
from tailrace.simulate.answer import Stamp
from tailrace.simulate.labelling.gold import Gold, parse
from tailrace.simulate.labelling.habits import Habit
from tailrace.simulate.labelling.model import answered
from tailrace.wire.own import Completed
from tests.labelled.gold import gold_file
from tests.labelled.loading import SUBSETS, banking77

ITEMS = banking77(SUBSETS, "train")
READY = load(
    "intent",
    Classifier.model_validate({"labels": {item.label: "" for item in ITEMS}, "llm": {"model": "sim/label-sharp-30"}}),
)


class Model:
    """The simulated labelling model, without a wire."""

    def __init__(self, sharpness: float) -> None:
        self._habit = Habit(sharpness=sharpness)
        self._gold = Gold(parse(gold_file(ITEMS), "gold"))

    async def complete(
        self, request: Any, *, origin: Origin, source: str | None = None, private: bool = False
    ) -> Completed:
        asked = chat.read(request)
        return Completed(200, chat.document(asked, answered(asked, 1, self._gold, self._habit), Stamp(1, 0)))

    async def embed(self, model: str, texts: Any) -> None:
        raise AssertionError("nobody asked for embeddings")


async def judged(sharpness: float) -> list[tuple[float | None, bool]]:
    cascade, model = Cascade(READY), Model(sharpness)
    found = []
    for item in ITEMS:
        said = await cascade.ask(Subject(item.text), model, source=None)
        found.append((said.confidence, said.value == item.label))
    return found


async def test_a_temperature_lowers_the_error_on_what_it_was_not_fitted_on() -> None:
    every = await judged(3.0)
    assert all(confidence is not None for confidence, _ in every)
    fitted, held = every[::2], every[1::2]
    calibration = temperature(fitted)
    assert calibration.value > 1.5
    after = [(calibration(confidence), right) for confidence, right in held]
    before_error, after_error = expected_calibration_error(held), expected_calibration_error(after)
    assert before_error is not None
    assert after_error is not None
    assert after_error < before_error / 2
    assert area_under_roc(after) == pytest.approx(area_under_roc(held))  # the order stays


async def test_what_was_learned_is_what_the_cascade_tells_from_then_on() -> None:
    cascade, model = Cascade(READY), Model(3.0)
    raw = await cascade.ask(Subject(ITEMS[0].text), model, source=None)
    cascade.learned = learned({}, (await judged(3.0))[:200])
    assert isinstance(cascade.learned.calibration, Temperature)
    told = await cascade.ask(Subject(ITEMS[0].text), model, source=None)
    assert raw.confidence is not None
    assert told.confidence == cascade.learned.calibration(raw.confidence) != raw.confidence
    assert told.note is not None
    assert str(raw.confidence)[:8] in told.note
