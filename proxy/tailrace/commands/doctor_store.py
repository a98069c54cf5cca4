"""What `tailrace doctor` says of the log: can the store be read, what is missing, how far behind is the writer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from tailrace.commands.doctor_checks import Finding, Verdict
from tailrace.commands.terminal import iso_utc
from tailrace.errors import TailraceError, WorkFailed
from tailrace.settings import Settings
from tailrace.store import migrations
from tailrace.store.engine import open_reader, store_file
from tailrace.store.stats import Health, health

_JOURNAL: Final = "journal"
_FULL_SHARE: Final = 0.5


def log(settings: Settings) -> Iterator[Finding]:
    """The store and the journal of a data folder that can be read."""
    folder = settings.log.data_dir
    if not store_file(folder).exists():
        yield Finding("store", Verdict.OK, str(store_file(folder)), "does not exist yet; the first start makes it")
    else:
        yield from _store(folder)
    yield _journal(folder / _JOURNAL, settings.log.journal_max_bytes)


def _store(folder: Path) -> Iterator[Finding]:
    try:
        found = asyncio.run(_health(folder))
    except TailraceError as exc:
        yield Finding("store", Verdict.FAIL, str(exc))
        return
    newest = "nothing filed yet" if found.newest_us is None else f"newest completion {iso_utc(found.newest_us)}"
    coming = migrations.STEPS[-1].number
    advice = "" if found.migration == coming else f"the next start brings it to {coming}, after a copy"
    yield Finding("store", Verdict.OK, f"migration {found.migration}, {newest}", advice)
    if found.dead_letters:
        told = f"{found.dead_letters} records could not be filed"
        yield Finding("dead letters", Verdict.WARN, told, "they are kept whole in the table dead_letter; report them")
    if found.gap_calls:
        told = f"{found.gap_calls} calls were served and not logged"
        yield Finding("gaps", Verdict.WARN, told, 'with log.on_log_failure = "refuse" they would have got 503')


async def _health(folder: Path) -> Health:
    try:
        async with open_reader(folder) as connection:
            await migrations.check(connection)
            return await health(connection)
    except DBAPIError as exc:
        raise WorkFailed(f"{store_file(folder)}: cannot be read ({exc.orig}); restore a copy from its backups") from exc


def _journal(folder: Path, most_bytes: int) -> Finding:
    """Segments are deleted once they are filed, so their size is how far the writer is behind."""
    held = sum(path.stat().st_size for path in folder.glob("*.seg")) if folder.is_dir() else 0
    value = f"{held / 2**20:.0f} MiB of at most {most_bytes / 2**20:.0f} MiB"
    if held <= most_bytes * _FULL_SHARE:
        return Finding("journal", Verdict.OK, value)
    return Finding("journal", Verdict.WARN, value, "the writer is behind, or down: its lines in the log say why")
