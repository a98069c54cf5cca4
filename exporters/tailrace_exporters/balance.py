"""No value too often: `[balance]` holds the most frequent value of a split to a multiple of its rarest. Pure.

    train: confirm 700, question 90, cancel 20      max_ratio = 3  ──▶      confirm 60, question 60, cancel 20

The ratio holds within each split, as each is read by itself: a trainer sees `train` alone, and a value that is rare in
`test` must not be drowned there by what is plenty in `train`. Which rows of a value stay is drawn by a keyed hash, so
that no time of the log, no model and no user is preferred. Rows without a value pass and count for nothing: nothing is
known of them (`where = "label.NAME IS NOT NULL"` leaves them out).

Remembers 8 bytes a row; the rows themselves wait on disk.
"""

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Placed, Stage
from tailrace_exporters.spool import Spool
from tailrace_exporters.surroundings import Surroundings

BALANCED_AWAY: Final = "balanced_away"
MOST_VALUES: Final = 200
"""That are counted by name; the rest is counted as `OTHER`."""
OTHER: Final = "…"


def balance(recipe: Recipe, _surroundings: Surroundings) -> "Balance | None":
    """The stage that `[balance]` asks for."""
    return None if recipe.balance is None else Balance(recipe.balance.max_ratio, recipe.seed)


class Balance:
    """Holds all rows back, then lets go as many of each value as the ratio allows."""

    def __init__(self, max_ratio: float, seed: int) -> None:
        self._max_ratio = max_ratio
        self._key = seed.to_bytes(8, "big")
        self._spool = Spool()
        self._lots: dict[str, dict[str, array[int]]] = {}  # by split and value, the lot that each row drew
        self._told: set[str] = set()

    def take(self, placed: Placed) -> Iterator[Placed | Dropped]:
        """Nothing yet."""
        value = placed.row.balance
        if value is not None:
            self._lots.setdefault(placed.split, {}).setdefault(value, array("Q")).append(self._lot(placed))
        self._spool.add(placed)
        yield from ()

    def end(self) -> Iterator[Placed | Dropped]:
        """The rows, in the order in which they came; those of a value with the highest lots dropped."""
        highest = {split: self._highest(lots) for split, lots in self._lots.items()}
        for placed in self._spool:
            value = placed.row.balance
            if value is None or self._lot(placed) <= highest[placed.split][value]:
                yield placed
            else:
                yield Dropped(Stage.BALANCE, f"{BALANCED_AWAY}:{self._name(value)}", placed.row.learned)

    def _lot(self, placed: Placed) -> int:
        named = placed.hash + placed.row.head.id  # equal rows may both be here
        return int.from_bytes(blake2b(named, digest_size=8, key=self._key).digest(), "big")

    def _highest(self, lots: dict[str, "array[int]"]) -> dict[str, int]:
        """For each value of a split the highest lot that stays."""
        most = int(min(len(drawn) for drawn in lots.values()) * self._max_ratio)
        return {value: sorted(drawn)[min(most, len(drawn)) - 1] for value, drawn in lots.items()}

    def _name(self, value: str) -> str:
        if len(self._told) < MOST_VALUES:
            self._told.add(value)
        return value if value in self._told else OTHER
