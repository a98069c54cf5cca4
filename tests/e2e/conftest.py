"""One proxy and one simulated provider, in processes of their own, for all tests of a file."""

from collections.abc import Iterator

import pytest

from tests.running import Proxy, proxy, simulator

CONFIG = """
default_provider = "up"
[log]
durability = "process"
[providers.up]
base_url = "{url}/v1"
timeout = {{connect_s = 2, first_byte_s = 1, idle_s = 1, ping_idle_s = 2, total_s = 20}}
[providers.nowhere]
base_url = "http://127.0.0.1:9/v1"
[models.patient]
targets = [{{provider = "up", model = "sim/chunk-every-100"}}]
on_disconnect = "drain"
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulated provider's address."""
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Proxy]:
    """A proxy whose provider is the simulator, and which names it by the models' own names."""
    with proxy(tmp_path_factory.mktemp("proxy"), CONFIG.format(url=provider)) as started:
        yield started
