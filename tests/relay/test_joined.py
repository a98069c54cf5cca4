"""A head waits for what follows it in the same turn of the event loop, and never longer."""

import asyncio
from typing import Any, cast

from tailrace.relay.joined import JoinedTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire:
    """What a transport was told."""

    def __init__(self) -> None:
        self.said: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.said.append(data)

    def close(self) -> None:
        self.said.append("closed")


def joined() -> tuple[Wire, JoinedTransport]:
    wire = Wire()
    return wire, JoinedTransport(cast("asyncio.Transport", cast("Any", wire)), asyncio.get_running_loop())


async def test_a_head_goes_out_with_its_body() -> None:
    wire, transport = joined()
    transport.write(HEAD)
    transport.write(b"{}")
    await asyncio.sleep(0)
    assert wire.said == [HEAD + b"{}"]


async def test_a_head_alone_goes_out_at_the_end_of_the_turn() -> None:
    wire, transport = joined()
    transport.write(HEAD)
    assert wire.said == []
    await asyncio.sleep(0)
    transport.write(b"data: 1\n\n")
    assert wire.said == [HEAD, b"data: 1\n\n"]


async def test_nothing_waits_when_the_connection_is_closed() -> None:
    wire, transport = joined()
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert wire.said == [HEAD, "closed"]


async def test_what_is_no_head_goes_out_at_once() -> None:
    wire, transport = joined()
    for piece in (b"5\r\nhello\r\n", b"0\r\n\r\n"):
        transport.write(piece)
    assert wire.said == [b"5\r\nhello\r\n", b"0\r\n\r\n"]
