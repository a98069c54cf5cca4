"""A running test of the recent audits: it takes the student off when its traffic has changed. Pure.

Bernoulli CUSUM: after each audit of an answered turn the likelihood ratio of "errors are as frequent as `bad`" to
"errors are just as frequent as promised" is multiplied on, never below where it began. It alarms at 1 / false_alarm.
Each factor has a mean of at most 1 as long as the promise is kept, so that the mean number of audits to a false alarm
is at least 1 / false_alarm, however good or bad the months before were (e-detectors: Shin, Ramdas and Rinaldo 2023).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, floor, log
from typing import Final

from tailrace.classify.student.binomial import at_most

_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Drift:
    """The state of the test. `level` is the logarithm of the ratio."""

    target: float
    false_alarm: float = 1 / 2_000  # per audit
    excess: float = 0.15  # errors beyond the promised share that are looked for
    level: float = 0.0
    audits: int = 0
    alarmed: bool = False

    @property
    def bad(self) -> float:
        """The share of errors looked for."""
        return min(1 - self.target + self.excess, 0.95)

    @property
    def _steps(self) -> tuple[float, float]:
        """What agreement and an error add to the level."""
        good = 1 - self.target
        return log((1 - self.bad) / (1 - good)), log(self.bad / good)

    def after(self, agreed: bool) -> "Drift":
        """The state after one more audit of a turn that the student answered. An alarm stays."""
        down, up = self._steps
        level = max(self.level, 0.0) + (down if agreed else up)
        return replace(
            self, level=level, audits=self.audits + 1, alarmed=self.alarmed or level >= log(1 / self.false_alarm)
        )

    def after_all(self, agreed: Iterable[bool]) -> "Drift":
        """The same, for several in order."""
        state = self
        for each in agreed:
            state = state.after(each)
        return state

    def audits_until_seen(self, errors: float, within: float = 0.95) -> int | None:
        """After so many audits, drift that made the share `errors` wrong has alarmed with chance `within` or more.

        From a level of 0, the lowest there is, counted on one straight run (restarts at 0 only help). None: `errors` is
        not so much worse than promised that the test would see it.
        """
        down, up = self._steps
        wall = log(1 / self.false_alarm)
        for items in range(1, _MOST):
            wrong = ceil((wall - items * down) / (up - down) - 1e-9)
            if wrong <= items and at_most(wrong - 1, items, errors) <= 1 - within:
                return items
        return None

    @property
    def reason(self) -> str:
        """For the report."""
        return (
            f"recent audits disagree too often for a promise of {self.target:.1%} (seen after {self.audits} audits; "
            f"false alarms: one in at least {floor(1 / self.false_alarm + 1e-6):,} audits)"
        )
