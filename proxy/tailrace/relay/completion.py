"""One completion, start to end: START is logged, a provider called, the answer passed on, END logged, its end shown.

    accept ─▶ START written ─▶ provider called ─▶ bytes to client and journal ─▶ END durable ─▶ last bytes to client

Whatever interrupts it (a leaving client, a clock, a failing provider, a shutdown), it arrives at `_close`, which writes
END exactly once. The answer is not folded, hashed or stored here: that is the writer's work.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tailrace import metrics
from tailrace.errors import (
    ANTHROPIC,
    OPENAI,
    CallError,
    Code,
    LogUnavailable,
    ProviderTimeout,
    ProviderTruncated,
    Refused,
)
from tailrace.records import CACHE, TAILRACE, End, Endpoint, Origin, Start, Status
from tailrace.relay.accept import Accepted, Unreadable, accept
from tailrace.relay.asked import Asked, arrive
from tailrace.relay.attempts import Attempts, status_of
from tailrace.relay.body import ClientLeft
from tailrace.relay.cache import Kept, cache_key
from tailrace.relay.classifying import stage
from tailrace.relay.copies import send_copies
from tailrace.relay.entry import Entry, Unlogged
from tailrace.relay.guard import Cause, Guard, Phase, Receive
from tailrace.relay.live import Live, Relay
from tailrace.relay.outbound import header_text
from tailrace.relay.provider_call import Course, ProviderCall
from tailrace.relay.reply import Reply, Send
from tailrace.relay.routing import Plan
from tailrace.relay.tap import Ending, Spool
from tailrace.relay.upload import ClientBody
from tailrace.wire.endpoint import EndpointWire
from tailrace.wire.fixed import Fixed

_TIMED_OUT: Final = {
    Cause.FIRST_BYTE: "The provider sent no byte of an answer in time (first_byte_s).",
    Cause.IDLE: "The provider's stream paused for too long (idle_s).",
    Cause.TOTAL: "The call took longer than it may (total_s).",
}


async def complete(relay: Relay, wire: EndpointWire, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answers one POST of the endpoint `wire`, as an ASGI application would."""
    arrival = arrive(relay)
    shape = ANTHROPIC if wire.endpoint is Endpoint.MESSAGES else OPENAI
    reply = Reply(send, str(arrival.id).encode(), shape)
    live = relay.live
    try:
        accepted = await accept(relay, live, wire, arrival, scope, receive)
    except ClientLeft:
        return
    except CallError as refused:
        metrics.refused(refused.code)
        await reply.fail(refused)
        return
    if accepted.lease is None:
        await _answer(relay, live, accepted, receive, reply)
        return
    reply.ours = accepted.lease.headers
    try:
        await _answer(relay, live, accepted, receive, reply)
    finally:
        accepted.lease.end()


async def _answer(relay: Relay, live: Live, accepted: Accepted | Unreadable, receive: Receive, reply: Reply) -> None:
    """Passes the call through the classifier stage, where there is one, and carries it out."""
    if not live.cascades or not isinstance(accepted, Accepted):
        await carry_out(relay, live, accepted, receive, reply)
        return
    relay.entered(accepted.origin)
    try:
        staged = await stage(relay, live, accepted)
    finally:
        relay.ended(accepted.origin)
    reply.ours = (*reply.ours, *staged.headers)
    await carry_out(relay, live, staged.accepted, receive, reply, said=staged.reply)


async def carry_out(
    relay: Relay, live: Live, asked: Asked, receive: Receive, reply: Reply, upload: ClientBody | None = None, *,
    said: Fixed | None = None,
) -> None:  # fmt: skip
    """Does what was asked. `upload` is the body that is still to come from the client; `said` is the answer, where an
    action gave one."""
    relay.entered(asked.origin)
    try:
        await _Completion(relay, live, asked, receive, reply, upload, said).run()
    finally:
        relay.ended(asked.origin)


