"""The labeller's composition root: follows the log, audits and calls webhooks, each in a loop of its own.

reader ▸ journal of its own ▸ client of the relay ▸ loops        a reload makes the loops anew

It holds nothing that is not in the log or in its small cursor files: whenever it dies, the next one goes on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
import uvloop
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace import spawn
from tailrace.classify.cascade import Cascade
from tailrace.classify.patient import Patient
from tailrace.classify.ready import learns
from tailrace.classify.ready import load as load_classifier
from tailrace.classify.serving import Serving
from tailrace.clock import Clock
from tailrace.errors import LogUnavailable, SettingsError
from tailrace.internal import read_internal_key
from tailrace.journal.journal import Journal
from tailrace.journal.own import own_journal
from tailrace.labeller.audits import Auditor
from tailrace.labeller.follow import Follower
from tailrace.labeller.learner import Learner
from tailrace.labeller.webhooks import Deliverer
from tailrace.labeller.work import Work
from tailrace.logging import configure
from tailrace.records import Definition
from tailrace.settings import Settings
from tailrace.settings_load import load
from tailrace.store.engine import open_reader
from tailrace.store.rebuild import Rebuilder
from tailrace.upstream.post import Poster
from tailrace.upstream.relay_client import RelayClient

POLL_S: Final = 0.25
"""Between two looks at a log in which there was nothing to do."""
_TROUBLE_S: Final = 2.0
_CONCURRENCY: Final = 16

log = structlog.get_logger("tailrace.labeller")

Step = Callable[[AsyncConnection, Rebuilder, Journal], Awaitable[bool]]


class _Signals:
    """What the supervisor asked for."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.changed = asyncio.Event()  # a reload, or the end

    def end(self) -> None:
        self.ending.set()
        self.changed.set()

    def reload(self) -> None:
        self.changed.set()


async def serve(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """Labels until the supervisor says stop."""
    settings = load(spec.config_path, os.environ)
    signals = _Signals()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signals.end)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal's Ctrl-C: the supervisor tells us
    loop.add_signal_handler(signal.SIGHUP, signals.reload)
    parent.watch(loop, signals.end)
    data_dir, clock = Path(spec.data_dir), Clock(spec.anchor_ns)
    relay = RelayClient(spec.url, read_internal_key(data_dir), concurrency=_CONCURRENCY)
    async with own_journal(data_dir, settings.log, clock) as journal, relay, Poster() as poster:
        parent.report_ready()
        while not signals.ending.is_set():
            signals.changed.clear()
            await _until_changed(settings, data_dir, clock, journal, Patient(relay), poster, signals)
            settings = _reloaded(spec, settings)


async def _until_changed(
    settings: Settings, data_dir: Path, clock: Clock, journal: Journal, models: Patient, poster: Poster,
    signals: _Signals,
) -> None:  # fmt: skip
    """The loops of one configuration."""
    works = [
        Work(Cascade(load_classifier(name, classifier)), models, clock)
        for name, classifier in settings.classifiers.items()
        if classifier.mode != "off"
    ]
    steps: list[Step] = []
    for work in works:
        ready = work.cascade.ready
        along: list[Follower | Auditor] = [Follower(work, data_dir)]
        if ready.brief is not None and ready.settings.audit_share:
            along.append(Auditor(work, data_dir))
        async with open_reader(data_dir) as connection:
            for each in along:
                await each.begin(connection)
        definition = ready.settings.model_dump(mode="json", by_alias=True)
        await journal.labels([Definition(clock.now_us(), ready.name, ready.version, definition)])
        steps += [each.step for each in along]
        steps += _teaching(work, clock, data_dir)
        if ready.brief is not None or ready.settings.rules:
            steps.append(Learner(work.cascade, data_dir).step)
    if settings.webhooks.hosts:
        deliverer = Deliverer(settings.webhooks, clock, poster)
        steps.append(lambda connection, _, journal: deliverer.step(connection, journal))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_run(step, data_dir, journal)) for step in steps]
        await signals.changed.wait()
        for task in running:
            task.cancel()


def _teaching(work: Work, clock: Clock, data_dir: Path) -> list[Step]:
    """The loops of a student, where there is one to be: what it takes is imported only then."""
    if not learns(work.cascade.ready):
        return []
    from tailrace.labeller.tutor import Tutor  # noqa: PLC0415 - numpy and scikit-learn: 100 MB

    serving = Serving(work.cascade, data_dir)

    async def refresh(*_: object) -> bool:
        await serving.refresh()
        return False

    return [Tutor(work.cascade.ready, clock, data_dir).step, refresh]


async def _run(step: Step, data_dir: Path, journal: Journal) -> None:
    """One loop, with a reading connection of its own. What passes is waited out; anything else ends the process, and
    the supervisor starts it again."""
    async with open_reader(data_dir) as connection:
        rebuilder = Rebuilder(connection)
        while True:
            pause_s = POLL_S
            try:
                pause_s = 0.0 if await step(connection, rebuilder, journal) else POLL_S
            except LogUnavailable as error:
                log.warning("the log takes no labels now", why=error.message)
                pause_s = _TROUBLE_S
            except DBAPIError as error:
                log.warning("the store cannot be read now", why=str(error.orig))
                pause_s = _TROUBLE_S
            with suppress(DBAPIError):
                await connection.rollback()
            await asyncio.sleep(pause_s)


def _reloaded(spec: spawn.Spec, before: Settings) -> Settings:
    try:
        return load(spec.config_path, os.environ)
    except SettingsError as error:
        log.error("reload refused, the old settings stay", reason=str(error))  # noqa: TRY400 - the line says it all
        return before


def main(spec: spawn.Spec, parent: spawn.Parent) -> None:
    """The body of a labeller process."""
    configure(load(spec.config_path, os.environ).log.level, process=spec.name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(spec, parent))


if __name__ == "__main__":
    sys.exit(spawn.run(main))
