"""One proxy before one simulated provider, in processes of their own, for the official clients."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.clients.places import Place
from tests.running import Proxy, proxy, simulator

CONFIG = """
default_provider = "up"
[log]
durability = "process"
[providers.up]
base_url = "{url}/v1"
api_key = "env:UP_KEY"
[providers.claude]
base_url = "{url}/v1"
dialect = "anthropic"
api_key = "env:UP_KEY"
[providers.gemini]
base_url = "{url}/v1beta"
dialect = "gemini"
api_key = "env:UP_KEY"
"""


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulated provider's address."""
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    """The proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UP_KEY", "provider-key")
        with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=provider)) as started:
            yield started


@pytest.fixture
def place(request: pytest.FixtureRequest, provider: str) -> Place:
    """Where a test of `tests/clients/places.py` calls."""
    kind, family = request.param
    session = uuid4().hex
    if kind == "direct":
        return Place(provider, family, None, session)
    started: Proxy = request.getfixturevalue("running")
    return Place(started.url, family, started, session)
