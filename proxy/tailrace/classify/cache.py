"""By what a label is found again: the classifier's version, the turn and its context. Pure; whoever holds labels, holds
them by this key."""

import unicodedata
from hashlib import blake2b

from tailrace.classify.turn import Subject


def key_of(version: str, subject: Subject, *, folded: bool = True) -> bytes:
    """16 bytes; equal for subjects that no classifier of this `version` may label differently.

    `folded`: case, the form of the characters and the amount of space do not matter. Not so for tasks whose answer
    points into the text (`Task.folds`).
    """
    parts = [version, subject.previous or "", subject.before or "", subject.text]
    for turn in subject.turns:
        parts += [turn.role, turn.text]
    digest = blake2b(digest_size=16)
    for part in parts:
        data = (normal(part) if folded else part).encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))  # so that no two lists of parts are one text
        digest.update(data)
    return digest.digest()


def normal(text: str) -> str:
    """A text in its one form: NFKC, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
