"""`POST /v1/feedback`: what somebody thought of an answer, in the log before it is acknowledged."""

from typing import Any, Final

import orjson
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from tailrace import metrics
from tailrace.errors import CallError, Code, Refused
from tailrace.relay.body import ClientLeft, read_body
from tailrace.relay.live import Relay
from tailrace.relay.outbound import client_headers, header_text
from tailrace.relay.reply import Reply
from tailrace.wire.feedback import read_feedback

_LIMIT: Final = 2**20


def feedback_route(relay: Relay) -> ASGIRouteHandler:
    """The route, bound to the process's state."""

    @asgi("/v1/feedback", copy_scope=False)
    async def feedback(scope: Any, receive: Any, send: Any) -> None:
        reply = Reply(send, relay.new_id())
        try:
            body = await _take(relay, scope, receive)
        except ClientLeft:
            return
        except CallError as error:
            metrics.refused(error.code)
            await reply.fail(error)
            return
        await reply.head(200, client_headers([(b"content-type", b"application/json")], reply.id), is_stream=False)
        await reply.finish(body)

    return feedback


async def _take(relay: Relay, scope: Any, receive: Any) -> bytes:
    if scope["method"] != "POST":
        raise Refused(Code.METHOD_NOT_ALLOWED, f"/v1/feedback takes POST, not {scope['method']}.", status=405)
    headers = scope["headers"]
    caller = relay.callers.who(headers, relay.clock.now_us())
    body = await read_body(receive, headers, limit=_LIMIT, pause_s=relay.live.settings.server.body_timeout_s)
    said = read_feedback(
        body,
        at_us=relay.clock.now_us(),
        project=caller.project,
        key=caller.name,
        idempotency=header_text(headers, b"idempotency-key"),
    )
    await relay.journal.feedback(said)
    return orjson.dumps({"object": "feedback", "id": said.id, "target": said.target})
