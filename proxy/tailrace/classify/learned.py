"""What a version of a classifier has learned beside its student: rules that left, what the model's confidence means.

The labeller works it out from the log, the relay takes it over. Pure but for the file, which is `kept`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tailrace.classify.calibration import Calibration, Isotonic, Judged, Temperature, Unchanged, calibrate
from tailrace.classify.kept import KeptFile
from tailrace.classify.ready import Ready


@dataclass(frozen=True, slots=True)
class Learned:
    """`disabled`: rules by index, with the reason. Of `temperature` and the curve (`at`, `to`) at most one is there."""

    disabled: dict[int, str] = field(default_factory=dict)
    temperature: float | None = None
    at: tuple[float, ...] = ()
    to: tuple[float, ...] = ()

    @property
    def calibration(self) -> Calibration:
        """What makes of a model's confidence a probability."""
        if self.temperature is not None:
            return Temperature(self.temperature)
        return Isotonic(self.at, self.to) if self.at else Unchanged()


NOTHING: Final = Learned()


def learned_file(data_dir: Path, ready: Ready) -> KeptFile[Learned]:
    """Where it is kept."""
    return KeptFile(data_dir, f"{ready.name}-{ready.version}-learned", Learned, NOTHING)


def learned(disabled: dict[int, str], judged: Iterable[Judged]) -> Learned:
    """`judged`: the model's own confidences, each with whether a person said the same."""
    match calibrate(judged):
        case Temperature(value):
            return Learned(disabled, temperature=value)
        case Isotonic(at, to):
            return Learned(disabled, at=at, to=to)
    return Learned(disabled)
