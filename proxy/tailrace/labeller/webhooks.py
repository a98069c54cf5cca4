"""Webhooks, called from the log: what was planned there is sent until it arrives or is given up, once for each prompt.

    action row `planned` ─▶ POST, signed ─┬─ 2xx ─▶ `done`
                                          ├─ else ─▶ `retried`, and again after a pause that doubles
                                          └─ the last try, or an address that is no longer allowed ─▶ `failed`

Each outcome is a record, so that a restart goes on where the last one was. The idempotency key is of (chain, prompt,
version): a client's own retry of a call has the same one, and is not sent where the first was. No redirect is followed.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import metrics
from tailrace.classify.webhook import body_of, headers_of, key_of
from tailrace.classify.written import new_id
from tailrace.clock import Clock
from tailrace.errors import LogUnavailable
from tailrace.journal.journal import Journal
from tailrace.records import Action, Outcome
from tailrace.settings_classifier_checks import is_allowed
from tailrace.settings_classifiers import Webhooks
from tailrace.store import labels, read
from tailrace.store.query.fields import COMPLETION
from tailrace.store.read import Filed
from tailrace.upstream.post import Poster

OPEN_FOR_US: Final = 7 * 24 * 3600 * 10**6
"""A webhook older than this is no longer called."""
_AT_ONCE: Final = 16
_SAME: Final = 50
"""Completions of one prompt that are looked at: a client's retries."""
_REMEMBERED: Final = 10_000
_BATCH: Final = 200
_GIVEN_UP: Final = "not_allowed"
_ALREADY: Final = "already_sent"

log = structlog.get_logger("tailrace.labeller")


@dataclass(slots=True)
class Deliverer:
    """The webhooks of a data folder."""

    settings: Webhooks
    clock: Clock
    poster: Poster
    _sent: OrderedDict[str, UUID] = field(default_factory=OrderedDict)  # idempotency key → the completion it is of
    _here: dict[tuple[UUID, str], Action] = field(default_factory=dict)  # further on than the store knows yet

    async def step(self, connection: AsyncConnection, journal: Journal) -> bool:
        """Calls those that are due; whether any was. Raises LogUnavailable: an outcome could not be kept."""
        now_us = self.clock.now_us()
        stored = await labels.open_webhooks(connection, since_us=now_us - OPEN_FOR_US, limit=_BATCH)
        open_ = {(action.completion, action.key): action for action in stored}
        self._here = {key: action for key, action in self._here.items() if key in open_ and open_[key].id != action.id}
        due = [
            action
            for action in (self._here.get(key, action) for key, action in open_.items())
            if action.outcome in (Outcome.PLANNED, Outcome.RETRIED) and self._due_us(action) <= now_us
        ][:_AT_ONCE]
        rows = await read.by_id(connection, [action.completion.bytes for action in due])
        for action in due:
            await self._claim(connection, action, rows.get(action.completion.bytes))
        await connection.rollback()
        async with asyncio.TaskGroup() as tasks:
            for action in due:
                row = rows.get(action.completion.bytes)
                if row is not None:  # else it is not filed yet: its chain is not known
                    tasks.create_task(self._deliver(action, row, journal))
        return any(action.completion.bytes in rows for action in due)

    def _due_us(self, action: Action) -> int:
        if action.attempts == 0:
            return action.at_us
        pause_s = min(self.settings.backoff_s * 2 ** (action.attempts - 1), self.settings.backoff_max_s)
        return action.at_us + int(pause_s * 1e6)

    async def _claim(self, connection: AsyncConnection, action: Action, row: Filed | None) -> None:
        """Says which completion's webhook of those with one key is sent: the first that was, or this one."""
        if row is None or (key := _key(action, row)) in self._sent:
            return
        same = read.Selection(
            and_(COMPLETION.c.chain == row.chain, COMPLETION.c.prompt_node == row.prompt_node), limit=_SAME
        )
        others = [other.id for other in await read.page(connection, same) if other.id != row.id]
        known = await labels.actions(connection, others)
        sent = (each for some in known.values() for each in some if each.key == action.key and each.attempts > 0)
        before = next((each for each in sent if each.version == action.version and not each.dry_run), None)
        self._sent[key] = action.completion if before is None else before.completion
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    async def _deliver(self, action: Action, row: Filed, journal: Journal) -> None:
        after = await self._try(action, row)
        self._here[action.completion, action.key] = after
        metrics.acted(action.classifier, action.do, after.outcome)
        try:
            await journal.labels([after])
        except LogUnavailable as error:
            log.warning("a webhook's outcome could not be logged", why=error.message)

    async def _try(self, action: Action, row: Filed) -> Action:
        url, secret = action.target or "", self.settings.secret
        key = _key(action, row)
        if secret is None or not is_allowed(url, self.settings.hosts):
            return self._after(action, Outcome.FAILED, _GIVEN_UP)
        if self._sent.get(key) != action.completion:
            return self._after(action, Outcome.DONE, _ALREADY)
        body = body_of(_told(action, row))
        headers = headers_of(secret.get_secret_value(), key, body, self.clock.now_us() // 1_000_000)
        failure = await self.poster.post(url, headers, body, timeout_s=self.settings.timeout_s)
        if failure is None:
            return self._after(action, Outcome.DONE, None)
        last = action.attempts + 1 >= self.settings.attempts
        log.info("a webhook failed", classifier=action.classifier, why=failure, attempt=action.attempts + 1, last=last)
        return self._after(action, Outcome.FAILED if last else Outcome.RETRIED, failure)

    def _after(self, action: Action, outcome: Outcome, error: str | None) -> Action:
        return replace(
            action, id=new_id(self.clock), at_us=self.clock.now_us(), outcome=outcome, attempts=action.attempts + 1,
            error=error,
        )  # fmt: skip


def _key(action: Action, row: Filed) -> str:
    return key_of(row.chain_key.hex(), f"{row.prompt_node}:{action.key}", action.version)


def _told(action: Action, row: Filed) -> dict[str, object]:
    """What a receiver is told: what happened and where to look it up; nothing that anybody said."""
    return {
        "type": "label",
        "classifier": action.classifier,
        "version": action.version,
        "label": action.label,
        "completion": str(action.completion),
        "chain": str(UUID(bytes=row.chain_key)),
        "step": row.step,
        "model": row.model,
        "session": row.session,
        "user": row.user,
        "tags": row.tags,
    }
