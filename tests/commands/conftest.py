"""What the command tests share: a store that holds one of everything."""

from pathlib import Path

import pytest

from tests.commands.filed import file_everything


@pytest.fixture(scope="session")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of `filed.py`'s log; read only."""
    return file_everything(tmp_path_factory.mktemp("filed") / "data")
