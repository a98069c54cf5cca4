"""The stage itself, with a cascade that breaks: the call goes on, and nothing of it ends the relay."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tailrace.classify.cascade import AtOnce, Cascade
from tailrace.classify.last import LastLabels
from tailrace.classify.ready import load
from tailrace.classify.turn import Subject
from tailrace.clock import Clock
from tailrace.records import Label, Origin
from tailrace.relay.accept import Accepted
from tailrace.relay.asked import Arrival
from tailrace.relay.classifying import stage
from tailrace.settings_classifiers import Classifier
from tailrace.wire.endpoints import chat
from tailrace.wire.request import read_request
from tailrace.wire.told import Told

BODY = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
READY_ID = UUID(int=7)
READY = load("c", Classifier.model_validate({"labels": {"a": ""}, "llm": {"model": "m"}, "when": "before"}))


@dataclass
class Journal:
    said: list[Any] = field(default_factory=list)

    def label(self, said: Any) -> "asyncio.Future[None]":
        self.said.append(said)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Broken(Cascade):
    """Breaks where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__(READY)
        self.where = where

    def at_once(self, subject: Subject) -> AtOnce:
        if self.where == "at_once":
            raise RuntimeError("broken")
        return super().at_once(subject)

    async def ask(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")


@pytest.mark.parametrize("where", ["at_once", "ask"])
async def test_a_broken_classifier_harms_neither_the_call_nor_the_relay(where: str) -> None:
    loop, journal, clock = asyncio.get_running_loop(), Journal(), Clock(0)
    arrival = Arrival(READY_ID, 0, loop.time())
    accepted = Accepted(arrival, chat.WIRE, [], b"", BODY, read_request(BODY, chat.WIRE), Told(), Origin.APP)
    async with asyncio.TaskGroup() as tasks:  # would pass on what a task raised
        relay: Any = SimpleNamespace(journal=journal, clock=clock, loop=loop, tasks=tasks, models=object())
        live: Any = SimpleNamespace(cascades=(Broken(where),), last_labels=LastLabels())
        staged = await stage(relay, live, accepted)
    assert staged.accepted is accepted
    assert staged.reply is None
    failed = [one for one in journal.said if isinstance(one, Label)]
    assert [one.error for one in failed] == (["internal"] if where == "ask" else [])


async def test_calls_of_our_own_are_not_classified() -> None:
    arrival = Arrival(READY_ID, 0, 0.0)
    own = Accepted(arrival, chat.WIRE, [], b"", BODY, read_request(BODY, chat.WIRE), Told(), Origin.CLASSIFIER)
    nobody: Any = None
    assert (await stage(nobody, nobody, own)).accepted is own
