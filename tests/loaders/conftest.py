"""One log, exported by the real command line for every target; and the table of which loader read what."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.loaders import spoken
from tests.loaders.places import OFFLINE
from tests.loaders.table import Tried, written_into
from tests.typed import run

os.environ.update(OFFLINE)  # read when the libraries are imported

CONVERSATIONS: Final = (
    *("openai-chat", "azure-chat", "together", "fireworks", "vertex-gemini", "bedrock-converse", "bedrock-claude"),
    *("trl-messages", "sharegpt", "alpaca", "axolotl", "torchtune", "parquet"),
)
LAST: Final = ("trl-prompt-completion", "mlx", "mistral", "openai-rft")
PAIRS: Final = ("trl-preference", "trl-kto", "openai-dpo")
SPLIT: Final = "[split]\ntrain = 0.8\nvalid = 0.2\n"
RECIPES: Final = {
    CONVERSATIONS: f"{SPLIT}[assemble]\nunit = 'chain'\n",
    LAST: f"{SPLIT}[assemble]\nunit = 'chain'\ntrain = 'last'\n",
    PAIRS: f"{SPLIT}[prefer]\ngood_score = 1.0\nbad_score = 0.0\n",
    ("csv",): f"{SPLIT}[select]\nwhere = 'label.intent IN (even, odd)'\n",
}
TRIED: Final = pytest.StashKey[list[Tried]]()
TABLE: Final = "--loaders-table"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(TABLE, type=Path, help="the file whose table of loaders is written anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The libraries' own warnings are theirs."""
    for item in items:
        if "loaders" in item.keywords:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each target's files."""
    base = tmp_path_factory.mktemp("exports")
    data = spoken.file_spoken(base / "data")
    found: dict[str, Path] = {}
    for number, (formats, recipe) in enumerate(RECIPES.items()):
        path, out = base / f"recipe-{number}.toml", base / f"out-{number}"
        path.write_text(f"name = 'spoken'\n{recipe}[write]\nformats = {list(formats)}\n")
        said = run("export", path, "--out", out, "--data-dir", data)
        assert said.code == 0, said.err
        found |= {name: out / name for name in formats}
    return found


@pytest.fixture(scope="session")
def tried(request: pytest.FixtureRequest) -> Iterator[list[Tried]]:
    """What the loaders did; in the end it goes into the table of the file that the command line names."""
    found: list[Tried] = []
    yield found
    path: Path | None = request.config.getoption(TABLE)
    if path is not None:
        path.write_text(written_into(path.read_text(), found, datetime.now(UTC).date()))
