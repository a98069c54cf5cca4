"""How SQLite means to carry out what the code under test asks: the plan of each statement that it runs."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from sqlalchemy.ext.asyncio import AsyncConnection

LARGE = "completion|message|node|shape|chain|choice|attempt|raw|feedback"
_FROM = re.compile(rf'\b(?:FROM|JOIN|UPDATE|,)\s+"?({LARGE})"?(?:\s+AS\s+"?(\w+)"?)?', re.IGNORECASE)


class Plans:
    """The statements that were run, by their text with its values, and their plans."""

    def __init__(self) -> None:
        self.plans: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self.plans)

    def reading_all(self) -> list[tuple[str, str]]:
        """Steps that read the whole of a large table or of one of its indexes, with their statements."""
        found = []
        for statement, steps in self.plans.items():
            names = {name for pair in _FROM.findall(statement) for name in pair if name}
            found += [(step, statement) for step in steps if is_scan(step, names)]
        return found

    def using(self, index: str) -> bool:
        """Whether some statement looks rows up in `index`."""
        return any(step.startswith("SEARCH ") and f"INDEX {index} (" in step for step in self.steps())

    def sorting(self) -> list[str]:
        """Steps that sort what was read."""
        return [step for step in self.steps() if "TEMP B-TREE FOR ORDER BY" in step]

    def steps(self) -> Iterable[str]:
        return [step for steps in self.plans.values() for step in steps]


def is_scan(step: str, names: Iterable[str]) -> bool:
    return any(step == f"SCAN {name}" or step.startswith(f"SCAN {name} ") for name in names)


@asynccontextmanager
async def planned(connection: AsyncConnection) -> AsyncIterator[Plans]:
    """Notes every SELECT, UPDATE and DELETE of `connection`, and asks for its plan in the end."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    statements: dict[str, None] = {}

    def note(statement: str) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            statements[statement] = None

    plans = Plans()
    trace: Callable[[Any], Any] = driver.set_trace_callback  # its types know no None
    await trace(note)
    try:
        yield plans
    finally:
        await trace(None)
    for statement in statements:
        async with driver.execute(f"EXPLAIN QUERY PLAN {statement}") as plan:
            plans.plans[statement] = [str(row[3]) for row in await plan.fetchall()]