class _Completion:
    """The state of one call. Made after its request was read, gone when its last byte was sent."""

    def __init__(
        self, relay: Relay, live: Live, asked: Asked, receive: Receive, reply: Reply, upload: ClientBody | None,
        said: Fixed | None,
    ) -> None:  # fmt: skip
        self._relay = relay
        self._live = live
        self._asked = asked
        self._receive = receive
        self._reply = reply
        self._upload = upload
        self._said = said
        self._entry: Entry = Unlogged()
        self._gone = False
        self._attempts: Attempts | None = None
        self._held = b""  # an answer from the cache
        self._cache_key = b""
        log = live.settings.log
        spool = Spool(self._entry, limit=log.part_bytes, interval_s=log.part_interval_s)
        self._course = Course(spool, self._entry, relay.loop.time, reply.shape)
        self._status = Status.OK
        self._error: CallError | None = None

    async def run(self) -> None:
        """The whole way of the call. Raises only a cancellation that is not its own guard's."""
        plan: Plan | None = None
        try:
            if self._said is None:
                plan = self._asked.plan(self._live.settings)
        except Refused as refused:
            self._failed(Status.REFUSED, refused)
        kept, giver = self._at_hand(plan)
        try:
            await self._begin(plan, giver)
        except LogUnavailable as error:
            metrics.refused(error.code)
            await self._reply.fail(error)
            return
        if kept is not None:
            await self._give(kept)
        elif plan is not None:
            if plan.shadows and self._asked.origin is Origin.APP:
                send_copies(self._relay, self._live, self._asked, plan, carry_out)
            await self._guarded(plan)
        await self._close()

    # ---- before the provider

    def _at_hand(self, plan: Plan | None) -> tuple[Kept | None, str | None]:
        """An answer for which no provider is asked, and who is named in its stead."""
        if self._said is not None:
            head = ((b"content-type", self._said.content_type),)
            return Kept(200, head, self._said.body, self._said.is_stream), TAILRACE
        if plan is None or plan.cache is None:
            return None, None
        kept = self._look_up(plan)
        return kept, None if kept is None else CACHE

    def _look_up(self, plan: Plan) -> Kept | None:
        """The answer that is given again; else this one may be kept."""
        asked = self._asked
        if not isinstance(asked, Accepted) or plan.alias is None or asked.origin is not Origin.APP:
            return None
        cache = self._live.caches[plan.alias]
        self._cache_key = cache_key(
            plan, project=asked.caller.project, caller=asked.caller.name, endpoint=asked.endpoint, query=asked.query,
            headers=asked.headers, body=asked.body, parsed=asked.request.parsed,
        )  # fmt: skip
        kept = cache.get(self._cache_key, self._course.time())
        metrics.cache_looked_up(plan.alias, hit=kept is not None)
        if kept is None:
            self._reply.cache = cache
        return kept

    async def _give(self, kept: Kept) -> None:
        """An answer that was at hand is logged like any other, and shown when it is."""
        own = [(b"x-tailrace-id", self._reply.id), (b"x-request-id", self._reply.id)]
        if self._said is None:
            own.append((b"x-tailrace-cache", b"hit"))
        await self._reply.head(kept.status, [*kept.headers, *own], is_stream=kept.is_stream)
        self._course.spool.add(kept.body, self._course.time())
        self._held = kept.body

    async def _begin(self, plan: Plan | None, giver: str | None) -> None:
        """Writes START. `giver` is who answers, where that is no provider."""
        asked, told = self._asked, self._asked.told
        route = plan.targets[0] if plan else None
        lease = asked.lease
        start = Start(
            at_us=asked.arrival.at_us,
            project=asked.caller.project,
            endpoint=asked.endpoint,
            provider=giver or (route.provider if route else ""),
            model=asked.model,
            sent_model=route.model if route else "",
            stream=asked.stream,
            step=asked.step,
            origin=asked.origin,
            key=asked.caller.name,
            session=told.session,
            user=told.user,
            tags=told.tags,
            config=self._live.config_hash,
            dialect=_own_dialect(asked.endpoint) if giver or route is None else route.dialect,
            source=asked.source,
            external_id=told.external_id,
            trace=told.trace,
            omits=told.omits,
            reserved_tokens=None if lease is None else lease.reserved.tokens,
            reserved_micro_usd=None if lease is None else lease.reserved.micro_usd,
        )
        self._relay.settle_gaps()
        try:
            entry = self._relay.journal.begin(asked.arrival.id, start, asked.logged)
            await entry.written()
        except LogUnavailable as error:
            if self._live.settings.log.on_log_failure == "refuse":
                raise
            self._relay.missed(error.code)
        else:
            self._entry = self._course.entry = entry
            if lease is not None:
                lease.logged = True
            if not self._keeps_no_answer:
                self._course.spool.to = entry

    @property
    def _keeps_no_answer(self) -> bool:
        return self._asked.endpoint is Endpoint.OTHER or self._asked.told.omits_answer

    # ---- the provider's answer

    async def _guarded(self, plan: Plan) -> None:
        course, timeouts = self._course, plan.targets[0].timeouts
        self._attempts = Attempts(self._relay, self._live, self._asked, plan, course)
        guard = Guard(
            self._relay.tasks,
            self._receive,
            timeouts,
            drain=plan.drain,
            on_tick=lambda: course.spool.tick(course.time()),
        )
        self._relay.calls[guard] = self._live
        try:
            with guard:
                if self._upload is not None and not self._upload.is_taken:
                    guard.phase = Phase.PAUSE  # the provider cannot answer what has not gone up yet
                    self._upload.on_taken = lambda: guard.attempt(timeouts)
                await self._attempts.run(guard, self._reply)
                self._settled()
                self._gone = guard.client_is_gone()
        except asyncio.CancelledError:
            if guard.cause is None:
                self._abandon()
                raise
            _absorb_cancellation()
            self._interrupted(guard.cause)
        except CallError as error:
            self._failed(status_of(error), error)
        finally:
            self._relay.left(guard)

    @property
    def _call(self) -> ProviderCall | None:
        return self._attempts.call if self._attempts else None

    def _settled(self) -> None:
        if self._call is None or self._call.ending is Ending.WHOLE:
            return
        if self._call.ending is Ending.FAILED:
            self._status = Status.PROVIDER_ERROR
        else:
            self._failed(Status.PROVIDER_TRUNCATED, ProviderTruncated("The provider's answer stopped before its end."))

    # ---- what can go wrong

    def _failed(self, status: Status, error: CallError) -> None:
        self._status = status
        self._error = error

    def _interrupted(self, cause: Cause) -> None:
        if cause is Cause.AFTER_TERMINAL and self._call is not None:
            self._call.settle(clean=False)
            self._settled()
        elif cause is Cause.CLIENT_GONE:
            self._gone = True
        elif cause is Cause.SHUTDOWN:
            message = "The proxy is shutting down and the answer was not finished in time (server.drain_s)."
            self._failed(Status.TAILRACE_ERROR, CallError(Code.DRAINING, message, status=503))
        else:
            self._failed(Status.PROVIDER_TIMEOUT, ProviderTimeout(_TIMED_OUT[cause]))

    def _abandon(self) -> None:
        """Somebody cancelled the call from outside: say so in the log, without a wait."""
        self._failed(Status.TAILRACE_ERROR, CallError(Code.DRAINING, "The call was cancelled.", status=503))
        self._log_end(self._end())

    # ---- after the provider

    async def _close(self) -> None:
        end = self._end()
        durable = self._log_end(end)
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
        metrics.completed(self._asked.endpoint, end)

    def _log_end(self, end: End) -> asyncio.Future[None]:
        rest = self._course.spool.rest()
        return self._entry.end(end, b"" if self._keeps_no_answer else rest)

    def _end(self) -> End:
        course, arrival, call = self._course, self._asked.arrival, self._call
        now = course.time()
        if self._gone and self._status is Status.OK:
            self._status = Status.CLIENT_CLOSED
        duration_us = _us(now - arrival.begun)
        headers = call.headers if call else self._reply.headers
        error = self._error.code if self._error else None
        return End(
            at_us=arrival.at_us + duration_us,
            status=self._status,
            last=self._attempts.last(self._status, error) if self._attempts else None,
            http_status=self._http_status(),
            error=error,
            content_type=header_text(headers, b"content-type"),
            content_encoding=header_text(headers, b"content-encoding"),
            provider_request_id=header_text(headers, b"x-request-id") or header_text(headers, b"request-id"),
            answer_bytes=course.spool.total,
            template=call.template if call else None,
            first_byte_us=_us(course.first_byte - arrival.begun) if course.first_byte is not None else None,
            duration_us=duration_us,
            overhead_us=_us(max(0.0, now - arrival.begun - course.waited)),
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
        last, held = (self._call.last, self._call.held) if self._call else (b"", self._held)
        if self._error is None:
            await self._reply.finish(last + held)
            self._keep()
            return
        if last and self._reply.started:
            await self._reply.release(last)
        await self._reply.fail(self._error)

    def _keep(self) -> None:
        """The answer was whole, is in the log and was sent: it may be given again."""
        reply = self._reply
        if self._status is Status.OK and reply.cache is not None and reply.recording is not None:
            kept = reply.recording.kept()
            if kept is not None:
                reply.cache.put(self._cache_key, kept, self._course.time())


def _own_dialect(endpoint: Endpoint) -> str:
    """The dialect in which a client of `endpoint` is answered."""
    return "anthropic" if endpoint is Endpoint.MESSAGES else "openai"


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _absorb_cancellation() -> None:
    """The running cancellation was our guard's: the task goes on."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
