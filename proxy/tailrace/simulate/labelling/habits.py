"""How a simulated labelling model behaves. A habit is a value; `model.py` acts by it."""

from dataclasses import dataclass
from enum import Enum

from tailrace.simulate.answer import Telling


class Obeys(Enum):
    """Whose words a model takes for instructions, beside those of the system message."""

    NOBODY = "nobody"
    TEXT = "text"  # whatever the text to label says
    OUTSIDE = "outside"  # what stands outside the tags, or in the system message


@dataclass(frozen=True, slots=True)
class Habit:
    """Shares are from 0 to 1. All draws depend on the request alone, where it is not `fresh`."""

    wrong: float = 0.0
    fresh: bool = False
    """Whether each call draws anew, so that the same question may be answered otherwise."""
    first: float = 0.0
    """The share answered with the first label of the list, whatever is asked."""
    sharpness: float | None = None
    """What the probabilities are raised to; None: they are only plausible."""
    off_list: float = 0.0
    form: int | None = None
    """The form of what is off the list, by its number; None: any."""
    stubborn: bool = False
    """Whether it stays off the list when asked again."""
    obeys: Obeys = Obeys.NOBODY
    telling: Telling = Telling.ALL
    top: int | None = None
    """The most alternatives a token has, whatever is asked."""
