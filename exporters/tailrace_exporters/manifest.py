"""What an export is, in one file: recipe, watermark, proof, counts. The same log and recipe give the same bytes.

Nothing here tells one run from another: no time, no host, no path. `manifest.sha256` carries the manifest's own hash,
in the form that `sha256sum -c` reads.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import orjson

import tailrace
from tailrace.records import Json
from tailrace.store.query import Marks
from tailrace_exporters.files import Tally

MANIFEST: Final = "manifest.json"
DIGEST: Final = "manifest.sha256"
VERSION: Final = 1
"""Of the manifest's shape."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


class Merkle:
    """The root over row hashes in the order of the lineage; memory grows with the logarithm of the rows.

    SHA-256, leaves and nodes told apart by a first byte, left subtrees of 2^k leaves: RFC 6962, section 2.1.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []  # (height, hash) of complete subtrees, left to right
        self.count = 0

    def add(self, leaf: bytes) -> None:
        """The next row's hash."""
        self.count += 1
        height, node = 0, hashlib.sha256(_LEAF + leaf).digest()
        while self._stack and self._stack[-1][0] == height:
            node = hashlib.sha256(_NODE + self._stack.pop()[1] + node).digest()
            height += 1
        self._stack.append((height, node))

    def root(self) -> bytes:
        """The root; of no rows the hash of nothing."""
        if not self._stack:
            return hashlib.sha256().digest()
        node = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            node = hashlib.sha256(_NODE + left + node).digest()
        return node


def manifest(
    *,
    name: str,
    recipe: str,
    recipe_sha256: str,
    inputs: Mapping[str, Json],
    marks: Marks,
    report: Mapping[str, Json],
    files: Mapping[str, Tally],
) -> bytes:
    """The manifest's bytes. `recipe`: its text; `inputs`: what it read beside it; `report`: what was counted."""
    content = {
        "tailrace_export": VERSION,
        "name": name,
        "code": {"tailrace": tailrace.__version__},
        "recipe": {"sha256": recipe_sha256, "text": recipe},
        "inputs": inputs,
        "watermark": watermark(marks),
        **report,
        "files": {
            path: {"lines": tally.lines, "size_bytes": tally.size_bytes, "sha256": tally.digest.hexdigest()}
            for path, tally in sorted(files.items())
        },
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def watermark(marks: Marks) -> dict[str, int]:
    """How much of the log an export read: `seq` is the last completion's, the others those of what stands beside."""
    return {"seq": marks.completions, "labels": marks.labels, "actions": marks.actions, "feedback": marks.feedback}


def read_watermark(said: Json) -> Marks:
    """What `watermark` wrote. Where a manifest says nothing of labels, no query could ask for them: none counted.

    Raises:
        KeyError, TypeError, ValueError: it is no such thing.
    """
    beside = (int(said.get(name, 0)) for name in ("labels", "actions", "feedback"))
    return Marks(int(said["seq"]), *beside)


def digest_line(manifest_bytes: bytes) -> bytes:
    """What `manifest.sha256` says of a manifest."""
    return f"{hashlib.sha256(manifest_bytes).hexdigest()}  {MANIFEST}\n".encode()
