"""Takes a request's body off the wire: bounded in size and in time, refused before it is parsed."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tailrace.errors import Code, Refused
from tailrace.relay.guard import Receive, at_hand
from tailrace.relay.outbound import Header, header


class ClientLeft(Exception):
    """The client closed its connection before its request was whole: there is nobody to answer and nothing to log."""


async def read_body(receive: Receive, headers: Sequence[Header], *, limit: int, pause_s: float) -> bytes:
    """The whole body, at most `limit` bytes; each piece must come within `pause_s` seconds.

    Raises:
        Refused: 413 too large (from the declared length, before a byte is read), 415 compressed, 408 too slow.
        ClientLeft: the client went away meanwhile.
    """
    encoding = header(headers, b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        refusal = "Compressed request bodies are not accepted; send the body as it is."
        raise Refused(Code.UNSUPPORTED_ENCODING, refusal, status=415)
    declared = header(headers, b"content-length")
    if declared is not None and int(declared) > limit:
        raise too_large(limit)
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await next_message(receive, pause_s)
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def next_message(receive: Receive, pause_s: float) -> dict[str, Any]:
    """ASGI's next message, within `pause_s` seconds. Raises Refused: 408."""
    message: dict[str, Any] | None = at_hand(receive)
    if message is not None:  # almost always: the server had the body before it called us
        return message
    try:
        async with asyncio.timeout(pause_s):
            message = await receive()
    except TimeoutError:
        refusal = f"No byte of the request body came for {pause_s:g} s."
        raise Refused(Code.SLOW_BODY, refusal, status=408) from None
    return message


def too_large(limit: int) -> Refused:
    """413."""
    message = f"The request body is larger than {limit} bytes (server.max_request_bytes)."
    return Refused(Code.BODY_TOO_LARGE, message, status=413)
