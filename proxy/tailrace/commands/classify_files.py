"""Texts of a file instead of the log's, and a file of labels that is only ever appended to.

A line of labels is written whole or, when the process dies in it, torn: then it is taken off when the file is opened
again, and its text is labelled anew. What stands in the file before that stays as it is.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from tailrace.classify.cascade import Said
from tailrace.classify.item_files import GoldError, parse_rows, turns_in
from tailrace.classify.ready import Ready
from tailrace.classify.turn import CUT, Subject, Turn, shorten
from tailrace.errors import UserError, WorkFailed
from tailrace.labeller.bulk import Piece
from tailrace.records import Json, LabelMode

MOST_ITEMS: Final = 1_000_000
_ID_CHARS: Final = 512


def read_pieces(path: Path, ready: Ready) -> list[Piece]:
    """The texts of a `.jsonl` or `.csv` file: `text`, and where there are any `id`, `context` or `turns` (a list of
    `{role, text}`) and `previous`. A line without an id has its number.

    Raises:
        UserError: the file cannot be read, or a line is wrong; it is named.
    """
    pieces: dict[str, Piece] = {}
    for line, row in rows_of(path):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"].strip():
            raise UserError(f"{path}, line {line}: has no text; each item needs one")
        id_ = row.get("id", line)
        key = id_ if isinstance(id_, str) else orjson.dumps(id_).decode()
        if not key or len(key) > _ID_CHARS:
            raise UserError(f"{path}, line {line}: an id is a text of 1 to {_ID_CHARS} characters")
        if key in pieces:
            raise UserError(f"{path}, line {line}: the id {key[:60]!r} stands there twice; make them different")
        if len(pieces) >= MOST_ITEMS:
            raise UserError(f"{path}: holds more than {MOST_ITEMS:,} items; split it")
        pieces[key] = Piece(key, _subject(row, ready), key)
    return list(pieces.values())


def rows_of(path: Path) -> Iterator[tuple[int, Json]]:
    """The rows of a `.jsonl` or `.csv` file with their line numbers; cells of `context` and the like as JSON.

    Raises:
        UserError: it cannot be read, or is no such file.
    """
    if path.suffix.lower() not in {".jsonl", ".csv"}:
        raise UserError(f"{path}: expected a file named .jsonl or .csv")
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise UserError(f"{path}: cannot be read ({exc.strerror})") from exc
    try:
        yield from parse_rows(data, path.suffix)
    except GoldError as exc:
        raise UserError(f"{path}, {exc}") from exc


class LabelFile:
    """Where the labels of a file's texts go: JSON lines, appended."""

    def __init__(self, path: Path, fd: int, ready: Ready) -> None:
        self._path = path
        self._fd = fd
        self._ready = ready
        self._is_whole = True
        self.done = _repair(path, fd, ready.version)

    async def put(self, piece: Piece, said: Sequence[Said], took_us: int) -> None:
        """Writes the label of a text. Raises WorkFailed."""
        line = b"".join(orjson.dumps(_line(piece, one, self._ready, took_us)) + b"\n" for one in _counting(said))
        why = "was not written whole before"
        try:
            self._is_whole = self._is_whole and os.write(self._fd, line) == len(line)
        except OSError as exc:
            self._is_whole, why = False, str(exc.strerror)
        if not self._is_whole:  # nothing may stand behind a torn line
            raise WorkFailed(f"{self._path}: cannot be written ({why}); run the same command again")
        self.done.add(piece.key)

    def sync(self) -> None:
        """Puts what is written on the disk."""
        os.fsync(self._fd)


@contextmanager
def label_file(path: Path, ready: Ready) -> Iterator[LabelFile]:
    """The file at `path`, made where it is not there. Nobody else may write to it meanwhile.

    Raises:
        UserError: it cannot be written, is in use, or holds something else, such as labels of another version.
    """
    if path.suffix.lower() == ".csv":
        raise UserError(f"--out {path}: labels are written as JSON lines; name it .jsonl")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise UserError(f"--out {path}: cannot be written ({exc.strerror})") from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UserError(f"--out {path}: another command writes to it now; wait for its end") from exc
        made = LabelFile(path, fd, ready)
        yield made
        made.sync()
    finally:
        os.close(fd)


def _counting(said: Sequence[Said]) -> Sequence[Said]:
    """One label for a text: what is said in shadow only where nothing else is."""
    live = [one for one in said if one.mode is LabelMode.LIVE]
    return live[-1:] or said[-1:]


def _line(piece: Piece, said: Said, ready: Ready, took_us: int) -> dict[str, Json]:
    return {
        "id": piece.key,
        "label": said.value,
        "confidence": said.confidence,
        "source": said.source,
        "mode": said.mode,
        "classifier": ready.name,
        "version": ready.version,
        "latency_ms": took_us / 1000,
        "error": said.error,
        "note": said.note,
    }


def _repair(path: Path, fd: int, version: str) -> set[str]:
    """The ids that have a label; a torn last line is taken off."""
    data = bytearray()
    while chunk := os.pread(fd, 1 << 20, len(data)):
        data += chunk
    whole = data.rfind(b"\n") + 1
    done = set()
    for number, line in enumerate(bytes(data[:whole]).split(b"\n")[:-1], 1):
        try:
            row = orjson.loads(line)
            id_, of = row["id"], row["version"]
        except (orjson.JSONDecodeError, TypeError, KeyError) as exc:
            raise UserError(f"--out {path}, line {number}: is no label of ours; choose another file") from exc
        if of != version:
            raise UserError(f"--out {path}: holds labels of version {str(of)[:20]}, not {version}; choose another file")
        done.add(id_)
    if whole < len(data):
        os.ftruncate(fd, whole)
    return done


def _subject(row: dict[str, Json], ready: Ready) -> Subject:
    context = ready.settings.context
    turns = list(turns_in(row.get("context") or row.get("turns")))[-context.turns :] if context.turns else []
    kept: list[Turn] = []
    left = context.chars
    for turn in reversed(turns):
        if left <= 0:
            break
        kept.append(
            Turn(turn.role, turn.text if len(turn.text) <= left else CUT + turn.text[len(turn.text) - left + 1 :])
        )
        left -= len(kept[-1].text)
    previous = row.get("previous") if context.previous_label else None
    before = turns[-1].role if turns else None
    text = shorten(row["text"], context.text_chars)
    return Subject(text, tuple(reversed(kept)), previous if isinstance(previous, str) else None, before)
