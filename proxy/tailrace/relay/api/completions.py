"""`POST /v1/chat/completions`: plain ASGI inside Litestar, since a request/response handler adds 60 µs a call."""

from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from tailrace.errors import Code, Refused
from tailrace.relay.completion import complete
from tailrace.relay.live import Relay
from tailrace.relay.reply import Reply


def completions_route(relay: Relay) -> ASGIRouteHandler:
    """The route, bound to the process's state."""

    @asgi("/v1/chat/completions", copy_scope=False)
    async def chat_completions(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await complete(relay, scope, receive, send)
        else:
            message = f"/v1/chat/completions takes POST, not {scope['method']}."
            await Reply(send, b"").fail(Refused(Code.METHOD_NOT_ALLOWED, message, status=405))

    return chat_completions


def unknown_route() -> ASGIRouteHandler:
    """Every other path: 404 in OpenAI's shape."""

    @asgi("/", is_mount=True, copy_scope=False)
    async def unknown(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
        message = (
            "Tailrace has no such path. It serves /v1/chat/completions, /v1/models, /healthz, /readyz and /metrics."
        )
        await Reply(send, b"").fail(Refused(Code.UNKNOWN_PATH, message, status=404))

    return unknown
