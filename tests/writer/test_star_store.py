"""The STAR dialogues through the real writer and SQLite: interleaved, without ids, echoed as clients echo them."""

import random
from collections import defaultdict
from pathlib import Path

import pytest

from tailrace.records import Closed, Relation
from tests.chains.test_star_chains import Ask, Message, _client, _dialogues
from tests.writer.filing import chat, kept, store

GAP_US = 1_000


def interleaved(seed: int, width: int, asides: float = 0.0) -> tuple[list[Closed], dict[int, Ask]]:
    """The calls of all dialogues, each twice, `width` at a time; and what each asked.

    `asides`: how often a call is asked again, and how often in other words.
    """
    dice = random.Random(seed)
    clients = [_client(dialogue["turns"], dice, asides, asides) for dialogue in _dialogues() * 2]
    calls: list[Closed] = []
    asks: dict[int, Ask] = {}
    running: list[tuple[int, int]] = []  # dialogue, free from this time on
    waiting = list(range(len(clients)))
    now = 1_790_000_000_000_000
    while waiting or running:
        while waiting and len(running) < width:
            running.append((waiting.pop(0), now))
        at = dice.randrange(len(running))
        index, free = running[at]
        ask = next(clients[index], None)
        if ask is None:
            running.pop(at)
            continue
        now += GAP_US
        started = max(now, free + 1)
        ended = started + dice.randrange(1, 20 * GAP_US)
        n = len(calls)
        calls.append(chat(n, list(ask.messages), ask.answer, started_us=started, ended_us=ended))
        asks[n] = ask
        running[at] = (index, ended)
    return calls, asks


@pytest.mark.parametrize("seed", range(2))
async def test_each_dialogue_is_one_chain_in_the_store(tmp_path: Path, seed: int) -> None:
    calls, asks = interleaved(seed, width=24)
    dice = random.Random(seed)
    arriving = sorted(range(len(calls)), key=lambda n: (calls[n].end_stamp or 0) + dice.randrange(5_000_000))
    async with store(tmp_path) as (_, ingest):
        while arriving:
            size = dice.randrange(1, 40)
            batch, arriving = arriving[:size], arriving[size:]
            await ingest.file([calls[n] for n in batch])
    number = {call.id.bytes: n for n, call in enumerate(calls)}
    found = [row for row, _ in await kept(tmp_path)]
    by_seq = {row.seq: number[row.id] for row in found}
    chains: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    steps = right = wrong = 0
    for row in found:
        n = number[row.id]
        said = asks[n].said
        chains[row.chain].append((*said, asks[n].word))
        if not any(word.startswith("assistant ") for word in said):
            continue
        steps += 1
        if row.parent is None:
            continue
        parent = asks[by_seq[row.parent]]
        last = max(at for at, word in enumerate(said) if word.startswith("assistant ")) + 1
        if (*parent.said, parent.word) == said[:last]:
            right += 1
        else:
            wrong += 1
    assert len(found) == len(calls)
    assert wrong == 0
    assert right >= 0.99 * steps
    assert len(chains) == len(_dialogues()) * 2
    for chain in chains.values():  # from its first word to its last it is one dialogue, with each of its calls once
        longest = max(chain, key=len)
        answers = [at for at, word in enumerate(longest) if word.startswith("assistant ")]
        assert sorted(chain, key=len) == [longest[: at + 1] for at in answers]


@pytest.mark.parametrize("late_us", [0, 5 * GAP_US])
async def test_retries_and_branches_lead_nobody_astray(tmp_path: Path, late_us: int) -> None:
    calls, asks = interleaved(1, width=16, asides=0.1)
    dice = random.Random(late_us)
    ends = [one.start.at_us + one.end.duration_us + dice.randrange(late_us + 1) for one in calls if one.end is not None]
    arriving = sorted(range(len(calls)), key=ends.__getitem__)
    async with store(tmp_path) as (_, ingest):
        for begin in range(0, len(calls), 25):
            await ingest.file([calls[n] for n in arriving[begin : begin + 25]])
    rows = [row for row, _ in await kept(tmp_path)]
    number = {call.id.bytes: n for n, call in enumerate(calls)}
    asked = {row.seq: asks[number[row.id]] for row in rows}
    for row in rows:
        said = asked[row.seq].said
        answers = [at for at, word in enumerate(said, 1) if word.startswith("assistant ")]
        parent = None if row.parent is None else asked[row.parent]
        assert said[: max(answers, default=0)] == (() if parent is None else (*parent.said, parent.word))
        assert row.children == sum(other.parent == row.seq for other in rows)
        assert row.link_parent is None
    assert {row.relation for row in rows} == set(Relation)
    assert len({row.chain for row in rows}) == sum(row.parent is None for row in rows)


async def test_a_system_prompt_that_changes_with_every_call_copies_nothing(tmp_path: Path) -> None:
    history: list[Message] = []
    async with store(tmp_path) as (connection, ingest):
        for n in range(20):
            history.append({"role": "user", "content": f"question {n} " * 20})
            system = {"role": "system", "content": f"It is {n} o'clock."}
            answer = {"role": "assistant", "content": f"answer {n} " * 20}
            await ingest.file([chat(n, [system, *history], answer)])
            history.append(answer)
        from tests.writer.filing import count  # noqa: PLC0415

        assert await count(connection, "node") == 40
        assert await count(connection, "message") == 60
    assert [row.step for row, _ in await kept(tmp_path)] == [1] * 20  # the relay counts steps, and `chat` does not
    assert len({row.chain for row, _ in await kept(tmp_path)}) == 1
