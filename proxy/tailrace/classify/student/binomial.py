"""Exact binomial bounds. Pure Python: the tails here are short, since what is counted (errors) is rare.

Clopper and Pearson 1934: a bound is the share at which what was seen would be just too unlikely.
"""

from functools import lru_cache
from math import exp, lgamma, log, log1p
from typing import Final

_HALVINGS: Final = 50


def at_most(errors: int, items: int, share: float) -> float:
    """P(X ≤ errors) of `items` trials that each fail with chance `share`."""
    if errors >= items or share <= 0:
        return 1.0
    if errors < 0 or share >= 1:
        return 0.0
    if errors > items * share:  # the short tail is the other one
        return max(1 - _tail(items - errors - 1, items, 1 - share), 0.0)
    return min(_tail(errors, items, share), 1.0)


def _tail(last: int, items: int, share: float) -> float:
    """P(X ≤ last) for a `last` below the mean: from its largest term down, so that nothing underflows that matters."""
    term = exp(
        lgamma(items + 1) - lgamma(last + 1) - lgamma(items - last + 1)
        + last * log(share) + (items - last) * log1p(-share)
    )  # fmt: skip
    odds, total = share / (1 - share), 0.0
    for k in range(last, -1, -1):
        total += term
        term *= k / ((items - k + 1) * odds)
        if term < total * 1e-17:
            break
    return total


def proves(right: int, items: int, target: float, alpha: float) -> bool:
    """Whether the lower Clopper-Pearson bound of right/items at level `alpha` reaches `target`."""
    return items > 0 and at_most(items - right, items, 1 - target) <= alpha


def lower(right: int, items: int, alpha: float) -> float:
    """The lower Clopper-Pearson bound of right/items; 0 of nothing."""
    if right <= 0 or items <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if proves(right, items, middle, alpha) else (low, middle)
    return low


def upper(right: int, items: int, alpha: float) -> float:
    """The upper Clopper-Pearson bound of right/items; 1 of nothing."""
    return 1 - lower(items - right, items, alpha)


@lru_cache(maxsize=4096)
def needed(target: float, agreement: float, alpha: float, most: int = 20_000) -> int | None:
    """How many audits prove `target` if the share `agreement` of them agree; None: more than `most`, or none ever do.

    So many errors as are expected need so many items; both are walked up together.
    """
    if agreement <= target:
        return None
    items = 1
    while items <= most:
        errors = round(items * (1 - agreement))
        if at_most(errors, items, 1 - target) <= alpha:
            return items
        items += 1
    return None
