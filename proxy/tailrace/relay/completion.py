"""One completion, start to end: START is logged, the provider called, the answer passed on, END logged, its end shown.

    accept ─▶ START written ─▶ provider called ─▶ bytes to client and journal ─▶ END durable ─▶ last bytes to client

Whatever interrupts it (a leaving client, a clock, a failing provider, a shutdown), it arrives at `_close`, which writes
END exactly once. The answer is not folded, hashed or stored here: that is the writer's work.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from tailrace import metrics
from tailrace.errors import CallError, Code, LogUnavailable, ProviderFailed, ProviderTimeout, ProviderTruncated, Refused
from tailrace.ids import uuid7
from tailrace.records import DEFAULT_PROJECT, Attempt, End, Endpoint, Start, Status
from tailrace.relay.body import ClientLeft, read_body
from tailrace.relay.entry import Entry, Unlogged
from tailrace.relay.guard import Cause, Guard, Phase, Receive
from tailrace.relay.live import Live, Relay
from tailrace.relay.outbound import Header, client_headers, header, header_text, provider_headers
from tailrace.relay.reply import Reply, Send, is_event_stream
from tailrace.relay.routing import Route, choose_route, sticky_key
from tailrace.relay.tap import BodyTap, Ending, ErrorTap, Spool, StreamTap, Tap
from tailrace.upstream.client import Answer, Outgoing
from tailrace.wire.endpoints import chat
from tailrace.wire.request import Request, read_request
from tailrace.wire.splice import ask_for_usage, replace_model
from tailrace.wire.told import Told, read_told

_PATH: Final = "/chat/completions"
_TIMED_OUT: Final = {
    Cause.FIRST_BYTE: "The provider sent no byte of an answer in time (first_byte_s).",
    Cause.IDLE: "The provider's stream paused for too long (idle_s).",
    Cause.TOTAL: "The call took longer than it may (total_s).",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was read whole and can be routed."""

    id: UUID
    at_us: int  # on the journal's clock
    begun: float  # on the event loop's
    headers: list[Header]
    query: bytes
    body: bytes
    request: Request
    told: Told


