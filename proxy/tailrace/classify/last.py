"""The last label of each conversation, for the next turn's context. Bounded; may be absent, and is after a restart."""

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 20_000
"""Conversations and classifiers; at the limit the longest unused one goes."""


class LastLabels:
    """By classifier and by what tells conversations apart."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._labels: OrderedDict[tuple[str, bytes], str] = OrderedDict()

    def get(self, classifier: str, conversation: bytes) -> str | None:
        """The label of the turn before."""
        return self._labels.get((classifier, conversation))

    def put(self, classifier: str, conversation: bytes, label: str) -> None:
        """The label of the turn just labelled."""
        self._labels[classifier, conversation] = label
        self._labels.move_to_end((classifier, conversation))
        if len(self._labels) > self._most:
            self._labels.popitem(last=False)
