"""A student at work in the relay: a turn in, a label and a confidence out; and its exchange for a newer one.

No training library is imported here, and this module only where a student is configured: numpy is 20 MB of memory.

Serving adds up the rows of the turn's features: some hundred rows of the mapped matrix, no lock. `Served` holds one
student by one reference. A call takes it once and stays with it, so a swap in the middle is not seen; the file a
student is mapped from may be replaced or deleted meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tailrace.classify.student.guarantee import accepts
from tailrace.classify.student.matrix import Header, Matrix, read
from tailrace.classify.student.scores import certainty, confidences
from tailrace.classify.turn import Subject


@dataclass(frozen=True, slots=True)
class Said:
    """What the student says of a turn. `labels`: one, but for a multi-label task. `alone`: it may answer by itself."""

    labels: tuple[str, ...]
    confidence: float
    alone: bool
    serial: int


class Student:
    """One student, immutable."""

    __slots__ = ("_bias", "_rows", "header")

    def __init__(self, header: Header, rows: Matrix) -> None:
        self.header = header
        self._rows: Final = np.asarray(rows)  # the plain view: memmap's own indexing is twice as slow
        self._bias: Final = np.array(rows[-1])

    @classmethod
    def load(cls, path: Path) -> "Student":
        """From a file. Raises matrix.Damaged, and OSError; reads the file once, so not on the event loop."""
        return cls(*read(path))

    def say(self, subject: Subject) -> Said:
        """The label of a turn."""
        header = self.header
        share = confidences(self.scores(subject), header.temperature, header.multilabel)
        if header.multilabel:
            labels = tuple(header.labels[n] for n in np.flatnonzero(share >= 0.5))
            confidence = float(certainty(share))
        else:
            best = int(share.argmax())
            labels, confidence = (header.labels[best],), float(share[best])
        return Said(labels, confidence, self._alone(labels, confidence), header.serial)

    def scores(self, subject: Subject) -> Matrix:
        """The one-vs-rest score of each label."""
        indices, values = self.header.features.of(subject)
        scores: Matrix = values @ self._rows.take(indices, axis=0)
        scores += self._bias
        return scores

    def _alone(self, labels: Sequence[str], confidence: float) -> bool:
        header = self.header
        if header.threshold is None:
            return False
        return all(accepts(label, confidence, header.threshold, header.withheld) for label in labels or ("",))


class Served:
    """The student of one classifier, as a worker has it; None while there is none."""

    __slots__ = ("_seen", "path", "student")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.student: Student | None = None
        self._seen: tuple[int, int, int] | None = None

    def is_stale(self) -> bool:
        """Whether the file is another than the one served; one stat call."""
        return self._stamp() != self._seen

    def refresh(self, meaning: str) -> bool:
        """Takes the student the file holds now; True: it is another. In a thread: it reads the file once.

        A student of labels of another meaning is not served, and no file is no student. Raises matrix.Damaged and
        OSError; the student before is then kept.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        student = Student.load(self.path) if stamp else None
        self.student = student if student and student.header.meaning == meaning else None
        self._seen = stamp
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
