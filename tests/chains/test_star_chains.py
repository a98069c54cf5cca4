"""Real dialogues, many at a time and with no ids, find their chains by content alone.

Below the tests: a model of the journal's clock, of a store, and of clients that each echo an answer in their own way.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import pytest

from tailrace.chains.canonical import canonical
from tailrace.chains.choose import Candidate, Child, Choice, choose
from tailrace.chains.links import AnswerLinks, Links, answer_links, links_of
from tailrace.records import Relation

Message = dict[str, Any]
IDLE_US = 10**9


@cache
def _dialogues() -> list[dict[str, Any]]:
    lines = files("tailrace.simulate").joinpath("data/star60/dialogues.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


@pytest.mark.parametrize("seed", range(3))
def test_each_dialogue_has_a_chain_of_its_own(seed: int) -> None:
    dialogues = _dialogues() * 2  # each stands beside its twin, word for word the same from the first to the last
    found = score(play(dialogues, random.Random(seed), width=32))
    assert found.right == found.steps
    assert (found.wrong, found.chains, found.starts, found.pure) == (0, len(dialogues), len(dialogues), len(dialogues))


def test_dialogues_that_open_alike_stay_apart() -> None:
    dialogues = [
        {"turns": [{"role": "user", "text": greeting}, hello, {"role": "user", "text": f"My name is {n}"}, bye]}
        for hello in ({"role": "assistant", "text": "Hello, how can I help?"},)
        for bye in ({"role": "assistant", "text": "Goodbye."},)
        for n in range(60)
        for greeting in ("Hello" + " " * (n % 2),)
    ]
    found = score(play(dialogues, random.Random(7), width=60))
    assert (found.right, found.wrong, found.chains, found.pure) == (60, 0, 60, 60)


@pytest.mark.parametrize("seed", range(3))
def test_retries_and_branches_lead_nobody_astray(seed: int) -> None:
    calls = play(_dialogues(), random.Random(seed), width=16, retries=0.1, branches=0.1)
    found = score(calls)
    assert (found.right, found.wrong) == (found.steps, 0)
    assert found.chains == found.starts
    relations = {str(call.choice.relation) for call in calls if call.choice}
    assert relations == {"start", "continue", "branch", "retry"}


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client sends, and what the provider will answer."""

    messages: list[Message]
    said: tuple[str, ...]  # what was really said before, turn by turn: the truth that links are held against
    answer: Message
    word: str  # what the answer really says
    aside: bool = False  # a retry or a branch, not the dialogue's own line


@dataclass(slots=True)
class Call:
    """One completion as the model of the store keeps it."""

    seq: int
    dialogue: int
    started_us: int
    ended_us: int
    said: tuple[str, ...]
    answered: str
    aside: bool
    links: Links
    answer: AnswerLinks
    prompt: bytes
    chain: int = 0
    choice: Choice | None = None
    prompts_after: list[bytes] = field(default_factory=list)


def provider_message(turn: dict[str, Any]) -> Message:
    """An answer with all the nulls and empty lists that providers send."""
    message: Message = {
        "role": "assistant",
        "content": turn.get("text"),
        "refusal": None,
        "annotations": [],
        "audio": None,
    }
    if "query" in turn:
        arguments = f'{{"task": "{turn["query"]}", "n": 1}}'
        message["tool_calls"] = [
            {"id": "call_1", "type": "function", "function": {"name": "query", "arguments": arguments}}
        ]
    return message


def echoed(message: Message, rng: random.Random) -> Message:
    """`message` as one of many clients sends it back."""
    style = rng.choice(("verbatim", "no nulls", "parts", "marked", "trimmed", "recoded"))
    if style == "verbatim":
        return message
    kept = {name: value for name, value in message.items() if value is not None and value != []}
    text = kept.get("content")
    if style in ("parts", "marked") and isinstance(text, str):
        kept["content"] = [{"type": "text", "text": text}]
        if style == "marked":
            kept["content"][0]["cache_control"] = {"type": "ephemeral"}
    elif style == "trimmed" and isinstance(text, str):
        kept["content"] = text.strip()
    if style == "recoded" and "tool_calls" in kept:
        call = kept["tool_calls"][0]
        arguments = call["function"]["arguments"].replace(": ", ":").replace(", ", ",")
        kept["tool_calls"] = [{**call, "index": 0, "function": {"arguments": arguments, "name": "query"}}]
        kept.setdefault("content", "")
    return kept


def play(
    dialogues: Sequence[dict[str, Any]], rng: random.Random, *, width: int, retries: float = 0.0, branches: float = 0.0
) -> list[Call]:
    """The calls of all `dialogues`, `width` of them at a time, linked in the order in which they began."""
    waiting = iter(enumerate(dialogues))
    running: list[tuple[int, int, Iterator[Ask]]] = []
    store: defaultdict[bytes, list[Call]] = defaultdict(list)
    calls: list[Call] = []

    def admit(now: int) -> None:
        for index, dialogue in waiting:
            heapq.heappush(
                running, (now + rng.randrange(1000), index, _client(dialogue["turns"], rng, retries, branches))
            )
            return

    for _ in range(width):
        admit(0)
    while running:
        now, index, client = heapq.heappop(running)
        ask = next(client, None)
        if ask is None:
            admit(now)
            continue
        call = _call(ask, seq=len(calls) + 1, dialogue=index, started_us=now, ended_us=now + 1 + rng.randrange(1000))
        _link(call, store)
        calls.append(call)
        heapq.heappush(running, (call.ended_us + rng.randrange(1000), index, client))
    return calls


