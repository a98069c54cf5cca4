"""Scenarios in which the provider is a labelling model: it answers from gold, with errors that can be counted on."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from tailrace.simulate.acts import Act, Wait, WaitForever
from tailrace.simulate.answer import Telling
from tailrace.simulate.call import Call, Ends, Scenario, respond
from tailrace.simulate.labelling.habits import Habit, Obeys
from tailrace.simulate.labelling.model import answered
from tailrace.simulate.labelling.offlist import FORMS
from tailrace.simulate.scenarios.failures import Play, failing

Habits = Callable[[int], Habit]
"""The habit for the number in a model's name."""

GOLD: Final = Habit()
LIMITED: Final = failing(429, (b"retry-after-ms", b"10"))


def labelling(habits: Habits) -> Play:
    """A model of the habit that goes with the number in its name."""
    return lambda call: _label(call, habits(call.n))


def sometimes(play: Play) -> Play:
    """A model that plays `play` in n of each hundred calls, spread evenly, and labels by gold in the others."""
    return lambda call: play(call) if _due(call) else _label(call, GOLD)


def one_in_three(play: Play) -> Play:
    """A model that plays `play` at each third call and labels by gold at the others."""
    return lambda call: _label(call, GOLD) if call.stamp.number % 3 else play(call)


def unheard(_call: Call) -> Iterable[Act]:
    """No answer ever comes."""
    return (WaitForever(),)


def late(call: Call) -> Iterable[Act]:
    """The label after n ms of silence."""
    yield Wait(call.n / 1000)
    yield from _label(call, GOLD)


def _label(call: Call, habit: Habit) -> Iterable[Act]:
    return respond(call, answered(call.asked, call.stamp.number, call.gold, habit))


def _due(call: Call) -> bool:
    number = call.stamp.number
    return number * call.n // 100 != (number - 1) * call.n // 100


_SHARE: Final = 30  # of 100 answers off the list, or of lists answered with their first label, where no number says it

MODELS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "label": Scenario("the label that gold gives to the text, in the form asked for", labelling(lambda _: GOLD)),
        "label-noise-N": Scenario(
            "N of 100 labels wrong, drawn anew for each call",
            labelling(lambda n: Habit(wrong=n / 100, fresh=True)),
            most=100,
        ),
        "label-fixed-noise-N": Scenario(
            "N of 100 labels wrong, always the same ones", labelling(lambda n: Habit(wrong=n / 100)), most=100
        ),
        "label-offlist": Scenario(
            "30 of 100 answers beside the list; on it when asked again",
            labelling(lambda _: Habit(off_list=_SHARE / 100)),
        ),
        "label-offlist-N": Scenario(
            "N of 100 answers beside the list; on it when asked again",
            labelling(lambda n: Habit(off_list=n / 100)),
            most=100,
        ),
        "label-offlist-stubborn-N": Scenario(
            "N of 100 answers beside the list, also when asked again",
            labelling(lambda n: Habit(off_list=n / 100, stubborn=True)),
            most=100,
        ),
        "label-offlist-form-N": Scenario(
            "each answer beside the list, in form N of 11; on it when asked again",
            labelling(lambda n: Habit(off_list=1, form=n)),
            least=1,
            most=len(FORMS),
        ),
        "label-no-logprobs": Scenario(
            "labels with null log-probabilities", labelling(lambda _: Habit(telling=Telling.NOTHING))
        ),
        "label-empty-logprobs": Scenario(
            "labels with log-probabilities of no token", labelling(lambda _: Habit(telling=Telling.EMPTY))
        ),
        "label-top-N": Scenario(
            "labels with at most N alternatives a token", labelling(lambda n: Habit(top=n)), most=20
        ),
        "label-order-bias": Scenario(
            "30 of 100 lists answered with their first label", labelling(lambda _: Habit(first=_SHARE / 100))
        ),
        "label-order-bias-N": Scenario(
            "N of 100 lists answered with their first label", labelling(lambda n: Habit(first=n / 100)), most=100
        ),
        "label-sharp-N": Scenario(
            "calibrated probabilities to the power of N/10: 10 is calibrated, 30 too sure by a temperature of 3",
            labelling(lambda n: Habit(sharpness=n / 10)),
            least=1,
            most=100,
            example=30,
        ),
        "label-gullible": Scenario("does what the text to label says", labelling(lambda _: Habit(obeys=Obeys.TEXT))),
        "label-breakout": Scenario(
            "does what a text says that broke out of its tags or stands in the system message",
            labelling(lambda _: Habit(obeys=Obeys.OUTSIDE)),
        ),
        "label-429": Scenario("429 with retry-after-ms: 10 for each third call, else a label", one_in_three(LIMITED)),
        "label-429-N": Scenario(
            "429 with retry-after-ms: 10 for N of 100 calls, else a label", sometimes(LIMITED), most=100
        ),
        "label-500-N": Scenario("500 for N of 100 calls, else a label", sometimes(failing(500)), most=100),
        "label-stall": Scenario("a label that never comes", unheard, Ends.NEVER),
        "label-stall-N": Scenario(
            "a label that never comes for N of 100 calls", sometimes(unheard), Ends.NEVER, most=100, example=100
        ),
        "label-slow-N": Scenario("a label after N ms of silence", late, most=3_600_000),
    }
)
"""The labelling models; `SCENARIOS` takes them in."""
