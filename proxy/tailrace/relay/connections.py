"""The providers of a configuration as the relay uses them."""

from collections.abc import Callable

from tailrace.relay.live import Connection, Live
from tailrace.settings import SIMULATED, Provider, Settings
from tailrace.settings_load import config_hash
from tailrace.upstream.client import Upstream, open_upstream
from tailrace.wire.dialects import DIALECTS

OpenSimulator = Callable[[Settings], Upstream]


def open_live(settings: Settings, open_simulator: OpenSimulator) -> Live:
    """A configuration in force: a connection pool for each provider; no connection is made yet."""
    connections = {name: _connect(name, provider) for name, provider in settings.providers.items()}
    if settings.simulator.enabled:
        connections[SIMULATED] = Connection(
            upstream=open_simulator(settings),
            dialect=DIALECTS["openai"],
            prefix="",
            query=b"",
            headers=(),
            credential=None,
            name_credential=DIALECTS["openai"].credential,
            takes_callers_key=False,
            stream_usage=True,
            max_answer_bytes=Provider.model_fields["max_answer_bytes"].default,
        )
    return Live(settings, connections, config_hash(settings))


def _connect(name: str, provider: Provider) -> Connection:
    key = provider.api_key
    dialect = DIALECTS[provider.dialect]
    return Connection(
        upstream=open_upstream(name, provider),
        dialect=dialect,
        prefix="",
        query=b"",
        headers=tuple(
            (header.lower().encode("latin-1"), value.get_secret_value().encode("latin-1"))
            for header, value in provider.headers.items()
        ),
        credential=None if key is None else dialect.credential(key.get_secret_value().encode()),
        name_credential=dialect.credential,
        takes_callers_key=key is None,
        stream_usage=provider.stream_usage,
        max_answer_bytes=provider.max_answer_bytes,
    )
