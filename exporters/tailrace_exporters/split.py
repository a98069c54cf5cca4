"""Which split a row belongs to: splits that cannot leak, rows that never move when the log grows. Pure.

The completions of a chain stand in one split: that of the chain's first completion in log order, by the keyed hash of
its id. With `step` a chain that begins with a duplicate of an earlier row goes where that row is.

Where users (or sessions) hold chains together too, a chain goes where its first completion's user is, and a user is
where the first completion is that names it. A completion may name a user who is in another split than its chain: it is
kept apart, with all that follows it and so holds its words, and those rows are dropped as `split_conflict`. Chains do
not follow duplicates then: the users of both would have to, whose rows are where they are.

A parent can be filed after its children, and can so join what were two chains; a row of either may have been exported
by then. So each completion has a *home*, the first completion of its chain as far as the log went when it came, which
never changes, and a *root*, the first one of its chain as of the watermark. A row's split is its home's; where the
root's is another, the row is dropped as `split_conflict`. A row is then where it always was, or nowhere, and no chain
is in two splits.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from tailrace_exporters.ties import Ties

SPLIT_CONFLICT = "split_conflict"
_ID_BYTES = 16
_CLEAN, _SPOILT = 1, 2


def share(seed: int, id_: bytes, shares: Mapping[str, float]) -> str:
    """The split of the chain whose first completion is `id_`: a keyed hash as a number in [0, 1), among the shares."""
    digest = hashlib.blake2b(id_, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    point = int.from_bytes(digest, "big") / 2**64
    for name, end in zip(shares, accumulate(shares.values()), strict=True):
        if point < end:
            return name
    return list(shares)[-1]  # the shares add up to 1 but for rounding


class Forest:
    """The chains of a log up to a watermark, as links between completions; about 30 bytes a completion.

    `add` every completion, those that are not selected too: they connect the others. Then `grow`, then ask.

    A link can be moved once, to a parent filed after its child. What the child continued before that moment is told by
    the links of now: the nearest completion above it that was filed before it was.
    """

    def __init__(self, watermark: int, seed: int, shares: Mapping[str, float], *, ties: int = 0) -> None:
        """`ties`: how many kinds of values hold chains together."""
        self._seed = seed
        self._shares = shares
        self._names = list(shares)
        self._watermark = watermark
        size = watermark + 1
        self._root = _numbers(size)  # 0: not grown
        self._home = _numbers(size)
        self._parent = _numbers(size)  # 0: none
        self._later: dict[int, int] = {}  # the parents of parents filed after the watermark
        self._ids = bytearray(_ID_BYTES * size)
        self._here = bytearray(size)
        self._label = bytearray(size)  # of homes: index into the shares
        self._good = bytearray(size)
        self._ties = Ties(size, ties) if ties else None
        self._kin = _numbers(size) if ties else self._root  # as `_root`, over chains that are held together
        self._sound = bytearray(size if ties else 0)  # where there are ties: _CLEAN or _SPOILT, once it was asked for
        self.missing: set[int] = set()
        """Parents filed after the watermark, whose own parents must be told to `add_later`."""

    @property
    def count(self) -> int:
        """Completions in the log."""
        return self._here.count(1)

    def add(self, seq: int, id_: bytes, parent: int | None, values: Sequence[bytes | None] = ()) -> None:
        """A completion up to the watermark, the one it continues, and its value for each of the ties."""
        if self._ties is not None:
            self._ties.add(seq, values)
        self._here[seq] = 1
        self._ids[_ID_BYTES * seq : _ID_BYTES * (seq + 1)] = id_
        self._link(seq, parent)

    def add_later(self, seq: int, parent: int | None) -> None:
        """One of `missing`, and the one it continues."""
        self.missing.discard(seq)
        self._later[seq] = 0
        self._link(seq, parent)

    def _link(self, seq: int, parent: int | None) -> None:
        if parent is None:
            return
        if seq > self._watermark:
            self._later[seq] = parent
        else:
            self._parent[seq] = parent
        if parent > self._watermark and parent not in self._later:
            self.missing.add(parent)

    def grow(self) -> None:
        """Live through the log once, in its order: find each completion's home and root."""
        waiting: dict[int, list[int]] = {}  # a parent that is not filed yet → its children
        lost: dict[int, int] = {}  # a parent that is gone from the log → its first child
        for seq in _marked(self._here):
            self._root[seq] = self._kin[seq] = seq
            known = self._up(seq, seq - 1)
            if known:
                self._join(seq, known if self._root[known] else lost.setdefault(known, seq))
            if seq < self._parent[seq] <= self._watermark:
                waiting.setdefault(self._parent[seq], []).append(seq)
            for child in waiting.pop(seq, ()):
                self._join(seq, child)
            home = self._home[seq] = self._find(seq)
            if home == seq:
                self._label[seq] = self._names.index(share(self._seed, self.id(seq), self._shares))
            if self._ties is not None:
                self._tie(seq, self._ties)
        if self._ties is not None:
            for seq in _marked(self._here):
                home, root = self._home[seq], self._find(seq)
                if self._label[home] == self._label[root]:
                    _unite(self._kin, home, root)

    def mark(self, seq: int) -> None:
        """This completion was selected, and its answer may be learned."""
        self._good[seq] = 1

    def follow(self, seq: int, twin: int) -> None:
        """The row of `seq` repeats that of `twin`: if its chain begins with it, the chain goes where `twin` is."""
        if self._home[seq] == seq and self._ties is None:
            label = self._label[seq] = self._label[self._home[twin]]
            if self._label[self._find(twin)] == self._label[self._find(seq)] == label:
                self._join(seq, twin)  # one group from here on; chains already in conflict stay apart

    def split(self, seq: int, *alike: int) -> str | None:
        """The split of a row whose head is `seq`; None where its chain, or a row that is `alike`, is in another."""
        if self._ties is not None and self._is_spoilt(seq, self._ties):
            return None
        label = self._label[self._home[seq]]
        others = self._find(seq), *(self._home[other] for other in alike)
        return self._names[label] if all(self._label[other] == label for other in others) else None

    def id(self, seq: int) -> bytes:
        """The id of a completion."""
        return bytes(self._ids[_ID_BYTES * seq : _ID_BYTES * (seq + 1)])

    def group(self, seq: int) -> bytes:
        """Id of the first completion of all that stand in one split with `seq`."""
        return self.id(_top(self._kin, seq))

    def chain(self, seq: int) -> bytes:
        """Id of the completion that the chain of `seq` starts with."""
        top = seq
        while (over := self._up(top, self._watermark)) and self._here[over]:
            top = over
        return self.id(top)

    def chains(self) -> Iterator[list[int]]:
        """The marked completions of each chain in log order, chains in the order of their last one."""
        last = _numbers(self._watermark + 1)
        for seq in _marked(self._good):
            last[self._find(seq)] = seq
        grown: dict[int, list[int]] = {}
        for seq in _marked(self._good):
            root = self._find(seq)
            grown.setdefault(root, []).append(seq)
            if last[root] == seq:
                yield grown.pop(root)

    def above(self, seq: int) -> int | None:
        """The nearest marked completion before `seq` in its conversation."""
        over = self._up(seq, self._watermark)
        while over and not self._good[over]:
            over = self._up(over, self._watermark)
        return over or None

    def _up(self, seq: int, end: int) -> int:
        """The completion that `seq` continued when the log ended with `end`; 0 where there is none."""
        over = self._parent[seq]
        if over <= end:
            return over
        while over > seq:
            over = self._parent[over] if over <= self._watermark else self._later.get(over, 0)
        return over

    def _tie(self, seq: int, ties: Ties) -> None:
        """Put the chain that begins with `seq` where its values are, or find that `seq` would join two splits."""
        home, holders = self._home[seq], list(ties.holders(seq))
        wanted = {self._label[self._home[holder]] for holder in holders}
        if home == seq and len(wanted) == 1:
            self._label[seq] = next(iter(wanted))
        apart = not wanted <= {self._label[home]}
        ties.settle(seq, apart=apart)
        for other in (home, *(() if apart else holders)):
            _unite(self._kin, seq, other)

    def _is_spoilt(self, seq: int, ties: Ties) -> bool:
        """Whether the conversation of `seq` holds a completion that is in another split than it, or in none."""
        path = []
        while seq and self._here[seq] and not self._sound[seq]:
            path.append(seq)
            seq = self._up(seq, self._watermark)
        spoilt = bool(seq) and self._sound[seq] == _SPOILT
        for seq in reversed(path):
            moved = self._label[self._home[seq]] != self._label[self._find(seq)]
            spoilt = spoilt or moved or ties.is_apart(seq)
            self._sound[seq] = _SPOILT if spoilt else _CLEAN
        return spoilt

    def _find(self, seq: int) -> int:
        return _top(self._root, seq)

    def _join(self, one: int, other: int) -> None:
        _unite(self._root, one, other)


def _top(root: "array[int]", seq: int) -> int:
    while root[seq] != seq:
        root[seq] = root[root[seq]]
        seq = root[seq]
    return seq


def _unite(root: "array[int]", one: int, other: int) -> None:
    low, high = sorted((_top(root, one), _top(root, other)))
    root[high] = low


def _numbers(size: int) -> "array[int]":
    """So many zeros, each with room for a `seq`, up to one that was filed after the watermark."""
    return array("I", bytes(4 * size)) if size < 1 << 31 else array("Q", bytes(8 * size))


def _marked(marks: bytearray) -> Iterator[int]:
    at = marks.find(1)
    while at >= 0:
        yield at
        at = marks.find(1, at + 1)
