"""The parsed endpoints: plain ASGI inside Litestar, since a request/response handler adds 60 µs a call."""

from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from tailrace.errors import Code, Refused
from tailrace.relay.api.catalog import MODELS, ModelRoutes
from tailrace.relay.completion import complete
from tailrace.relay.live import Relay
from tailrace.relay.passthrough import pass_on
from tailrace.relay.reply import Reply
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.endpoints import ENDPOINTS


def completion_routes(relay: Relay) -> list[ASGIRouteHandler]:
    """A route for each parsed endpoint, bound to the process's state."""
    return [_route(relay, wire) for wire in ENDPOINTS.values()]


def _route(relay: Relay, wire: EndpointWire) -> ASGIRouteHandler:
    @asgi(f"/v1{wire.path}", copy_scope=False)
    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await complete(relay, wire, scope, receive, send)
        else:  # providers that keep completions list and delete them here
            await pass_on(relay, scope, receive, send)

    return endpoint


def other_routes(relay: Relay, models: ModelRoutes) -> ASGIRouteHandler:
    """Every other path: under `/v1/` it is passed on, else 404 in OpenAI's shape."""

    @asgi("/", is_mount=True, copy_scope=False)
    async def other(scope: Any, receive: Any, send: Any) -> None:
        if scope["raw_path"].startswith(MODELS):
            await models.show(scope, receive, send)
        elif scope["raw_path"].startswith(b"/v1/"):
            await pass_on(relay, scope, receive, send)
        else:
            message = "Tailrace has no such path. It serves /v1/…, /healthz, /readyz and /metrics."
            await Reply(send, b"").fail(Refused(Code.UNKNOWN_PATH, message, status=404))

    return other
