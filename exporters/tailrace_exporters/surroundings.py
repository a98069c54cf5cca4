"""What a recipe refers to and does not contain: files beside it, and secrets. The only reader of either.

Each file that was read is in the manifest with its hash: the same recipe with another file is another export.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace.settings_secrets import UnresolvedError, resolve


class Surroundings:
    """The folder that a recipe's paths start from, and the environment."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._hashes: dict[str, str] = {}

    def read(self, name: str) -> bytes:
        """The content of the file that a recipe calls `name`.

        Raises:
            RecipeError: it cannot be read.
        """
        path = self._folder / name
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise RecipeError(f"{path}: cannot be read ({exc.strerror}); the recipe names it") from exc
        self._hashes[name] = hashlib.sha256(content).hexdigest()
        return content

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of the file that a recipe calls `name`, which may be larger than memory.

        Raises:
            RecipeError: it cannot be read.
        """
        path = self._folder / name
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                for line in file:
                    digest.update(line)
                    yield line
        except OSError as exc:
            raise RecipeError(f"{path}: cannot be read ({exc.strerror}); the recipe names it") from exc
        self._hashes[name] = digest.hexdigest()

    def is_folder(self, name: str) -> bool:
        """Whether what a recipe calls `name` is a folder."""
        return (self._folder / name).is_dir()

    def secret(self, key: str, reference: str) -> str:
        """What `reference` (`env:NAME`, `file:/path`), which a recipe has at `key`, refers to.

        Raises:
            RecipeError: it leads nowhere, or is the secret itself.
        """
        try:
            return resolve(reference, self._environ, f"TAILRACE_{key}")
        except UnresolvedError as exc:
            raise RecipeError(f"{key}: {exc}") from exc

    @property
    def inputs(self) -> dict[str, Json]:
        """SHA-256 of each file that was read, by the recipe's name for it."""
        return dict(sorted(self._hashes.items()))
