"""`GET /v1/models`: what a client may ask for.

A plain call lists the aliases, the models of the default provider, and the simulated ones; a provider that does not
answer is named under `unavailable`. `?provider=NAME` passes that provider's own list through, byte for byte.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from tailrace.errors import CallError, Code, ProviderFailed, Refused
from tailrace.relay.live import Connection, Live, Relay
from tailrace.relay.outbound import Header, caller_credential, client_headers
from tailrace.relay.outgoing import pass_through
from tailrace.relay.reply import Reply
from tailrace.settings import SIMULATED, Timeouts
from tailrace.upstream.client import Answer

_LIMIT: Final = 8 * 2**20
_TIMEOUTS: Final = Timeouts(connect_s=5, first_byte_s=10, idle_s=10, ping_idle_s=10, total_s=10)


def catalog_route(relay: Relay) -> ASGIRouteHandler:
    """The route, bound to the process's state."""

    @asgi("/v1/models", copy_scope=False)
    async def models(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
        reply = Reply(send, relay.new_id())
        try:
            await _models(relay.live, scope, reply)
        except CallError as error:
            await reply.fail(error)

    return models


async def _models(live: Live, scope: Mapping[str, Any], reply: Reply) -> None:
    if scope["method"] != "GET":
        raise Refused(Code.METHOD_NOT_ALLOWED, f"/v1/models takes GET, not {scope['method']}.", status=405)
    wanted = parse_qs(scope["query_string"].decode("latin-1")).get("provider")
    if wanted:
        await _pass_through(live, wanted[0], scope["headers"], reply)
        return
    listed = [_entry(name, "tailrace") for name in live.settings.models]
    unavailable = []
    for name in dict.fromkeys((live.settings.default_provider, SIMULATED)):
        connection = live.connections.get(name)
        if connection is None or _lacks_key(connection, scope["headers"]):
            continue
        try:
            listed.extend(await _list(connection, scope["headers"]))
        except CallError as error:
            unavailable.append({"provider": name, "reason": error.message})
    body: dict[str, object] = {"object": "list", "data": listed}
    if unavailable:
        body["unavailable"] = unavailable
    await reply.head(200, client_headers([(b"content-type", b"application/json")], reply.id), is_stream=False)
    await reply.finish(orjson.dumps(body))


async def _pass_through(live: Live, name: str, headers: list[Header], reply: Reply) -> None:
    connection = live.connections.get(name)
    if connection is None:
        known = ", ".join(live.connections)
        raise Refused(Code.UNKNOWN_MODEL, f"There is no provider {name[:100]!r}. Known: {known}.", status=404)
    answer, body = await _fetch(connection, headers)
    await reply.head(answer.status, client_headers(answer.headers, reply.id), is_stream=False)
    await reply.finish(body)


async def _list(connection: Connection, headers: list[Header]) -> list[object]:
    answer, body = await _fetch(connection, headers)
    try:
        data = orjson.loads(body)["data"] if answer.status == 200 else None
    except (orjson.JSONDecodeError, TypeError, KeyError):
        data = None
    if not isinstance(data, list):
        raise ProviderFailed(Code.PROVIDER_STATUS, f"It answered {answer.status} where a list of models was asked for.")
    return data


async def _fetch(connection: Connection, headers: list[Header]) -> tuple[Answer, bytes]:
    outgoing = pass_through("GET", "/models", b"", headers, b"", connection)
    answer = await connection.upstream.call(outgoing, _TIMEOUTS)
    body = bytearray()
    try:
        async for chunk in answer:
            body += chunk
            if len(body) > _LIMIT:
                raise ProviderFailed(Code.PROVIDER_TOO_LARGE, f"Its list of models is larger than {_LIMIT} bytes.")
    finally:
        answer.close()
    return answer, bytes(body)


def _lacks_key(connection: Connection, headers: list[Header]) -> bool:
    return connection.takes_callers_key and caller_credential(headers) is None


def _entry(model: str, owner: str) -> object:
    return {"id": model, "object": "model", "created": 0, "owned_by": owner}
