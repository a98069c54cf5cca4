"""Which completion each of a batch continues. Finds the candidates and lets `chains.choose` decide; writes nothing.

Candidates come from the store and from the batch itself. The batch is walked in the order in which its calls began, so
a parent has its chain before its children ask for it, and what one child takes is seen by the next.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.chains.choose import Candidate, Child, Choice, choose
from tailrace.records import LinkKind, Relation
from tailrace.writer.candidates import Found, Question, by_conversation, by_pair, prompts_after
from tailrace.writer.prepared import Prepared
from tailrace.writer.text import column_text

MAX_EARLIER: Final = 32
"""How many of a request's earlier answers are looked for where its last one is not found."""

_NEVER: Final = 2**63


@dataclass(frozen=True, slots=True)
class Numbered:
    """A prepared completion with the ids that linking needs."""

    seq: int
    item: Prepared
    prompt_node: int
    prompt_is_new: bool  # no filed completion has this prompt


@dataclass(frozen=True, slots=True)
class Linked:
    """Where a completion stands. `awaits`: the conversation it continues, where nobody who has it was found."""

    chain: int
    parent: int | None
    relation: Relation
    kind: LinkKind | None
    awaits: bytes | None


@dataclass(slots=True)
class _Seen:
    """What this batch adds to a completion: how many continuations, and with which prompts."""

    children: int = 0
    prompts: set[int] = field(default_factory=set)


class Linker:
    """Links one batch inside its transaction, and hands out the ids of new chains."""

    def __init__(self, connection: AsyncConnection, *, idle_us: int, last_chain: int) -> None:
        self.last_chain = last_chain
        self._connection = connection
        self._idle_us = idle_us
        self._seen: defaultdict[int, _Seen] = defaultdict(_Seen)
        self._prompts: dict[int, set[int]] = {}
        self._filed: defaultdict[int, list[Candidate]] = defaultdict(list)
        self._own: defaultdict[tuple[str, str | None, bytes], list[Candidate]] = defaultdict(list)

    def children(self) -> dict[int, int]:
        """How many continuations the batch has added to each completion, filed before or in the batch."""
        return {seq: seen.children for seq, seen in self._seen.items()}

    async def link(self, batch: Sequence[Numbered]) -> list[Linked]:
        """Where each completion of `batch` stands; `batch` is in the order in which the calls began."""
        await self._gather(batch)
        linked: list[Linked] = []
        for one in batch:
            place = self._place(one)
            linked.append(place)
            self._offer(one, place.chain)
        return linked

    async def _gather(self, batch: Sequence[Numbered]) -> None:
        """The candidates from the store: by the last answer, and only where that finds none by what comes after it."""
        everyone = range(len(batch))
        await self._fetch(by_conversation, batch, everyone, _last_answer)
        offered: dict[tuple[str, str | None, bytes], int] = {}  # link → when the first that has it ended
        for one in batch:
            for link in _offers(one.item):
                place = (*_scope(one), link)
                offered[place] = min(one.item.ended_us, offered.get(place, one.item.ended_us))
        lost = [
            n
            for n, one in enumerate(batch)
            if (parent := one.item.links.parent) is not None
            and offered.get((*_scope(one), parent), _NEVER) > one.item.closed.start.at_us
            and self._choose(one, self._filed.get(one.seq, ())).parent is None
        ]
        await self._fetch(by_pair, batch, lost, _pair)
        await self._fetch(by_conversation, batch, lost, _earlier_answers)
        again = {one.seq for one in batch if not one.prompt_is_new}
        self._prompts = await prompts_after(
            self._connection, {found.seq for seq in again for found in self._filed.get(seq, ()) if found.children}
        )

    async def _fetch(
        self,
        lookup: Callable[[AsyncConnection, list[Question]], Awaitable[list[Found]]],
        batch: Sequence[Numbered],
        asking: Iterable[int],
        links: Callable[[Prepared], Iterable[bytes]],
    ) -> None:
        questions = [self._question(n, batch[n], link) for n in asking for link in links(batch[n].item)]
        for n, candidate in await lookup(self._connection, questions):
            self._filed[batch[n].seq].append(candidate)

    def _question(self, n: int, one: Numbered, link: bytes) -> Question:
        start = one.item.closed.start
        return Question(
            n=n,
            link=link,
            project=start.project,
            key=start.key,
            earliest_us=start.at_us - self._idle_us,
            latest_us=start.at_us,
            session=column_text(start.session),
            user=column_text(start.user),
        )

    def _place(self, one: Numbered) -> Linked:
        links = one.item.links
        wanted = (link for link in (links.parent, links.pair, *links.earlier) if link is not None)
        own = [candidate for link in wanted for candidate in self._own.get((*_scope(one), link), ())]
        choice = self._choose(one, [self._now(candidate, one) for candidate in (*self._filed.get(one.seq, ()), *own)])
        if choice.parent is None:
            self.last_chain += 1
            return Linked(self.last_chain, None, choice.relation, None, awaits=links.parent)
        seen = self._seen[choice.parent.seq]
        seen.children += 1
        seen.prompts.add(one.prompt_node)
        awaits = links.parent if choice.parent.link != links.parent else None
        return Linked(choice.parent.chain, choice.parent.seq, choice.relation, choice.kind, awaits)

    def _choose(self, one: Numbered, candidates: Iterable[Candidate]) -> Choice:
        start = one.item.closed.start
        child = Child(start.at_us, column_text(start.session), column_text(start.user))
        return choose(child, one.item.links, candidates, self._idle_us)

    def _now(self, candidate: Candidate, one: Numbered) -> Candidate:
        """The candidate as it stands after what the batch has added to it so far."""
        seen = self._seen.get(candidate.seq)
        prompts = self._prompts.get(candidate.seq, ())
        same = one.prompt_node in prompts or (seen is not None and one.prompt_node in seen.prompts)
        if seen is None and not same:
            return candidate
        return replace(candidate, children=candidate.children + (seen.children if seen else 0), same_prompt=same)

    def _offer(self, one: Numbered, chain: int) -> None:
        """From now on, those that come after it in the batch may continue it."""
        start = one.item.closed.start
        for link in _offers(one.item):
            candidate = Candidate(
                seq=one.seq,
                chain=chain,
                link=link,
                ended_us=one.item.ended_us,
                session=column_text(start.session),
                user=column_text(start.user),
                children=0,
                same_prompt=False,
            )
            self._own[(*_scope(one), link)].append(candidate)


def _scope(one: Numbered) -> tuple[str, str | None]:
    """Chains never cross this."""
    start = one.item.closed.start
    return start.project, start.key


def _offers(item: Prepared) -> Iterable[bytes]:
    """The hashes by which a completion can be found."""
    for choice in item.answer.choices:
        yield choice.links.answer
    if item.first_choice is not None:
        yield item.first_choice.links.pair


def _last_answer(item: Prepared) -> Iterable[bytes]:
    return () if item.links.parent is None else (item.links.parent,)


def _pair(item: Prepared) -> Iterable[bytes]:
    return () if item.links.pair is None else (item.links.pair,)


def _earlier_answers(item: Prepared) -> Iterable[bytes]:
    return item.links.earlier[:MAX_EARLIER]
