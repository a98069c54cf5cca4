"""Which split a row belongs to: splits that cannot leak, and rows that never move when the log grows. Pure.

The completions of a chain stand in one split: that of the chain's first completion in log order, by the keyed hash of
its id. With `step` a chain that begins with a duplicate of an earlier row goes where that row is.

A parent can be filed after its children, and can so join what were two chains; a row of either may have been exported
by then. So each completion has a *home*, the first completion of its chain as far as the log went when it came, which
never changes, and a *root*, the first one of its chain as of the watermark. A row's split is its home's; where the
root's is another, the row is dropped as `split_conflict`. A row is then where it always was, or nowhere, and no chain
is in two splits.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from itertools import accumulate

SPLIT_CONFLICT = "split_conflict"
_ID_BYTES = 16


def share(seed: int, id_: bytes, shares: Mapping[str, float]) -> str:
    """The split of the chain whose first completion is `id_`: a keyed hash as a number in [0, 1), among the shares."""
    digest = hashlib.blake2b(id_, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    point = int.from_bytes(digest, "big") / 2**64
    for name, end in zip(shares, accumulate(shares.values()), strict=True):
        if point < end:
            return name
    return list(shares)[-1]  # the shares add up to 1 but for rounding


class Forest:
    """The chains of a log up to a watermark, as links between completions; about 50 bytes a completion.

    `add` every completion in log order, those that are not selected too: they connect the others.
    """

    def __init__(self, watermark: int, seed: int, shares: Mapping[str, float]) -> None:
        self._seed = seed
        self._shares = shares
        self._names = list(shares)
        self._watermark = watermark
        size = watermark + 1
        self._root = array("q", bytes(8 * size))  # 0: no such completion
        self._home = array("q", bytes(8 * size))
        self._parent = array("q", bytes(8 * size))
        self._ids = bytearray(_ID_BYTES * size)
        self._label = bytearray(size)  # of homes: index into the shares
        self._good = bytearray(size)
        self._waiting: dict[int, list[int]] = {}  # a parent that is not filed yet → its children
        self._lost: dict[int, int] = {}  # a parent that is gone from the log → its first child
        self.count = 0

    def add(self, seq: int, id_: bytes, parent: int | None) -> None:
        """The next completion in log order, and the completion it continues."""
        self.count += 1
        self._root[seq] = seq
        self._ids[_ID_BYTES * seq : _ID_BYTES * (seq + 1)] = id_
        if parent is not None and parent <= self._watermark:
            self._parent[seq] = parent
            if parent > seq:
                self._waiting.setdefault(parent, []).append(seq)
            else:
                self._join(seq, parent if self._root[parent] else self._lost.setdefault(parent, seq))
        for child in self._waiting.pop(seq, ()):
            self._join(seq, child)
        home = self._home[seq] = self._find(seq)
        if home == seq:
            self._label[seq] = self._names.index(share(self._seed, id_, self._shares))

    def mark(self, seq: int) -> None:
        """This completion was selected, and its answer may be learned."""
        self._good[seq] = 1

    def follow(self, seq: int, twin: int) -> None:
        """The row of `seq` repeats that of `twin`: if its chain begins with it, the chain goes where `twin` is."""
        if self._home[seq] == seq:
            label = self._label[seq] = self._label[self._home[twin]]
            if self._label[self._find(twin)] == label:
                self._join(seq, twin)

    def split(self, seq: int, twin: int | None = None) -> str | None:
        """The split of a row whose head is `seq`; None where its chain, or the row that it repeats, is in another."""
        label = self._label[self._home[seq]]
        others = (self._find(seq),) if twin is None else (self._find(seq), self._home[twin])
        return self._names[label] if all(self._label[other] == label for other in others) else None

    def group(self, seq: int) -> bytes:
        """Id of the first completion of all that stand in one split with `seq`."""
        return self._id(self._find(seq))

    def chain(self, seq: int) -> bytes:
        """Id of the completion that the chain of `seq` starts with."""
        top = seq
        while self._parent[top] and self._root[self._parent[top]]:
            top = self._parent[top]
        return self._id(top)

    def chains(self) -> Iterator[list[int]]:
        """The marked completions of each chain in log order, chains in the order of their last one."""
        last = {self._find(seq): seq for seq in self._marked()}
        grown: dict[int, list[int]] = {}
        for seq in self._marked():
            root = self._find(seq)
            grown.setdefault(root, []).append(seq)
            if last[root] == seq:
                yield grown.pop(root)

    def above(self, seq: int) -> int | None:
        """The nearest marked completion before `seq` in its conversation."""
        parent = self._parent[seq]
        while parent and not self._good[parent]:
            parent = self._parent[parent]
        return parent or None

    def _marked(self) -> Iterator[int]:
        at = self._good.find(1)
        while at >= 0:
            yield at
            at = self._good.find(1, at + 1)

    def _id(self, seq: int) -> bytes:
        return bytes(self._ids[_ID_BYTES * seq : _ID_BYTES * (seq + 1)])

    def _find(self, seq: int) -> int:
        root = self._root
        while root[seq] != seq:
            root[seq] = root[root[seq]]
            seq = root[seq]
        return seq

    def _join(self, one: int, other: int) -> None:
        low, high = sorted((self._find(one), self._find(other)))
        self._root[high] = low
