"""The keys as the relays read them, which open no store: a file in the data folder, whole or not at all.

Its modification time says when the writer last stood behind it. So a relay knows how old its knowledge is, and a
revocation that could not be filed is not overlooked for ever.
"""

import os
from pathlib import Path
from typing import Final

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.clock import Clock
from tailrace.keys import SNAPSHOT, key_of, snapshot
from tailrace.store.tables import TABLES

_KEY: Final = TABLES["api_key"]
_FRESH_US: Final = 15 * 10**6
"""How often the writer says that the file still holds."""


class KeyFile:
    """The file of one data folder. Only the writer has one."""

    def __init__(self, connection: AsyncConnection, data_dir: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = data_dir / SNAPSHOT
        self._clock = clock
        self._fresh_us = 0

    async def publish(self) -> None:
        """Write what the store knows of keys; the relays take it within a second."""
        rows = (await self._connection.execute(select(_KEY.c.state).order_by(_KEY.c.id))).scalars().all()
        await self._connection.rollback()
        self._fresh_us = self._clock.now_us()
        content = snapshot((key_of(orjson.loads(row)) for row in rows), self._fresh_us)
        partial = self._path.with_name(f"{SNAPSHOT}.partial")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path)

    async def stand_behind(self) -> None:
        """Every now and then: what was published still holds."""
        if self._clock.now_us() - self._fresh_us < _FRESH_US:
            return
        try:
            os.utime(self._path)
            self._fresh_us = self._clock.now_us()
        except FileNotFoundError:  # somebody removed it
            await self.publish()
