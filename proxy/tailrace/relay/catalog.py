"""The models that a client may ask for: aliases and configured models first, then what the providers list themselves.

A provider is asked at most once in `_FRESH_S`; where it fails, what it last listed stands for `_KEPT_S`, and after
that it is left out. Each model has the name by which it is routed. A caller's own key goes to the default provider
alone, and what is listed to it is remembered for nobody.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import orjson
import structlog

from tailrace import metrics
from tailrace.errors import CallError, Code, ProviderFailed, ProviderTimeout, Refused
from tailrace.relay.live import Connection, Live
from tailrace.relay.outbound import Header, caller_credential
from tailrace.relay.outgoing import list_models
from tailrace.relay.routing import plan
from tailrace.settings import SIMULATED, Settings, Timeouts
from tailrace.wire.models import Model, read_models

_LIMIT_S: Final = 5
_LIMIT_BYTES: Final = 4 * 2**20
_FRESH_S: Final = 60
_KEPT_S: Final = 3600
TIMEOUTS: Final = Timeouts(
    connect_s=_LIMIT_S, first_byte_s=_LIMIT_S, idle_s=_LIMIT_S, ping_idle_s=_LIMIT_S, total_s=_LIMIT_S
)

log = structlog.get_logger("tailrace.relay")


@dataclass(slots=True)
class _Listed:
    """What a provider listed last, and when; and when it was last asked. On the event loop's clock."""

    models: list[Model]
    at: float
    asked: float


@dataclass(slots=True)
class Catalog:
    """The lists of one configuration's providers: at most one each, of at most `_LIMIT_BYTES`."""

    live: Live
    _listed: dict[str, _Listed] = field(default_factory=dict)

    async def models(self, headers: list[Header]) -> list[Model]:
        """All models for a caller who sent `headers`. Never fails: who does not answer in time is left out."""
        settings = self.live.settings
        models = configured(settings)
        asked = [name for name in lists(settings) if name in self.live.connections]
        for name, listed in zip(asked, await asyncio.gather(*(self._of(name, headers) for name in asked)), strict=True):
            models += [named for model in listed if (named := routed(settings, name, model)) is not None]
        return list({model.id: model for model in reversed(models)}.values())[::-1]

    async def _of(self, name: str, headers: list[Header]) -> list[Model]:
        connection = self.live.connections[name]
        own = connection.takes_callers_key
        if own and (name != self.live.settings.default_provider or caller_credential(headers) is None):
            return []  # a caller's key is that of one vendor: no other may see it
        now = asyncio.get_running_loop().time()
        before = None if own else self._listed.get(name)
        if before is not None and now - before.asked < _FRESH_S:
            return before.models
        try:
            models = await _ask(name, connection, headers)
        except CallError as error:
            metrics.model_list_failed(name)
            log.warning("a provider did not list its models", provider=name, code=error.code, reason=error.message)
            models = before.models if before is not None and now - before.at < _KEPT_S else []
            if not own:  # asked again in a while, not by each client while it is down
                self._listed[name] = _Listed(models, before.at if before is not None and models else now, now)
            return models
        if not own:
            self._listed[name] = _Listed(models, now, now)
        return models


def configured(settings: Settings) -> list[Model]:
    """The aliases, then the models that providers' tables name."""
    models = [Model(alias, "tailrace") for alias in settings.models]
    for name, provider in settings.providers.items():
        models += [Model(f"{name}/{model}", name) for model in provider.models]
    return models


def lists(settings: Settings) -> list[str]:
    """The providers that are asked for theirs: the default one, those that say so, the simulator."""
    wishing = [name for name, provider in settings.providers.items() if provider.list_models]
    return list(dict.fromkeys((settings.default_provider, *wishing, SIMULATED)))


def routed(settings: Settings, provider: str, model: Model) -> Model | None:
    """`model` under the name that leads to it: its own, else `provider/model`; None where an alias has taken both."""
    for name in (model.id, f"{provider}/{model.id}"):
        try:
            found = plan(settings, name, b"")
        except Refused:
            continue
        target = found.targets[0]
        if found.alias is None and (target.provider, target.model) == (provider, model.id):
            return Model(name, model.owner, model.created_s, model.name, model.told)
    return None


async def fetch(connection: Connection, headers: list[Header]) -> tuple[int, list[Header], bytes]:
    """What a provider answers where it is asked for its models: status, headers, body. Raises ProviderFailed."""
    try:
        async with asyncio.timeout(_LIMIT_S):
            answer = await connection.upstream.call(list_models(headers, connection), TIMEOUTS)
            body = bytearray()
            try:
                async for chunk in answer:
                    body += chunk
                    if len(body) > _LIMIT_BYTES:
                        told = f"Its list of models is larger than {_LIMIT_BYTES} bytes."
                        raise ProviderFailed(Code.PROVIDER_TOO_LARGE, told)
            finally:
                answer.close()
    except TimeoutError:
        raise ProviderTimeout(f"It did not list its models within {_LIMIT_S} s.") from None
    return answer.status, answer.headers, bytes(body)


async def _ask(name: str, connection: Connection, headers: list[Header]) -> list[Model]:
    status, _, body = await fetch(connection, headers)
    try:
        models = read_models(orjson.loads(body), name) if status == 200 else None
    except orjson.JSONDecodeError:
        models = None
    if models is None:
        raise ProviderFailed(Code.PROVIDER_STATUS, f"It answered {status} where a list of models was asked for.")
    return models
