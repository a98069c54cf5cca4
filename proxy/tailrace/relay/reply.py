"""What the client is sent: a head, late enough that a failure can change it, then bytes, then an end or a cut."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tailrace.errors import OPENAI, CallError, ErrorShape, error_answer
from tailrace.relay.cache import Recording, ResponseCache
from tailrace.relay.outbound import Header

Send = Callable[[Any], Awaitable[None]]

_EVENT_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_STREAM_TYPE: Final = b"text/event-stream"


class Reply:
    """One HTTP answer. `id` is the completion's, for `x-tailrace-id`; `started` is true once the head is out.

    `shape` is how this client's dialect tells of errors; `ours` are headers of Tailrace's that any answer carries.
    """

    __slots__ = ("_headers", "_send", "_status", "_tail", "cache", "id", "is_stream",
                 "ours", "recording", "shape", "started")  # fmt: skip

    def __init__(self, send: Send, completion_id: bytes, shape: ErrorShape = OPENAI) -> None:
        self._send = send
        self.shape = shape
        self.id = completion_id
        self.ours: tuple[Header, ...] = ()
        self._status = 0
        self._headers: list[Header] = []
        self.cache: ResponseCache | None = None  # where the answer may be kept
        self.recording: Recording | None = None
        self.is_stream = False
        self.started = False
        self._tail = b"\n\n"  # a stream's beginning is as good as an event's end

    @property
    def status(self) -> int | None:
        """The status the client was given, or will be; None while unknown."""
        return self._status or None

    @property
    def headers(self) -> list[Header]:
        """Of the head."""
        return self._headers

    async def head(self, status: int, headers: list[Header], *, is_stream: bool) -> None:
        """The head is known. A stream's goes out at once, another waits for its first bytes."""
        self._status = status
        self._headers = [*headers, *self.ours] if self.ours else headers
        self.is_stream = is_stream
        if self.cache is not None:
            self.recording = self.cache.record(status, headers, is_stream=is_stream)
        if is_stream:
            await self._start()

    async def release(self, data: bytes) -> None:
        """Sends bytes of the body; returns when the client's socket has room again."""
        if not self.started:
            await self._start()
        if self.recording is not None:
            self.recording.add(data)
        self._tail = data[-4:] if len(data) >= 4 else (self._tail + data)[-4:]
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes) -> None:
        """Sends the last bytes and ends the answer in order."""
        if not self.started:
            self._headers.append((b"content-length", str(len(data)).encode()))
            await self._start()
        if self.recording is not None:
            self.recording.add(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def fail(self, error: CallError) -> None:
        """Tells the client of `error`: as the answer, as a stream's last event, or by cutting the answer short.

        A cut is an answer without its end: the server then closes the connection, so no client takes it for whole.
        A stream that stopped inside an event is cut too: an event of ours would continue its line.
        """
        if not self.started:
            answer = error_answer(error, self.shape)
            self._status = answer.status
            self._headers = [*answer.headers, (b"x-tailrace-id", self.id), (b"x-request-id", self.id), *self.ours]
            await self.finish(answer.body)
        elif self.is_stream and self._tail.endswith(_EVENT_ENDS):
            await self.finish(self.shape.event(error))

    async def _start(self) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": self._status, "headers": self._headers})


def is_event_stream(content_type: bytes | None) -> bool:
    """Whether a content type names an SSE stream."""
    return content_type is not None and content_type.partition(b";")[0].strip().lower() == _STREAM_TYPE
