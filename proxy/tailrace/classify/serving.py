"""Keeps a cascade's student, and what else it learned, those of the data folder, where the labeller puts them.

numpy is imported with the first student, and not before: a relay without one does not carry it.
"""

import asyncio
import importlib
from pathlib import Path
from typing import Any

import structlog

from tailrace.classify.cascade import Cascade
from tailrace.classify.learned import learned_file
from tailrace.classify.ready import learns
from tailrace.classify.student.place import current_file

log = structlog.get_logger("tailrace.classify")


class Serving:
    """One cascade's. `refresh` it now and then."""

    def __init__(self, cascade: Cascade, data_dir: Path) -> None:
        self._cascade = cascade
        self._path = current_file(data_dir, cascade.ready.name)
        self._wanted = learns(cascade.ready)
        self._served: Any = None  # a `student.serve.Served`, once there is a student
        self._told = ""
        self._learned = learned_file(data_dir, cascade.ready)
        self._learned_ns = 0

    async def refresh(self) -> None:
        """Takes what is there now; a file that is no student is told of once, and the student before stays."""
        self._refresh_learned()
        await self._refresh_student()

    def _refresh_learned(self) -> None:
        try:
            changed_ns = self._learned.path.stat().st_mtime_ns
        except OSError:
            return
        if changed_ns != self._learned_ns:
            self._learned_ns = changed_ns
            self._cascade.learned = self._learned.read()

    async def _refresh_student(self) -> None:
        if not self._wanted or (self._served is None and not self._path.exists()):
            return
        if self._served is None:
            serve = await asyncio.to_thread(importlib.import_module, "tailrace.classify.student.serve")
            self._served = serve.Served(self._path)
        if not self._served.is_stale():
            return
        try:
            await asyncio.to_thread(self._served.refresh, self._cascade.ready.version)
        except Exception as exc:  # noqa: BLE001 - of the disk, or of what stands in the file: none may end a relay
            if self._told != str(exc):
                self._told = str(exc)
                log.warning("a student cannot be taken", classifier=self._cascade.ready.name, why=str(exc))
            return
        self._cascade.student = self._served.student