def _client(turns: list[dict[str, Any]], rng: random.Random, retries: float, branches: float) -> Iterator[Ask]:
    """The calls that one conversation makes: request, what was said, answer, its text, whether it is an aside."""
    history: list[Message] = []
    said: tuple[str, ...] = ()
    for turn in turns:
        if turn["role"] == "user":
            history.append({"role": "user", "content": turn["text"]})
            said += (f"user {turn['text']}",)
            continue
        answer = provider_message(turn)
        word = f"assistant {turn.get('text')} {turn.get('query')}"
        system = {"role": "system", "content": f"It is {rng.random()}."}
        if history and history[-1]["role"] == "user" and rng.random() < branches:
            aside = {"role": "user", "content": "Actually: " + history[-1]["content"]}
            yield Ask(
                [system, *history[:-1], aside], (*said[:-1], f"user {aside['content']}"), answer, word, aside=True
            )
        request = [system, *(echoed(m, rng) if m["role"] == "assistant" else m for m in history)]
        yield Ask(request, said, answer, word)
        if rng.random() < retries:
            yield Ask(request, said, answer, word, aside=True)
        history.append(answer)
        said += (word,)
        if "query" in turn:
            history.append({"role": "tool", "tool_call_id": "call_1", "content": '{"ok": true}'})
            said += ("tool",)


def _call(ask: Ask, *, seq: int, dialogue: int, started_us: int, ended_us: int) -> Call:
    links = links_of(ask.messages)
    return Call(
        seq=seq,
        dialogue=dialogue,
        started_us=started_us,
        ended_us=ended_us,
        said=ask.said,
        answered=ask.word,
        aside=ask.aside,
        links=links,
        answer=answer_links(links, ask.answer),
        prompt=canonical([message for message in ask.messages if message["role"] != "system"]),
    )


def _link(call: Call, store: defaultdict[bytes, list[Call]]) -> None:
    wanted = [link for link in (call.links.parent, call.links.pair, *call.links.earlier) if link is not None]
    candidates = [
        Candidate(
            seq=one.seq,
            chain=one.chain,
            link=link,
            ended_us=one.ended_us,
            session=None,
            user=None,
            children=len(one.prompts_after),
            same_prompt=call.prompt in one.prompts_after,
        )
        for link in wanted
        for one in store[link]
    ]
    call.choice = choose(Child(call.started_us, None, None), call.links, candidates, IDLE_US)
    call.chain = call.seq
    if (parent := call.choice.parent) is not None:
        call.chain = parent.chain
        one = next(one for one in store[parent.link] if one.seq == parent.seq)
        one.prompts_after.append(call.prompt)
    for link in (call.answer.answer, call.answer.pair):
        store[link].append(call)


@dataclass(frozen=True, slots=True)
class Score:
    """What the links are worth."""

    dialogues: int
    chains: int
    steps: int  # calls with an answer in their request
    right: int  # linked to a call whose whole conversation is this one's own beginning
    wrong: int  # linked to any other call
    own: int  # of the right ones, to a call of the very same dialogue, and not only to one word for word like it
    pure: int  # chains whose main line is one dialogue from its first word to its last
    starts: int  # first calls that start a chain


def score(calls: Sequence[Call]) -> Score:
    """Holds the links against what was really said."""
    by_seq = {call.seq: call for call in calls}
    right = wrong = own = steps = starts = 0
    chains: defaultdict[int, list[Call]] = defaultdict(list)
    whole: dict[int, tuple[str, ...]] = {}
    for call in calls:
        assert call.choice is not None
        chains[call.chain].append(call)
        if not call.aside:
            whole[call.dialogue] = (*call.said, call.answered)
        if call.links.parent is None:
            starts += call.choice.relation == Relation.START
            continue
        steps += 1
        if call.choice.parent is None:
            continue
        parent = by_seq[call.choice.parent.seq]
        last = max(at for at, word in enumerate(call.said) if word.startswith("assistant ")) + 1
        if (*parent.said, parent.answered) == call.said[:last]:
            right += 1
            own += parent.dialogue == call.dialogue
        else:
            wrong += 1
    pure = sum(_is_pure(chain, set(whole.values())) for chain in chains.values())
    return Score(len(whole), len(chains), steps, right, wrong, own, pure, starts)


def _is_pure(chain: list[Call], wholes: set[tuple[str, ...]]) -> bool:
    """Whether the chain's main line is exactly one dialogue, none of its calls missing and none of another's there."""
    main = [(*call.said, call.answered) for call in chain if not call.aside]
    longest = max(main, key=len, default=())
    expected = [longest[: at + 1] for at, word in enumerate(longest) if word.startswith("assistant ")]
    return longest in wholes and sorted(main, key=len) == expected
