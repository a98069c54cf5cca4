"""The attempts of one completion: the plan's targets in their order, until an answer is passed on or none is left.

    a target with a place ─▶ called ─┬─ a good head ─▶ passed on: no other attempt from here on
                                     └─ failed ─▶ `retry.decide` ─┬─ again, after a wait ─▶ called
                                                                  ├─ next ─▶ a target with a place
                                                                  └─ give up: the client is told of this outcome

Each attempt is in the log before its provider is called: the first with START, the others with a record of their own.
"""

import asyncio
import random
import time

from tailrace import metrics
from tailrace.errors import CallError, Code, ProviderFailed, ProviderTimeout, ProviderTruncated
from tailrace.records import Attempt, Retried, Status
from tailrace.relay.asked import Asked
from tailrace.relay.guard import Guard, Phase
from tailrace.relay.health import Closed, Entered, Place, is_failure
from tailrace.relay.live import Live, Relay
from tailrace.relay.provider_call import Course, ProviderCall
from tailrace.relay.reply import Reply
from tailrace.relay.retry import Action, Decision, Outcome, Standing, decide, retry_after_s
from tailrace.relay.routing import Plan, Route


class Attempts:
    """One completion's. `call` is the attempt under way, or the last one."""

    def __init__(self, relay: Relay, live: Live, asked: Asked, plan: Plan, course: Course) -> None:
        self.call: ProviderCall | None = None
        self._relay = relay
        self._live = live
        self._asked = asked
        self._plan = plan
        self._course = course
        self._n = 0
        self._at_target = 0

    async def run(self, guard: Guard, reply: Reply) -> None:
        """Raises CallError: the last attempt's, or OVERLOADED where no target takes a call."""
        entered = self._relay.health.enter_first(self._plan.targets, 0, self._course.time(), last_resort=True)
        if isinstance(entered, Closed):
            message = "All targets of this model have as many calls as they may (max_concurrency)."
            raise CallError(Code.OVERLOADED, message, status=503, retry_after_s=1)
        following: Entered | None = entered
        while following is not None:
            with following.place:
                following = await self._at(following, guard, reply)

    async def _at(self, entered: Entered, guard: Guard, reply: Reply) -> Entered | None:
        """The attempts at one target; the next target's place, or None where the call is over."""
        route = self._plan.targets[entered.index]
        self._live.budgets[route.provider].called()
        self._at_target = 0
        while True:
            outcome = await self._open(route, guard)
            rests = self._judge(entered.place, route, outcome)
            decision = self._decide(outcome, route, entered.index, rests=rests)
            if decision.action is Action.NEXT:
                following = self._next(entered.index)
                if following is not None:
                    await self._leave(outcome)
                    metrics.fell_back(self._plan.alias)
                    return following
            elif decision.action is Action.AGAIN:
                await self._leave(outcome)
                metrics.retried(route.provider)
                guard.waiting(Phase.PAUSE)
                await self._course.while_waiting(asyncio.sleep(decision.wait_s))
                continue
            await self._pass_on(outcome, entered.place, guard, reply)
            return None

    async def _open(self, route: Route, guard: Guard) -> Outcome:
        previous = self.call
        templates = None if route.templates is None else self._live.templates[route.templates]
        connection = self._live.connections[route.provider]
        self.call = ProviderCall(self._asked, connection, route, self._course, templates)
        self._n += 1
        self._at_target += 1
        if previous is not None:
            guard.attempt(route.timeouts)
            await self._log(route, previous)
        try:
            await self.call.open()
        except CallError as error:
            return Outcome(error=error)
        return Outcome(status=self.call.status, headers=self.call.headers)

    def _decide(self, outcome: Outcome, route: Route, index: int, *, rests: bool) -> Decision:
        if outcome.error is None and outcome.status is not None and outcome.status < 400:
            return Decision(Action.GIVE_UP)  # a good answer: nothing follows it
        if not self._asked.repeatable:
            return Decision(Action.GIVE_UP)
        standing = Standing(
            attempts=self._at_target,
            has_next=index + 1 < len(self._plan.targets),
            left_s=route.timeouts.total_s - (self._course.time() - self._asked.arrival.begun),
            resting=rests,
            idempotent=self._asked.idempotent,
        )
        budget = self._live.budgets[route.provider]
        return decide(outcome, standing, self._plan.retry, budget, now_s=time.time(), chance=random.random())  # noqa: S311 - jitter

    def _next(self, index: int) -> Entered | None:
        found = self._relay.health.enter_first(self._plan.targets, index + 1, self._course.time(), last_resort=False)
        return None if isinstance(found, Closed) else found

    def _judge(self, place: Place, route: Route, outcome: Outcome) -> bool:
        """Tells the target's health of the outcome; whether it begins to rest."""
        callers_key = self._live.connections[route.provider].takes_callers_key
        if is_failure(outcome.error, outcome.status, callers_key=callers_key):
            asked_s = retry_after_s(outcome.headers, time.time()) or 0.0
            return place.failed(self._course.time(), self._plan.cooldown, asked_s)
        if outcome.error is None:
            place.answered()
        return False

    async def _leave(self, outcome: Outcome) -> None:
        """Another attempt follows: note how this one ended."""
        assert self.call is not None
        detail = await self.call.drop() if outcome.error is None else None
        self.call.verdict(_word(outcome), outcome.error.code if outcome.error else None, detail)

    async def _pass_on(self, outcome: Outcome, place: Place, guard: Guard, reply: Reply) -> None:
        """The outcome is the client's, whatever it is. Raises CallError."""
        assert self.call is not None
        if outcome.error is not None:
            raise outcome.error
        try:
            await self.call.pass_on(guard, reply)
        except ProviderFailed as error:
            if is_failure(error, None, callers_key=False):
                place.failed(self._course.time(), self._plan.cooldown)
            raise

    async def _log(self, route: Route, previous: ProviderCall) -> None:
        """The attempt is in the log before its provider is called. Raises LogUnavailable."""
        before = self._row(previous, self._n - 1)
        now_us = self._asked.arrival.at_us + _us(self._course.time() - self._asked.arrival.begun)
        await self._course.entry.attempt(Retried(self._n, now_us, route.provider, route.model, before, route.dialect))

    def last(self, outcome: str, error: str | None) -> Attempt | None:
        """How the last attempt ended; None where there was none."""
        if self.call is None:
            return None
        self.call.verdict(outcome, error, None)
        return self._row(self.call, self._n)

    def _row(self, call: ProviderCall, n: int) -> Attempt:
        """An attempt as it is logged."""
        arrival = self._asked.arrival
        return Attempt(
            n=n,
            at_us=arrival.at_us + _us(call.begun - arrival.begun),
            provider=call.route.provider,
            model=call.route.model,
            outcome=call.outcome,
            http_status=call.status,
            error=call.error,
            duration_us=_us(call.ended - call.begun),
            detail=call.detail,
        )


def status_of(error: CallError) -> Status:
    """What a failed provider call makes of its completion."""
    match error:
        case ProviderTimeout():
            return Status.PROVIDER_TIMEOUT
        case ProviderTruncated():
            return Status.PROVIDER_TRUNCATED
        case ProviderFailed():
            return Status.PROVIDER_ERROR
    return Status.TAILRACE_ERROR if error.code == Code.LOG_UNAVAILABLE else Status.REFUSED


def _word(outcome: Outcome) -> Status:
    return Status.PROVIDER_ERROR if outcome.error is None else status_of(outcome.error)


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
