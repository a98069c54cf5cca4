"""Proves an export: its files are those of its manifest, and the same recipe over the same log gives the same bytes.

    manifest.sha256 ──▶ manifest.json ──▶ each file's size and SHA-256 ──▶ rebuilt, and compared line by line

Everything found is told, each with its file and nature; nothing is written.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from tailrace.errors import RecipeError, UserError
from tailrace.records import Json
from tailrace.store.query import Marks
from tailrace_exporters import build, checks
from tailrace_exporters.engines import local
from tailrace_exporters.engines.local_answers import LoggedAnswers, Recorded
from tailrace_exporters.files import Lines, NoFiles, lines_of, sha256_of
from tailrace_exporters.manifest import DIGEST, MANIFEST, digest_line, read_watermark, watermark
from tailrace_exporters.recipe import parse_recipe, recipe_hash
from tailrace_exporters.surroundings import Surroundings

_CHUNK: Final = 1 << 20
_OUR_OWN: Final = (MANIFEST, DIGEST)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an export's folder says of itself."""

    folder: Path
    manifest: Json
    raw: bytes
    recipe: str
    marks: Marks
    answers_seq: int
    """The last of the models' answers that it was made with; 0 where no model was asked."""

    def beyond(self, end: Marks) -> str | None:
        """What the export read that a log, which ends at `end`, does not have."""
        have = watermark(end)
        for name, mark in watermark(self.marks).items():
            if have[name] < mark:
                of = "" if name == "seq" else f" of {name}"
                return (
                    f"the log{of} ends at {have[name]}, before the export's watermark {mark}; is this its data folder?"
                )
        return None


@dataclass(slots=True)
class Verdict:
    """What verifying found. `findings` are reasons not to trust the export; `notes` are not."""

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recipe_holds: bool = True
    """Whether the recipe is the one that the manifest was made with; else making it again would prove nothing."""


def read_claim(folder: Path) -> Claim:
    """What `folder` says it is.

    Raises:
        UserError: there is no export.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as exc:
        raise UserError(f"{folder / MANIFEST}: {exc.strerror}; give the folder of an export") from exc
    try:
        found = orjson.loads(raw)
        answers_seq = int(found.get("answers", {}).get("seq", 0))
        return Claim(folder, found, raw, str(found["recipe"]["text"]), read_watermark(found["watermark"]), answers_seq)
    except (AttributeError, ValueError, KeyError, TypeError) as exc:
        raise UserError(f"{folder / MANIFEST}: no manifest of an export, or a damaged one ({exc})") from exc


def check_files(claim: Claim) -> Verdict:
    """The files against the manifest, the manifest against its hash, the recipe against its own. Needs no store."""
    verdict = Verdict()
    verdict.findings.extend(_seal(claim))
    if recipe_hash(claim.recipe) != claim.manifest["recipe"].get("sha256"):
        verdict.recipe_holds = False
        verdict.findings.append(f"{MANIFEST}: recipe: its text was changed; its SHA-256 is not the one beside it")
    listed = claim.manifest.get("files", {})
    there = {str(path.relative_to(claim.folder)) for path in claim.folder.rglob("*") if not path.is_dir()}
    verdict.findings.extend(
        f"{name}: an extra file; the manifest does not list it" for name in sorted(there - {*listed, *_OUR_OWN})
    )
    for name, facts in listed.items():
        verdict.findings.extend(_file(claim.folder, name, facts))
        verdict.findings.extend(_lines(claim.folder, name))
    verdict.notes.extend(checks.limits({name: (facts["lines"], facts["size_bytes"]) for name, facts in listed.items()}))
    return verdict


async def rebuild(claim: Claim, log: local.Log, surroundings: Surroundings, *, progress: local.Progress) -> Verdict:
    """Make the export again from the log and compare it line by line.

    Raises:
        RecipeError: a file that the recipe names is not there.
        WorkFailed: the store is damaged, or the counts do not add up.
    """
    verdict = Verdict()
    try:
        recipe = parse_recipe(claim.recipe, f"{claim.folder / MANIFEST} (recipe)")
    except RecipeError as exc:
        verdict.findings.append(str(exc))
        return verdict
    with ExitStack() as stack:
        files = Comparison(claim.folder, stack)
        answers = LoggedAnswers(log.connection, up_to_seq=claim.answers_seq)
        asking = build.Models(answers, Recorded(answers))
        built = await build.build(log, recipe, claim.recipe, surroundings, files, progress=progress, asking=asking)
        verdict.findings.extend(files.end())
    again, said = orjson.loads(built.manifest), {**claim.manifest, "watermark": watermark(claim.marks)}
    if again["code"] != said.get("code"):
        verdict.notes.append(f"made by {said.get('code')}, verified by {again['code']}")
    if _scrub_key(again) != _scrub_key(said):
        verdict.findings.insert(0, f"{MANIFEST}: scrub: made with another key; every pseudonym differs")
    for key in sorted({*again, *said} - {"code", "files"}):
        if again.get(key) != said.get(key):
            verdict.findings.append(
                f"{MANIFEST}: {key}: the log gives {_short(again.get(key))}, not {_short(said.get(key))}"
            )
    return verdict


def _scrub_key(manifest: Json) -> Json:
    scrub = manifest.get("scrub")
    return scrub.get("key_fingerprint") if isinstance(scrub, dict) else None


class Comparison(NoFiles):
    """Takes the lines of the rebuilt export and compares each with the one that stands in the folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """`stack` closes what is opened."""
        super().__init__()
        self._folder = folder
        self._stack = stack
        self._watched: dict[str, _Watched] = {}

    def touch(self, path: str) -> None:
        """See `Files`."""
        super().touch(path)
        if path not in self._watched and path not in _OUR_OWN:
            there = self._folder / path
            file = self._stack.enter_context(lines_of(there)) if there.is_file() else None
            self._watched[path] = _Watched(path, file)

    def write(self, path: str, data: bytes) -> int:
        """See `Files`."""
        if path not in _OUR_OWN:
            if path not in self._watched:
                self.touch(path)
            self._watched[path].add(data)
        return super().write(path, data)

    def finish(self, path: str) -> str:
        """See `Files`: what stands beside a file tells of it as it is."""
        there = self._folder / path
        return sha256_of(there) if there.is_file() else super().finish(path)

    def written(self) -> Iterator[tuple[str, Lines]]:
        """See `Files`."""
        for path in (*self._watched, *_OUR_OWN):
            if (self._folder / path).is_file():
                with lines_of(self._folder / path) as readable:
                    yield path, readable

    def end(self) -> Iterator[str]:
        """What differs, a line a file."""
        for watched in self._watched.values():
            yield from watched.end()


