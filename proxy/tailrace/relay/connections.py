"""The providers of a configuration as the relay uses them."""

from collections.abc import Callable
from pathlib import Path

from tailrace.classify.cascade import Cascade
from tailrace.classify.ready import load
from tailrace.classify.serving import Serving
from tailrace.errors import SettingsError
from tailrace.relay.addressing import (
    name_credential,
    own_credential,
    own_headers,
    own_query,
    path_prefix,
    takes_callers_key,
)
from tailrace.relay.cache import ResponseCache
from tailrace.relay.live import Connection, Live
from tailrace.relay.retry import RetryBudget
from tailrace.settings import SIMULATED, Provider, Settings
from tailrace.settings_load import config_hash
from tailrace.settings_template_checks import template_files
from tailrace.templates.file import TemplatesError, read_templates
from tailrace.templates.match import Templates
from tailrace.upstream.client import Upstream, open_upstream
from tailrace.wire.dialects import DIALECTS

OpenSimulator = Callable[[Settings], Upstream]


def open_live(settings: Settings, open_simulator: OpenSimulator) -> Live:
    """A configuration in force: a connection pool for each provider; no connection is made yet.

    Raises:
        SettingsError: a file that a classifier or a target names cannot be read.
    """
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
    routing = settings.routing
    cascades = tuple(
        Cascade(load(name, classifier))
        for name, classifier in settings.classifiers.items()
        if classifier.when == "before" and classifier.mode != "off"
    )
    return Live(
        settings=settings,
        connections=connections,
        budgets={name: RetryBudget(routing.retry_budget, routing.retry_budget_min) for name in connections},
        caches={name: ResponseCache(alias.cache) for name, alias in settings.models.items() if alias.cache},
        config_hash=config_hash(settings),
        templates=_templates(settings),
        cascades=cascades,
        servings=tuple(Serving(cascade, settings.log.data_dir) for cascade in cascades),
    )


def _templates(settings: Settings) -> dict[Path, Templates]:
    try:
        return {path: read_templates(path) for path in {path for _, path in template_files(settings)}}
    except TemplatesError as exc:  # it was read a moment ago, when the settings were
        raise SettingsError(str(exc)) from exc


def _connect(name: str, provider: Provider) -> Connection:
    dialect = DIALECTS[provider.dialect]
    return Connection(
        upstream=open_upstream(name, provider),
        dialect=dialect,
        prefix=path_prefix(provider),
        query=own_query(provider),
        headers=own_headers(provider),
        credential=own_credential(provider, dialect),
        name_credential=name_credential(provider, dialect),
        takes_callers_key=takes_callers_key(provider),
        stream_usage=provider.stream_usage,
        max_answer_bytes=provider.max_answer_bytes,
    )
