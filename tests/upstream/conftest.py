"""Every asynchronous test here runs on asyncio's own loop and on uvloop, which the relay uses."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.upstream.certs import Authority, make_authority


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run's own, with its certificates."""
    folder: Path = tmp_path_factory.mktemp("certs")
    return make_authority(folder)