async def complete(relay: Relay, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answers one POST of a chat completion, as an ASGI application would."""
    stamp, begun = relay.clock.stamp(), relay.loop.time()
    id_ = uuid7(stamp // 1_000_000, os.urandom(10))
    reply = Reply(send, str(id_).encode())
    live = relay.live
    headers = scope["headers"]
    try:
        relay.admit()
        server = live.settings.server
        body = await read_body(receive, headers, limit=server.max_request_bytes, pause_s=server.body_timeout_s)
        request = read_request(body, chat.WIRE)
    except ClientLeft:
        return
    except CallError as refused:
        metrics.refused(refused.code)
        await reply.fail(refused)
        return
    accepted = Accepted(
        id_, stamp // 1000, begun, headers, scope["query_string"], body, request, read_told(headers, request.parsed)
    )
    relay.entered()
    try:
        await _Completion(relay, live, accepted, receive, reply).run()
    finally:
        relay.ended()


class _Completion:
    """The state of one call. Made after its request was read, gone when its last byte was sent."""

    def __init__(self, relay: Relay, live: Live, accepted: Accepted, receive: Receive, reply: Reply) -> None:
        self._relay = relay
        self._live = live
        self._asked = accepted
        self._receive = receive
        self._reply = reply
        self._time = relay.loop.time
        self._caller = relay.callers.name(header(accepted.headers, b"authorization"))
        self._entry: Entry = Unlogged()
        self._gone = False
        self._answer: Answer | None = None
        self._tap: Tap = BodyTap()
        log = live.settings.log
        self._spool = Spool(self._part, limit=log.part_bytes, interval_s=log.part_interval_s)
        self._first_byte: float | None = None
        self._waited = 0.0  # for the provider or the client
        self._status = Status.OK
        self._error: CallError | None = None
        self._last = b""  # may go out before END is durable
        self._held = b""  # waits for END

    async def run(self) -> None:
        """The whole way of the call. Raises only a cancellation that is not its own guard's."""
        route: Route | None = None
        try:
            route = self._choose_route()
        except Refused as refused:
            self._failed(Status.REFUSED, refused)
        try:
            await self._begin(route)
        except LogUnavailable as error:
            metrics.refused(error.code)
            await self._reply.fail(error)
            return
        if route is not None:
            await self._guarded(route)
        await self._close(route)

    # ---- before the provider

    def _choose_route(self) -> Route:
        request = self._asked.request
        told = self._asked.told
        sticky = sticky_key(told.session, self._caller, told.user, request.first_user)
        return choose_route(self._live.settings, request.model, sticky)

    async def _begin(self, route: Route | None) -> None:
        request = self._asked.request
        start = Start(
            at_us=self._asked.at_us,
            project=DEFAULT_PROJECT,
            endpoint=Endpoint.CHAT,
            provider=route.provider if route else "",
            model=request.model,
            sent_model=route.model if route else "",
            stream=request.stream,
            step=request.step,
            key=self._caller,
            session=self._asked.told.session,
            user=self._asked.told.user,
            config=self._live.config_hash,
        )
        self._relay.settle_gaps()
        try:
            entry = self._relay.journal.begin(self._asked.id, start, self._asked.body)
            await entry.written()
        except LogUnavailable as error:
            if self._live.settings.log.on_log_failure == "refuse":
                raise
            self._relay.missed(error.code)
        else:
            self._entry = entry

    def _part(self, body: bytes) -> None:
        self._entry.part(body)

    # ---- the provider's answer

    async def _guarded(self, route: Route) -> None:
        guard = Guard(
            self._relay.tasks,
            self._receive,
            route.timeouts,
            drain=route.drain,
            on_tick=lambda: self._spool.tick(self._time()),
        )
        self._relay.calls[guard] = self._live
        try:
            with guard:
                await self._exchange(route, guard)
                self._gone = guard.client_is_gone()
        except asyncio.CancelledError:
            if guard.cause is None:
                self._abandon(route)
                raise
            _absorb_cancellation()
            self._interrupted(guard.cause)
        except CallError as error:
            self._failed(_status_of(error), error)
        finally:
            self._relay.left(guard)

    async def _exchange(self, route: Route, guard: Guard) -> None:
        connection = self._live.connections[route.provider]
        request = self._asked.request
        asks_usage = request.stream and connection.stream_usage and request.usage_open
        body = self._asked.body
        if route.model != request.model:
            body = replace_model(body, request.parsed, route.model)
        edited = ask_for_usage(body, request.parsed) if asks_usage else body
        credential = connection.credential
        if connection.takes_callers_key:
            credential = header(self._asked.headers, b"authorization")
        headers = provider_headers(self._asked.headers, connection.headers, credential)
        before = self._time()
        try:
            answer = await connection.upstream.call(
                Outgoing("POST", _PATH, self._asked.query, headers, edited), route.timeouts
            )
        finally:
            self._waited += self._time() - before
        self._answer = answer
        try:
            await self._head(answer, drop_usage=edited is not body)
            guard.waiting(Phase.EVENTS)
            clean = await self._pass_on(answer, guard, connection.max_answer_bytes)
        finally:
            answer.close()
        self._settle(clean=clean)

    async def _head(self, answer: Answer, *, drop_usage: bool) -> None:
        content_type = header(answer.headers, b"content-type")
        plain = header(answer.headers, b"content-encoding") in (None, b"identity")
        is_stream = answer.status < 400 and is_event_stream(content_type)
        headers = client_headers(answer.headers, self._reply.id)
        if answer.status >= 400 and plain:
            self._tap = ErrorTap(answer.status)
            headers = [(b"content-type", b"application/json"), *(h for h in headers if h[0] != b"content-type")]
        elif is_stream and plain:
            self._tap = StreamTap(drop_usage=drop_usage)
        await self._reply.head(answer.status, headers, is_stream=is_stream)

    async def _pass_on(self, answer: Answer, guard: Guard, limit: int) -> bool:
        """Hands each chunk on as it comes; True where the transport ended in order."""
        tap, spool, reply, time = self._tap, self._spool, self._reply, self._time
        events = 0
        waiting_since = time()
        try:
            async for chunk in answer:
                now = time()
                self._waited += now - waiting_since
                if self._first_byte is None:
                    self._first_byte = now
                guard.raw_at = now
                spool.add(chunk, now)
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

    def _settle(self, *, clean: bool) -> None:
        """The provider's answer is over: how, and which bytes are left to send."""
        ending, self._last, self._held = self._tap.close(clean=clean)
        status = self._answer.status if self._answer else 0
        if status >= 400 or ending is Ending.FAILED:
            self._status = Status.PROVIDER_ERROR
        elif ending is Ending.TRUNCATED:
            self._failed(Status.PROVIDER_TRUNCATED, ProviderTruncated("The provider's answer stopped before its end."))

    # ---- what can go wrong

    def _failed(self, status: Status, error: CallError) -> None:
        self._status = status
        self._error = error

    def _interrupted(self, cause: Cause) -> None:
        if cause is Cause.AFTER_TERMINAL:
            self._settle(clean=False)
        elif cause is Cause.CLIENT_GONE:
            self._gone = True
        elif cause is Cause.SHUTDOWN:
            message = "The proxy is shutting down and the answer was not finished in time (server.drain_s)."
            self._failed(Status.TAILRACE_ERROR, CallError(Code.DRAINING, message, status=503))
        else:
            self._failed(Status.PROVIDER_TIMEOUT, ProviderTimeout(_TIMED_OUT[cause]))

    def _abandon(self, route: Route) -> None:
        """Somebody cancelled the call from outside: say so in the log, without a wait."""
        self._failed(Status.TAILRACE_ERROR, CallError(Code.DRAINING, "The call was cancelled.", status=503))
        self._entry.end(self._end(route), self._spool.rest())

    # ---- after the provider

    async def _close(self, route: Route | None) -> None:
        end = self._end(route)
        durable = self._entry.end(end, self._spool.rest())
        try:
            if durable.done():  # with `process`, it always is
                durable.result()
            else:
                async with asyncio.timeout(self._live.settings.log.commit_wait_s):
                    await asyncio.shield(durable)
        except TimeoutError:
            if self._live.settings.log.on_log_failure == "refuse":
                self._entry.amend(replace(end, status=Status.TAILRACE_ERROR, error=Code.LOG_UNAVAILABLE))
            await self._unkept(LogUnavailable("The log did not confirm this answer in time (log.commit_wait_s)."))
        except LogUnavailable as error:
            await self._unkept(error)
        else:
            await self._deliver()
        metrics.completed(Endpoint.CHAT, end)

    def _end(self, route: Route | None) -> End:
        now = self._time()
        if self._gone and self._status is Status.OK:
            self._status = Status.CLIENT_CLOSED
        answer, error = self._answer, self._error.code if self._error else None
        duration_us = _us(now - self._asked.begun)
        last = None
        if route is not None:
            last = Attempt(
                n=1, at_us=self._asked.at_us, provider=route.provider, model=route.model, outcome=self._status,
                http_status=answer.status if answer else None, error=error, duration_us=duration_us,
            )  # fmt: skip
        return End(
            at_us=self._asked.at_us + duration_us,
            status=self._status,
            last=last,
            http_status=self._http_status(),
            error=error,
            content_type=header_text(answer.headers, b"content-type") if answer else None,
            content_encoding=header_text(answer.headers, b"content-encoding") if answer else None,
            provider_request_id=header_text(answer.headers, b"x-request-id") if answer else None,
            answer_bytes=self._spool.total,
            first_byte_us=_us(self._first_byte - self._asked.begun) if self._first_byte is not None else None,
            duration_us=duration_us,
            overhead_us=_us(max(0.0, now - self._asked.begun - self._waited)),
        )

    def _http_status(self) -> int | None:
        if self._error is not None and not self._reply.started:
            return None if self._gone else self._error.status
        return self._reply.status

    async def _unkept(self, error: LogUnavailable) -> None:
        """END is not durable: the end of the answer is not shown, unless the user chose to serve."""
        self._relay.missed(error.code)
        if self._live.settings.log.on_log_failure == "serve":
            await self._deliver()
        elif not self._gone:
            await self._reply.fail(error)

    async def _deliver(self) -> None:
        if self._gone:
            return
        if self._error is None:
            await self._reply.finish(self._last + self._held)
            return
        if self._last and self._reply.started:
            await self._reply.release(self._last)
        await self._reply.fail(self._error)


def _status_of(error: CallError) -> Status:
    """What a failed provider call makes of its completion."""
    match error:
        case ProviderTimeout():
            return Status.PROVIDER_TIMEOUT
        case ProviderTruncated():
            return Status.PROVIDER_TRUNCATED
        case ProviderFailed():
            return Status.PROVIDER_ERROR
    return Status.REFUSED


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _too_large(limit: int) -> ProviderFailed:
    return ProviderFailed(
        Code.PROVIDER_TOO_LARGE, f"The provider's answer is larger than {limit} bytes (max_answer_bytes)."
    )


def _absorb_cancellation() -> None:
    """The running cancellation was our guard's: the task goes on."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
