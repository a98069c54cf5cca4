"""From completions to rows: an answer a row (`step`), or a conversation a row (`Fold`). Pure.

A chain is a tree: each completion repeats the conversation so far and adds an answer. Folding turns the tree into as
few rows as hold every answer once:

    1 ─ 2 ─ 3 ─ 4        4 was asked last: its request and answer are the main row, and hold the answers of 1, 2 and 3.
        └── 3'           3' is a retry or a branch: a row of its own, with only its own answer learned.

- A row's conversation is the request and answer of its *head*: what the model really saw, edits included.
- Heads are the completions that no other conversation of the chain holds: leaves, and what stood before a compaction.
- The answer of a completion is found inside another's conversation by its link hash (`chains.links`), as clients do not
  echo exactly. Only such recorded answers are learned: few-shot examples, edited answers and those that were
  not selected are not.
- Rows of a chain come newest head first, and each answer is learned in the first of them only: the main row is learned
  whole, a sibling for what it adds. A head that adds nothing (the same answer again) is dropped as `repeated_answer`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.chains.links import answers_in
from tailrace.records import Json
from tailrace_exporters.rows import Completion, Dropped, Exchange, Row, Stage, Train

NO_REQUEST: Final = "no_request"
NO_ANSWER: Final = "no_answer"
REPEATED: Final = "repeated_answer"


@dataclass(frozen=True, slots=True)
class Conversation:
    """An exchange as one list of messages, its answer the last."""

    request: dict[str, Json]
    messages: list[Json]


def conversation(exchange: Exchange) -> Conversation | str:
    """The exchange's messages and its first choice's, or the reason why there are none to learn from."""
    request = exact(exchange.request, exchange.request_raw)
    messages = request.get("messages") if type(request) is dict else None
    if type(messages) is not list or not messages or not all(type(message) is dict for message in messages):
        return NO_REQUEST
    answer = _first_choice(exact(exchange.answer, exchange.answer_raw))
    if answer is None:
        return NO_ANSWER
    return Conversation(request, [*messages, answer])


def step(completion: Completion, exchange: Exchange) -> Row | Dropped:
    """One answer as a row: all that the model saw, and the answer to be learned."""
    found = conversation(exchange)
    if isinstance(found, str):
        return Dropped(Stage.ASSEMBLE, found, (completion,))
    mask = (False,) * (len(found.messages) - 1) + (True,)
    return _row(completion, found, mask, (completion,), ())


class Fold:
    """One chain's good completions, folded: give `take` the exchanges of `heads()` until there are none."""

    def __init__(self, members: Sequence[Completion], above: Mapping[int, int | None]) -> None:
        """`above`: for each member's `seq` that of the nearest member before it in the conversation."""
        self._members = {member.seq: member for member in members}
        self._above = above
        self._below: dict[int, int] = dict.fromkeys(self._members, 0)  # members right after it that are not settled
        for parent in above.values():
            if parent is not None:
                self._below[parent] += 1
        self.size = len(self._members)
        self._open = set(self._members)
        self._holders: dict[int, tuple[Conversation, list[tuple[int, int]]]] = {}
        self._dropped: list[Dropped] = []

    def heads(self) -> list[Completion]:
        """The members whose exchanges are needed next: no conversation read so far holds them, and none to come can."""
        return [self._members[seq] for seq in sorted(self._open) if not self._below[seq]]

    def take(self, exchanges: Mapping[int, Exchange]) -> None:
        """The exchanges of `heads()`, by `seq`: find out which members each conversation holds."""
        for seq, exchange in exchanges.items():
            found = conversation(exchange)
            if isinstance(found, str):
                self._dropped.append(Dropped(Stage.ASSEMBLE, found, (self._members[seq],)))
                self._settle(seq)
            else:
                self._hold(seq, found)

    def rows(self, train: Train) -> tuple[list[Row], list[Dropped]]:
        """The chain's rows, newest head first, and the members that gave none and are in none."""
        learned: set[bytes | int] = set()
        folded = {seq: self._folded(seq, train, learned) for seq in sorted(self._holders, reverse=True)}
        rows = [row for row in folded.values() if row is not None]
        told = {completion.seq for row in rows for completion in (*row.learned, *row.context)}
        dropped = list(self._dropped)
        for seq in (seq for seq, row in folded.items() if row is None):
            left = [member for _, member in self._holders[seq][1] if member not in told]
            told.update(left)
            dropped.append(Dropped(Stage.ASSEMBLE, REPEATED, tuple(self._members[member] for member in left)))
        return rows, dropped

    def _hold(self, seq: int, found: Conversation) -> None:
        at = dict(answers_in(found.messages))
        held: list[tuple[int, int]] = []
        over = self._above[seq]
        while over is not None:
            index = at.get(self._members[over].link_answer or b"")
            if index is not None:
                held.append((index, over))
            over = self._above[over]
        self._holders[seq] = (found, [*reversed(held), (len(found.messages) - 1, seq)])
        for _, member in self._holders[seq][1]:
            self._settle(member)

    def _settle(self, seq: int) -> None:
        if seq in self._open:
            self._open.discard(seq)
            parent = self._above[seq]
            if parent is not None:
                self._below[parent] -= 1

    def _folded(self, seq: int, train: Train, learned: set[bytes | int]) -> Row | None:
        found, held = self._holders[seq]
        mask = [False] * len(found.messages)
        fresh: list[Completion] = []
        known: list[Completion] = []
        for index, member in held:
            completion = self._members[member]
            key = completion.link_answer or member  # equal words on an equal path are one answer
            if key in learned or (train is Train.LAST and member != seq):
                known.append(completion)
                continue
            learned.add(key)
            mask[index] = True
            fresh.append(completion)
        return _row(self._members[seq], found, tuple(mask), tuple(fresh), tuple(known)) if fresh else None


def _row(
    head: Completion,
    found: Conversation,
    mask: tuple[bool, ...],
    learned: tuple[Completion, ...],
    context: tuple[Completion, ...],
) -> Row:
    request = found.request
    return Row(
        head=head,
        messages=found.messages,
        tools=request.get("tools"),
        response_format=request.get("response_format"),
        parallel_tool_calls=request.get("parallel_tool_calls"),
        train=mask,
        learned=learned,
        context=context,
        tags=None if head.tags is None else orjson.loads(head.tags),
    )


def _first_choice(answer: Json) -> dict[str, Json] | None:
    choices = answer.get("choices") if type(answer) is dict else None
    for choice in choices if type(choices) is list else ():
        if type(choice) is dict and choice.get("index", 0) == 0:
            message = choice.get("message")
            return {"role": "assistant"} | message if type(message) is dict else None
    return None


def exact(nearest: Json, raw: bytes | None) -> Json:
    """What the kept bytes say, where they are JSON; else the stored JSON (an answer's bytes may be a stream's)."""
    if raw is None:
        return nearest
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return nearest
