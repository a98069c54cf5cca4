"""The simulated provider in process: httpx's transport interface over a `Simulator`, without a socket.

Owns the playing of acts as an httpx response. What a cut connection, a reset or a silence is on a socket is httpx's
error of that kind here; a client that leaves is a closed stream or a cancelled call, and the ledger says so.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx

from tailrace.simulate.acts import Act, Close, Data, Early, Fin, Framing, Head, Raw, Reset, Until, Wait, WaitForever
from tailrace.simulate.ledger import ClosedBy, SimRequest
from tailrace.simulate.simulator import Exchange, Simulator
from tailrace.simulate.uploads import Arriving, Upload

_UNHEARD: Final = frozenset((b"connection", b"transfer-encoding"))  # there is no connection for them to speak of


class SimulatedTransport(httpx.AsyncBaseTransport):
    """Answers every request from `simulator`, whatever its host. Honours the `read` timeout of httpx."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answers one request. Raises httpx.ReadError, RemoteProtocolError and ReadTimeout as a socket would."""
        body, upload = await _received(request)
        exchange = self._simulator.open(
            SimRequest(
                method=request.method,
                path=request.url.raw_path.partition(b"?")[0].decode("ascii"),
                query=request.url.query.decode("ascii"),
                headers=tuple((name.lower(), value) for name, value in request.headers.raw),
                body=body,
                upload=upload,
            )
        )
        play = _Play(exchange, self._simulator, request.extensions.get("timeout", {}).get("read"))
        try:
            head = await play.head()
        except BaseException:
            play.stop(ClosedBy.CLIENT)  # first closer wins: an act of the provider's has been noted already
            raise
        headers = [header for header in head.headers if header[0] not in _UNHEARD]
        return httpx.Response(head.status, headers=headers, stream=_Body(play), request=request)


async def _received(request: httpx.Request) -> tuple[bytes, Upload | None]:
    """The body of `request`, taken as it comes."""
    arriving = Arriving(next((value for name, value in request.headers.raw if name.lower() == b"content-type"), None))
    assert isinstance(request.stream, httpx.AsyncByteStream)
    async for piece in request.stream:
        arriving.feed(piece)
    return arriving.end()


class _Play:
    """One exchange, played act by act."""

    def __init__(self, exchange: Exchange, simulator: Simulator, read_timeout_s: float | None) -> None:
        self._acts: Iterator[Act] = iter(exchange.acts)
        self._entry = exchange.entry
        self._simulator = simulator
        self._read_timeout_s = read_timeout_s
        self._framing = Framing.LENGTH

    async def head(self) -> Head:
        for act in self._acts:
            if isinstance(act, Head):
                self._entry.status = act.status
                self._framing = act.framing
                return act
            await self._beside(act, "Server disconnected without sending a response.")
        raise AssertionError("a script without a head or an end")

    async def pieces(self) -> AsyncIterator[bytes]:
        act = next(self._acts, None)
        while act is not None and not isinstance(act, Fin):
            if isinstance(act, Data):
                self._entry.sent(len(act.data))
                following = next(self._acts, None)
                if isinstance(following, Fin):
                    self.finish()  # whoever leaves after the last piece has had the whole answer
                yield act.data
                await asyncio.sleep(0)
                act = following
            else:
                await self._beside(act, "peer closed connection without sending complete message body")
                act = next(self._acts, None)
        self.finish()

    def finish(self) -> None:
        self._entry.finish()
        if self._framing is Framing.UNTIL_CLOSE:
            self._entry.close(ClosedBy.PROVIDER)

    def stop(self, by: ClosedBy) -> None:
        self._acts = iter(())
        if not self._entry.finished:
            self._entry.close(by)

    async def _beside(self, act: Act, cut: str) -> None:
        """Plays an act that is neither head nor piece nor end."""
        match act:
            case Wait(seconds):
                await self._silence(seconds * self._simulator.pace)
            case WaitForever():
                await self._silence(None)
            case Until():
                await self._until(act)
            case Early():
                await asyncio.sleep(0)
            case Reset():
                self._entry.close(ClosedBy.PROVIDER)
                raise httpx.ReadError("Connection reset by peer")
            case Close():
                self._entry.close(ClosedBy.PROVIDER)
                raise httpx.RemoteProtocolError(cut)
            case Raw():
                self._entry.close(ClosedBy.PROVIDER)
                raise httpx.RemoteProtocolError("illegal bytes in the answer")
            case _:
                raise AssertionError(f"out of place: {act}")

    async def _silence(self, seconds: float | None) -> None:
        limit = self._read_timeout_s
        if limit is not None and (seconds is None or seconds > limit):
            await asyncio.sleep(limit)
            raise httpx.ReadTimeout("no byte within the read timeout")
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(seconds)

    async def _until(self, act: Until) -> None:
        try:
            async with asyncio.timeout(act.limit_s):
                await self._simulator.ledger.reached(act.ready)
        except TimeoutError:
            return


class _Body(httpx.AsyncByteStream):
    """The pieces of an answer; closing it before its end is the client's leave."""

    def __init__(self, play: _Play) -> None:
        self._play = play

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._play.pieces():
                yield piece
        except BaseException:
            self._play.stop(ClosedBy.CLIENT)
            raise

    async def aclose(self) -> None:
        self._play.stop(ClosedBy.CLIENT)
