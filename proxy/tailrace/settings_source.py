"""Where settings come from: a TOML file, and environment variables over it. Knows each value's place, and no meaning.

`TAILRACE_SERVER__PORT=4701` sets `port` in `[server]`: two underscores go down one table, case does not matter, and
arrays and tables may be given as JSON.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tailrace.errors import SettingsError, UserError
from tailrace.records import Json

PREFIX: Final = "TAILRACE_"
DEFAULT_FILE: Final = Path("tailrace.toml")

KeyPath = tuple[str | int, ...]
"""Names of tables and keys, and numbers of array entries (from 0), from the root down."""

_NO_SETTINGS: Final = frozenset(("TAILRACE_SCRUB_KEY",))
"""Variables of ours that are read by others: recipes name this one, as the documentation has it."""

# Kubernetes gives every pod these for a service named `tailrace`; they are not meant for us.
_SERVICE_LINK: Final = re.compile(r"TAILRACE_(SERVICE_|PORT(_|$)).*")
_AT: Final = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


@dataclass(frozen=True, slots=True)
class Layers:
    """The file's values with the environment's over them, and where each came from."""

    values: dict[str, Json]
    file: Path | None = None
    text: str = ""
    variables: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """The variable, or `file:line`, that set `path`, or the nearest table around it that was written down."""
        lines = dict(locate(self.text)) if self.text else {}
        for length in range(len(path), 0, -1):
            around = path[:length]
            if around in self.variables:
                return self.variables[around]
            if around in lines:
                return f"{self.file}:{lines[around]}"
            for below, name in self.variables.items():
                if below[:length] == around:
                    return name
        return "settings" if self.file is None else str(self.file)


def read_layers(path: Path | None, environ: Mapping[str, str]) -> Layers:
    """Read `path` (`./tailrace.toml` when None and present) and the `TAILRACE_…` variables.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or a variable's text is no UTF-8.
    """
    there = os.path.isfile(DEFAULT_FILE)  # noqa: PTH113 never raises, as where `sudo -u` was called in /root
    file = path if path is not None else DEFAULT_FILE if there else None
    text = "" if file is None else _read(file)
    values = {} if file is None else parse_toml(str(file), text, SettingsError)
    variables: dict[KeyPath, str] = {}
    for name, value in sorted(environ.items()):
        key_path = _path_of(name, values)
        if key_path is not None:
            _check_text(name, value)
            _put(values, key_path, value)
            variables[key_path] = name
    return Layers(values, file, text, variables)


def locate(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Each key path of a valid TOML text with the line it stands on (from 1).

    A statement is complete when it parses alone: a value cannot be cut at a line's end and still be a value.
    """
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    statement, begin = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        begin = begin if statement else number
        statement += line
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = _header(parsed, counts)
            yield table, begin
        else:
            yield from ((table + path, begin) for path in _paths(parsed))
        statement = ""


def _header(parsed: Json, counts: dict[KeyPath, int]) -> KeyPath:
    """The path of a `[table]` or of the next entry of a `[[table]]`; keys below an entry belong to the latest one."""
    path: KeyPath = ()
    while parsed:
        if isinstance(parsed, list):
            counts[path] = counts.get(path, -1) + 1
            return (*path, counts[path])
        ((name, parsed),) = parsed.items()
        path = (*path, name)
        if isinstance(parsed, dict) and path in counts:
            path = (*path, counts[path])
    return path


def _paths(value: Json) -> Iterator[KeyPath]:
    entries: Iterable[tuple[str | int, Json]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, below in entries:
        yield (key,)
        yield from ((key, *path) for path in _paths(below))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{file}: byte {exc.start} is no UTF-8; save the file as UTF-8") from exc
    except OSError as exc:
        raise SettingsError(f"{file}: cannot be read ({exc.strerror}); give an existing file with --config") from exc


def parse_toml(place: str, text: str, wrong: type[UserError]) -> dict[str, Json]:
    """The tables that `text` holds; `place` names it in a mistake.

    Raises:
        UserError: of the kind `wrong`: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        match = _AT.fullmatch(str(exc))
        what = match["what"] if match else str(exc)
        lines = text.splitlines() or [""]
        line, column = (len(lines), len(lines[-1]) + 1)
        if match and match["line"]:
            line, column = int(match["line"]), int(match["column"])
        what = f"{what[:1].lower()}{what[1:]}; quote text, and write one key a line"
        raise wrong(f"{place}:{line}:{column}: this is no TOML: {what}") from exc


def _path_of(name: str, values: dict[str, Json]) -> KeyPath | None:
    """What the variable `name` sets; None where it is none of ours."""
    if not name.upper().startswith(PREFIX) or name in _NO_SETTINGS or _SERVICE_LINK.fullmatch(name):
        return None
    path: KeyPath = ()
    level: Json = values
    for part in name[len(PREFIX) :].lower().split("__"):
        # A name in the file may hold capitals and hyphens, which a variable's name cannot say.
        known = {key.lower().replace("-", "_"): key for key in level} if isinstance(level, dict) else {}
        key = known.get(part, part)
        level = level.get(key) if isinstance(level, dict) else None
        path = (*path, key)
    return path


def _check_text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise SettingsError(f"{name}: character {exc.start + 1} is no UTF-8; set the variable to UTF-8 text") from exc


def _put(values: dict[str, Json], path: KeyPath, value: str) -> None:
    level: Json = values
    for key in path[:-1]:
        if not isinstance(level.get(key), dict):
            level[key] = {}
        level = level[key]
    level[path[-1]] = value


def from_text(text: str, *, takes_text: bool) -> Json:
    """The value that a variable's text stands for; where it is no JSON, the text itself, to be refused by name."""
    if takes_text:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
