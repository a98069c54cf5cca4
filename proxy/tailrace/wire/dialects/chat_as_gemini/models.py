"""What Gemini's models differ in where a request must be said one way or the other.

Since Gemini 3, thinking is asked for by level instead of a budget, and a function call must come back with its thought
signature. A name that tells no version is taken for a newer one.
"""

from typing import Final

_BEFORE_3: Final = ("gemini-1", "gemini-2")


def is_before_3(model: str) -> bool:
    """Whether `model` is older than Gemini 3."""
    return model.removeprefix("models/").startswith(_BEFORE_3)
