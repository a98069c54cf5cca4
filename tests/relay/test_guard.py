"""The guard: each cause interrupts the wait it is meant for, and no other."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.relay.guard import Cause, Guard, Phase, is_disconnected
from tailrace.settings import Timeouts


class Client:
    """ASGI's receive of a client that leaves when told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def interrupted(timeouts: Timeouts, act: Callable[[Guard, Client], None], *, drain: bool = False) -> Guard:
    """A guard after the wait that it ended, or after 5 s."""
    client = Client()
    async with asyncio.TaskGroup() as tasks:
        guard = Guard(tasks, client.receive, timeouts, drain=drain, on_tick=lambda: None)
        try:
            with guard:
                act(guard, client)
                async with asyncio.timeout(5):
                    await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        except TimeoutError:
            pass
    return guard


async def test_client_leaving_interrupts() -> None:
    guard = await interrupted(Timeouts(), lambda _, client: client.left.set())
    assert guard.cause is Cause.CLIENT_GONE
    assert guard.gone


async def test_drain_notes_the_leaving_and_goes_on() -> None:
    guard = await interrupted(Timeouts(total_s=0.6), lambda _, client: client.left.set(), drain=True)
    assert guard.gone
    assert guard.cause is not Cause.CLIENT_GONE


async def test_first_byte_clock() -> None:
    guard = await interrupted(Timeouts(first_byte_s=0.05), lambda *_: None)
    assert guard.cause is Cause.FIRST_BYTE


async def test_idle_clock_begins_with_the_answer() -> None:
    guard = await interrupted(Timeouts(first_byte_s=0.05, idle_s=0.1), lambda guard, _: guard.waiting(Phase.EVENTS))
    assert guard.cause is Cause.IDLE


async def test_comments_move_to_the_longer_clock() -> None:
    def ping(guard: Guard, _: Client) -> None:
        guard.waiting(Phase.EVENTS)
        guard.raw_at += 0.001

    guard = await interrupted(Timeouts(idle_s=0.01, ping_idle_s=600, total_s=0.7), ping)
    assert guard.cause is Cause.TOTAL


async def test_a_slow_client_is_not_the_providers_fault() -> None:
    guard = await interrupted(Timeouts(idle_s=0.01, total_s=0.7), lambda guard, _: guard.waiting(Phase.CLIENT))
    assert guard.cause is Cause.TOTAL


async def test_a_lagging_transport_end_is_cut_short() -> None:
    guard = await interrupted(Timeouts(), lambda guard, _: guard.waiting(Phase.TAIL))
    assert guard.cause is Cause.AFTER_TERMINAL


async def test_shutdown_interrupts_once_and_never_outside() -> None:
    guard = await interrupted(Timeouts(), lambda guard, _: guard.interrupt(Cause.SHUTDOWN))
    guard.interrupt(Cause.TOTAL)
    assert guard.cause is Cause.SHUTDOWN


async def test_a_foreign_cancellation_has_no_cause() -> None:
    seen: list[Guard] = []

    async def call(tasks: asyncio.TaskGroup) -> None:
        with Guard(tasks, Client().receive, Timeouts(), drain=False, on_tick=lambda: None) as guard:
            seen.append(guard)
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(call(tasks))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert seen[0].cause is None


async def test_asking_for_the_client_does_not_wait() -> None:
    client = Client()
    assert not is_disconnected(client.receive)
    client.left.set()
    assert is_disconnected(client.receive)
