"""Ids of records that a process of its own writes."""

import os
from uuid import UUID

from tailrace.clock import Clock
from tailrace.ids import uuid7


def new_id(clock: Clock) -> UUID:
    """A new one."""
    return uuid7(clock.stamp() // 1_000_000, os.urandom(10))
