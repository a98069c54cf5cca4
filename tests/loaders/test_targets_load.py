"""Every target's file, as the command line exports it, in the real loader: what is learned is what was marked."""

from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from tailrace_exporters.formats import FORMATS
from tests.loaders.places import version_of
from tests.loaders.table import Tried
from tests.loaders.targets import LOADERS, NONE, Loader

pytestmark = pytest.mark.loaders

EVERY: Final = [(target, loader) for target, loaders in LOADERS.items() for loader in loaders]


def test_every_format_has_a_loader_or_the_reason_why_not() -> None:
    assert set(LOADERS) | set(NONE) == set(FORMATS)
    assert not set(LOADERS) & set(NONE)


@pytest.mark.parametrize(("target", "loader"), EVERY, ids=[f"{target}-{one.package}" for target, one in EVERY])
def test_it_loads(target: str, loader: Loader, exported: dict[str, Path], tmp_path: Path, tried: list[Tried]) -> None:
    module, _, name = loader.load.partition(":")
    load = getattr(import_module(f"tests.loaders.{module}"), name)
    said = "failed"
    try:
        rows = load(exported[target], tmp_path)
        assert rows >= LEAST.get(target, 60)
        said = f"{rows} rows"
    except pytest.skip.Exception as exc:
        said = f"not here: {exc}"
        raise
    finally:
        found = version_of(loader.package, loader.place)
        tried.append(Tried(target, loader.name, f"{loader.package} {found or ''}".rstrip(), said))


LEAST: Final = {"openai-dpo": 5, "trl-preference": 5, "trl-kto": 20}
"""Of most targets all the plain conversations are there; pairs are rare."""
