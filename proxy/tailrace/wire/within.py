"""Whether one JSON value says no more than another: what lets a snapshot stand for all that came before it."""

from typing import Final

from tailrace.records import Json

_MAX_DEPTH: Final = 64


def is_within(said: Json, kept: Json, depth: int = _MAX_DEPTH) -> bool:
    """Whether all that `said` says stands in `kept` too.

    Null and empty values say nothing: they are what stands where the value is not known yet. Objects may have more
    members in `kept`, and arrays more at their end. What is nested too deep to look into is not proven, so False.
    """
    if said is None or said in ("", [], {}):
        return True
    if depth == 0:
        return False
    if isinstance(said, dict):
        return isinstance(kept, dict) and all(
            is_within(value, kept.get(name), depth - 1) for name, value in said.items()
        )
    if isinstance(said, list):
        return (
            isinstance(kept, list)
            and len(said) <= len(kept)
            and all(is_within(one, other, depth - 1) for one, other in zip(said, kept, strict=False))
        )
    return type(said) is type(kept) and bool(said == kept)