class _Watched:
    """One file of the folder, read along while it is made again; looks one line ahead to tell missing from changed."""

    def __init__(self, name: str, file: Lines | None) -> None:
        self._name = name
        self._file = file
        self._line = 0
        self._ahead: list[bytes] = []
        self._owed: bytes | None = None  # a rebuilt line that the file's present line is not
        self._counts = {"missing": 0, "changed": 0, "extra": 0}
        self._first: tuple[int, str] | None = None

    def add(self, data: bytes) -> None:
        """The next rebuilt line."""
        if self._owed is not None:
            self._owed = None
            if self._peek(0) == data:
                self._note("missing")
                self._take()
                return
            self._note("changed")
            self._take()
        if self._peek(0) == data:
            self._take()
        elif not self._peek(0):
            self._note("missing")
        elif self._peek(1) == data:
            self._note("extra")
            self._take()
            self._take()
        else:
            self._owed = data

    def end(self) -> Iterator[str]:
        """What was found, once every line was rebuilt."""
        if self._owed is not None:
            self._note("changed" if self._peek(0) else "missing")
            self._take()
        while self._peek(0):
            self._note("extra")
            self._take()
        if self._first is not None:
            line, nature = self._first
            counts = ", ".join(f"{count} {word}" for word, count in self._counts.items() if count)
            yield f"{self._name}:{line}: this line is {nature}, by what the log gives ({counts} in this file)"

    def _note(self, nature: str) -> None:
        self._counts[nature] += 1
        if self._first is None:
            self._first = (self._line + 1, nature)

    def _peek(self, ahead: int) -> bytes:
        while len(self._ahead) <= ahead:
            self._ahead.append(self._read())
        return self._ahead[ahead]

    def _read(self) -> bytes:
        try:
            return self._file.readline() if self._file is not None else b""
        except ValueError:  # a damaged Parquet file: `_file` tells of it, and its lines are missing
            self._file = None
            return b""

    def _take(self) -> None:
        self._peek(0)
        del self._ahead[0]
        self._line += 1


def _seal(claim: Claim) -> Iterator[str]:
    try:
        seal = (claim.folder / DIGEST).read_bytes()
    except OSError as exc:
        yield f"{DIGEST}: {exc.strerror}"
        return
    if seal != digest_line(claim.raw):
        yield f"{MANIFEST}: changed; its SHA-256 is not the one in {DIGEST}"


def _file(folder: Path, name: str, facts: Json) -> Iterator[str]:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or path.is_symlink():
        yield f"{name}: not a file of this folder"
        return
    digest = hashlib.sha256()
    lines = size = 0
    try:
        with lines_of(path) as file:
            while some := file.readlines(_CHUNK):
                chunk = b"".join(some)
                digest.update(chunk)
                lines += chunk.count(b"\n")
                size += len(chunk)
    except OSError as exc:
        yield f"{name}: {exc.strerror}"
        return
    except ValueError as exc:
        yield f"{name}: {exc}"
        return
    if lines != facts["lines"]:
        yield f"{name}: {lines} lines; the manifest says {facts['lines']}"
    elif size != facts["size_bytes"]:
        yield f"{name}: {size} bytes; the manifest says {facts['size_bytes']}"
    elif digest.hexdigest() != facts["sha256"]:
        yield f"{name}: changed; as many bytes as the manifest says, with another SHA-256"


def _lines(folder: Path, name: str) -> Iterator[str]:
    path = folder / name
    if ".." not in Path(name).parts and path.is_file() and not path.is_symlink():
        try:
            with lines_of(path) as file:
                yield from checks.lines(name, iter(file.readline, b""))
        except ValueError:  # `_file` has told of it
            return


def _short(value: Json) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:80]}…"
