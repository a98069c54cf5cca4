"""`GET /v1/models` and `GET /v1/models/{id}`: what a client may ask for, in OpenAI's shape or in Anthropic's.

A client that sends `anthropic-version` gets Anthropic's shape. `?provider=NAME` passes that provider's own list on,
byte for byte. A model that no list has is asked of the provider, as any other path is.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from tailrace.errors import ANTHROPIC, OPENAI, CallError, Code, Refused
from tailrace.relay.callers import Caller
from tailrace.relay.catalog import Catalog, fetch
from tailrace.relay.live import Live, Relay
from tailrace.relay.outbound import Header, client_headers, header
from tailrace.relay.passthrough import pass_on
from tailrace.relay.reply import Reply
from tailrace.wire.models import MAX_PAGE, Model, anthropic_list, as_anthropic, as_openai, openai_list

MODELS = b"/v1/models/"


class ModelRoutes:
    """The routes, with the lists of the configuration in force."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._catalog = Catalog(relay.live)

    def list_route(self) -> ASGIRouteHandler:
        """`/v1/models`."""

        @asgi("/v1/models", copy_scope=False)
        async def models(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
            reply = Reply(send, self._relay.new_id(), ANTHROPIC if _is_anthropic(scope["headers"]) else OPENAI)
            try:
                await self._list(scope, reply, self._who(scope))
            except CallError as error:
                await reply.fail(error)

        return models

    async def show(self, scope: Any, receive: Any, send: Any) -> None:
        """`/v1/models/{id}`, where an id may hold slashes."""
        if scope["method"] == "GET":
            id_ = unquote(scope["raw_path"][len(MODELS) :].decode("latin-1"))
            headers = scope["headers"]
            reply = Reply(send, self._relay.new_id())
            try:
                caller = self._who(scope)
            except CallError as error:
                await reply.fail(error)
                return
            models = await self._models(headers)
            found = next((model for model in models if model.id == id_ and caller.may_ask_for(id_)), None)
            if found is not None:
                await _answer(reply, (as_anthropic if _is_anthropic(headers) else as_openai)(found))
                return
        await pass_on(self._relay, scope, receive, send)

    def _who(self, scope: Mapping[str, Any]) -> Caller:
        return self._relay.callers.who(scope["headers"], self._relay.clock.now_us())

    async def _list(self, scope: Mapping[str, Any], reply: Reply, caller: Caller) -> None:
        if scope["method"] != "GET":
            raise Refused(Code.METHOD_NOT_ALLOWED, f"/v1/models takes GET, not {scope['method']}.", status=405)
        headers, asked = scope["headers"], parse_qs(scope["query_string"].decode("latin-1"))
        if "provider" in asked:
            await _pass_through(self._relay.live, asked["provider"][0], headers, reply)
            return
        models = [model for model in await self._models(headers) if caller.may_ask_for(model.id)]
        await _answer(reply, _page(models, asked) if _is_anthropic(headers) else openai_list(models))

    async def _models(self, headers: list[Header]) -> list[Model]:
        if self._catalog.live is not self._relay.live:  # the settings were loaded anew
            self._catalog = Catalog(self._relay.live)
        return await self._catalog.models(headers)


def _is_anthropic(headers: list[Header]) -> bool:
    return header(headers, b"anthropic-version") is not None


def _page(models: list[Model], asked: dict[str, list[str]]) -> dict[str, Any]:
    limit = asked.get("limit", [""])[0]
    most = int(limit) if limit.isascii() and limit.isdigit() and len(limit) <= 4 else MAX_PAGE
    after, before = (asked.get(name, [None])[0] for name in ("after_id", "before_id"))
    return anthropic_list(models, limit=min(max(most, 1), MAX_PAGE), after=after, before=before)


async def _answer(reply: Reply, body: dict[str, Any]) -> None:
    await reply.head(200, client_headers([(b"content-type", b"application/json")], reply.id), is_stream=False)
    await reply.finish(orjson.dumps(body))


async def _pass_through(live: Live, name: str, headers: list[Header], reply: Reply) -> None:
    connection = live.connections.get(name)
    if connection is None:
        known = ", ".join(live.connections)
        raise Refused(Code.UNKNOWN_MODEL, f"There is no provider {name[:100]!r}. Known: {known}.", status=404)
    status, answered, body = await fetch(connection, headers)
    await reply.head(status, client_headers(answered, reply.id), is_stream=False)
    await reply.finish(body)
