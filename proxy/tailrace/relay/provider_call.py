"""One call of a provider for a completion: sent, its head judged, its bytes handed on as they come.

    open ─▶ head ─┬─ an error that is not for the client ─▶ drop      (another attempt follows)
                  └─ pass_on ─▶ settle

Nothing of the answer reaches the client before `pass_on`; after it there is no other attempt.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tailrace import metrics
from tailrace.errors import CallError, Code, ErrorShape, ProviderFailed, ProviderTruncated
from tailrace.relay.asked import Asked, Prepared
from tailrace.relay.entry import Entry
from tailrace.relay.guard import Guard, Phase
from tailrace.relay.live import Connection
from tailrace.relay.outbound import Header, client_headers, header
from tailrace.relay.reply import Reply, is_event_stream
from tailrace.relay.routing import Route
from tailrace.relay.tap import BodyTap, Ending, ErrorTap, Spool, Tap
from tailrace.templates.match import Templates
from tailrace.upstream.client import Answer

T = TypeVar("T")

_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(slots=True)
class Course:
    """What all attempts of a completion share: how far the answer has come, and how long others were waited for."""

    spool: Spool
    entry: Entry
    time: Callable[[], float]
    shape: ErrorShape
    first_byte: float | None = None
    waited: float = 0.0  # seconds

    async def while_waiting(self, waiting: Awaitable[T]) -> T:
        """Awaits somebody else, and counts the time as theirs."""
        before = self.time()
        try:
            return await waiting
        finally:
            self.waited += self.time() - before


class ProviderCall:
    """One attempt. `answer` is there after `open`; `last` and `held` after `settle`: bytes that the client is owed."""

    def __init__(
        self, asked: Asked, connection: Connection, route: Route, course: Course, templates: Templates | None = None
    ) -> None:
        self.route = route
        self.begun = self.ended = course.time()
        self.answer: Answer | None = None
        self.ending = Ending.TRUNCATED
        self.outcome = ""
        self.error: str | None = None
        self.detail: str | None = None
        self.last = b""  # may go out before END is durable
        self.held = b""  # waits for END
        self._asked = asked
        self._connection = connection
        self._templates = templates
        self._course = course
        self._prepared: Prepared | None = None
        self._tap: Tap = BodyTap()

    @property
    def status(self) -> int | None:
        """The status of the provider's answer."""
        return self.answer.status if self.answer else None

    @property
    def headers(self) -> list[Header]:
        """The headers of the provider's answer."""
        return self.answer.headers if self.answer else []

    @property
    def template(self) -> str | None:
        """The id of the template whose static text the provider was not sent."""
        return self._prepared.template if self._prepared else None

    async def open(self) -> None:
        """Sends the request; returns when the answer's head is there. Raises CallError."""
        self._prepared = self._asked.prepare(self._connection, self.route.model, self._templates)
        if self._prepared.pruning is not None:
            metrics.pruned(self.route.provider, self._prepared.pruning)
        calling = self._connection.upstream.call(self._prepared.outgoing, self.route.timeouts)
        self.answer = await self._course.while_waiting(calling)

    async def drop(self) -> str:
        """Takes an error answer that the client is not shown; gives the beginning of its body."""
        assert self.answer is not None
        tap = ErrorTap(self.answer.status, self._course.shape)
        try:
            await self._course.while_waiting(_fill(tap, self.answer))
        except CallError:
            pass  # it was an error without its body, too
        finally:
            self.answer.close()
        return tap.beginning

    def verdict(self, outcome: str, error: str | None, detail: str | None) -> None:
        """How it ended, for its row: a Status word, an error code, the beginning of an error's body."""
        self.ended = self._course.time()
        self.outcome, self.error, self.detail = outcome, error, detail

    async def pass_on(self, guard: Guard, reply: Reply) -> None:
        """The answer's head and bytes, to the client and to the log as they come. Raises CallError."""
        assert self.answer is not None
        try:
            await self._head(self.answer, reply)
            guard.waiting(Phase.EVENTS)
            clean = await self._bytes(self.answer, guard, reply)
        finally:
            self.answer.close()
        self.settle(clean=clean)

    def settle(self, *, clean: bool) -> None:
        """The provider's answer is over: how, and which bytes are left to send. Raises ProviderFailed."""
        self.ending, self.last, self.held = self._tap.close(clean=clean)
        if self.status is not None and self.status >= 400:
            self.ending = Ending.FAILED

    async def _head(self, answer: Answer, reply: Reply) -> None:
        content_type = header(answer.headers, b"content-type")
        plain = header(answer.headers, b"content-encoding") in (None, b"identity")
        is_stream = answer.status < 400 and is_event_stream(content_type)
        headers = client_headers(answer.headers, reply.id)
        headers.append((b"x-tailrace-target", f"{self.route.provider}/{self.route.model}".encode("ascii", "replace")))
        headers.append((b"server-timing", self._timing()))
        self._tap = self._choose_tap(answer.status, is_stream=is_stream, plain=plain)
        if isinstance(self._tap, ErrorTap) or self._translated:
            kind = _EVENTS if is_stream else _JSON
            headers = [kind, *(h for h in headers if h[0] != b"content-type")]
        await reply.head(answer.status, headers, is_stream=is_stream)

    @property
    def _translated(self) -> bool:
        return self._prepared is not None and self._prepared.translation is not None

    def _choose_tap(self, status: int, *, is_stream: bool, plain: bool) -> Tap:
        prepared = self._prepared
        assert prepared is not None
        if not plain:
            if prepared.translation is None:
                return BodyTap()  # nothing can be recognised in it
            message = "The provider compressed its answer, which was asked for as it is."
            raise ProviderFailed(Code.PROVIDER_PROTOCOL, message)
        if status >= 400:
            translate = None if prepared.translation is None else prepared.translation.error
            return ErrorTap(status, self._course.shape, translate)
        return prepared.stream_tap() if is_stream else prepared.body_tap()

    async def _bytes(self, answer: Answer, guard: Guard, reply: Reply) -> bool:
        """Hands each chunk on as it comes; True where the transport ended in order."""
        tap, course, time = self._tap, self._course, self._course.time
        spool, limit = course.spool, self._connection.max_answer_bytes
        events = 0
        waiting_since = time()
        try:
            async for chunk in answer:
                now = time()
                course.waited += now - waiting_since
                if course.first_byte is None:
                    course.first_byte = now
                guard.raw_at = now
                if spool.add(chunk, now) and course.entry.is_crowded:
                    await course.entry.room()  # the log is behind: so is the provider's answer, then
                if spool.total > limit:
                    raise _too_large(limit)
                released = tap.feed(chunk)
                if tap.events != events:
                    events = tap.events
                    guard.event_at = now
                if released and not guard.gone:
                    guard.phase = Phase.CLIENT
                    await reply.release(released)
                    guard.waiting(Phase.EVENTS)
                if tap.at_end:
                    guard.waiting(Phase.TAIL)
                waiting_since = now
        except ProviderTruncated:
            return False
        return True

    def _timing(self) -> bytes:
        """`Server-Timing` (W3C): what the provider took to its head, and what we took beside it, in milliseconds."""
        course = self._course
        total = course.time() - self._asked.arrival.begun
        return b"provider;dur=%.1f, tailrace;dur=%.1f" % (course.waited * 1e3, max(0.0, total - course.waited) * 1e3)


async def _fill(tap: ErrorTap, answer: Answer) -> None:
    async for chunk in answer:
        tap.feed(chunk)
        if tap.at_end:
            return


def _too_large(limit: int) -> ProviderFailed:
    message = f"The provider's answer is larger than {limit} bytes (max_answer_bytes)."
    return ProviderFailed(Code.PROVIDER_TOO_LARGE, message)
