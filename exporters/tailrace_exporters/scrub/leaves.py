"""The texts inside a JSON value, one after the other as one text to search, and the value with other texts in their
places. Pure.

Each text stands on a line of its own; that of a member after its key, so that `"api_key": "…"` is seen as what it is,
be it in a text or in the structure. Long numbers count as texts. What a data URL or an audio part carries does not:
chance would find values in it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from tailrace.records import Json

_LEAST_NUMBER: Final = 10**11
_CARRIED: Final = re.compile(rb"(;base64,)([A-Za-z0-9+/=_-]+)")
_ZEROS: Final = re.compile("\0+")
_CARRIERS: Final = frozenset({"data", "file_data"})
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
_USUAL: Final = """
role content type text name tool_calls function arguments id tool_call_id refusal annotations parameters properties
index description required image_url url reasoning reasoning_content items enum strict label entities
"""
_USUAL_KEYS: Final = frozenset(_USUAL.split())
"""Keys that are no values, and after which none begins."""


class Leaf(NamedTuple):
    """One text: its line in the whole from `line` to `end`, itself from `start`."""

    line: int
    start: int
    end: int
    pointer: str
    carried: tuple[str, ...] = ()
    """What was left out of the search, in order: zeros stand for it."""


class Leaves:
    """All texts of some values."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        """`values` by the JSON pointer at which each stands."""
        self.leaves: list[Leaf] = []
        self._parts: list[bytes] = []
        self._size = 0
        for pointer, value in values.items():
            self._walk(value, pointer, b"")
        self.text = b"".join(self._parts)

    def line(self, leaf: Leaf) -> bytes:
        """What is searched for a leaf alone: its text after its key."""
        return self.text[leaf.line : leaf.end]

    def _walk(self, value: Json, pointer: str, key: bytes) -> None:
        if isinstance(value, str):
            self._add(value, pointer, key)
        elif isinstance(value, dict):
            for name, member in value.items():
                self._member(name, member, pointer)
        elif isinstance(value, list | tuple):
            for n, each in enumerate(value):
                self._walk(each, f"{pointer}/{n}", key)
        elif type(value) is int and abs(value) >= _LEAST_NUMBER:
            self._add(str(value), pointer, key)

    def _member(self, name: str, member: Json, pointer: str) -> None:
        if name in _USUAL_KEYS:
            self._walk(member, f"{pointer}/{name}", b"")
            return
        self._add(name, pointer, b"")
        if name in _CARRIERS and isinstance(member, str) and _BASE64.fullmatch(member):
            self._add("", pointer, b"")
            return
        self._walk(member, pointer + "/" + name.replace("~", "~0").replace("/", "~1"), _utf8(f'"{name}": "'))

    def _add(self, text: str, pointer: str, key: bytes) -> None:
        data = _utf8(text)
        carried: tuple[str, ...] = ()
        if b";base64," in data and b"\0" not in data:
            carried = tuple(found[2].decode() for found in _CARRIED.finditer(data))
            data = _CARRIED.sub(lambda found: found[1] + b"\0" * len(found[2]), data)
        line, start = self._size, self._size + len(key)
        self._parts += (key, data, b"\n")
        self._size = start + len(data) + 1
        self.leaves.append(Leaf(line, start, self._size - 1, pointer, carried))


def restored(text: str, leaf: Leaf) -> str:
    """A leaf's text after its scrubbing, with what it carries back in its places."""
    carried = iter(leaf.carried)
    return _ZEROS.sub(lambda _: next(carried), text) if leaf.carried else text


def rebuilt(value: Json, texts: Iterator[str | None]) -> Json:
    """`value` with the next of `texts` in place of each of its texts, in the order of `Leaves`; None keeps one."""
    if isinstance(value, str):
        return _or(next(texts), value)
    if isinstance(value, dict):
        return _members(value, texts)
    if isinstance(value, list | tuple):
        return [rebuilt(each, texts) for each in value]
    if type(value) is int and abs(value) >= _LEAST_NUMBER:
        text = next(texts)
        return value if text is None else int(text) if text.isdigit() else 0
    return value


def _members(value: dict[str, Json], texts: Iterator[str | None]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    for name, member in value.items():
        key = name if name in _USUAL_KEYS else _or(next(texts), name)
        while key in made:  # two keys that are masked alike stay two
            key += "_"
        if name not in _USUAL_KEYS and name in _CARRIERS and isinstance(member, str) and _BASE64.fullmatch(member):
            next(texts)
            made[key] = member
        else:
            made[key] = rebuilt(member, texts)
    return made


def _or(text: str | None, instead: str) -> str:
    return instead if text is None else text


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
