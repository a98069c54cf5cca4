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
from tailrace.chains.names import Name
from tailrace.records import LinkKind, Relation
from tailrace.writer.candidates import Found, Question, by_conversation, by_name, by_pair, prompts_after
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
    step: int


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
        self._wanted: set[bytes] = set()
        self._own: defaultdict[bytes, list[tuple[Numbered, Linked]]] = defaultdict(
            list
        )  # link → who has it, and the chain

    def children(self) -> dict[int, int]:
        """How many continuations the batch has added to each completion, filed before or in the batch."""
        return {seq: seen.children for seq, seen in self._seen.items()}

    async def link(self, batch: Sequence[Numbered]) -> list[Linked]:
        """Where each completion of `batch` stands; `batch` is in the order in which the calls began."""
        self._wanted = {link for one in batch for link in _wanted(one.item)}
        await self._gather(batch)
        linked: list[Linked] = []
        for one in batch:
            place = self._place(one)
            linked.append(place)
            self._offer(one, place)
        return linked

    async def _gather(self, batch: Sequence[Numbered]) -> None:
        """The candidates from the store: by the last answer, and only where that finds none by what comes after it."""
        everyone = range(len(batch))
        await self._fetch(by_conversation, batch, everyone, _last_answer)
        named = [n for n in everyone if batch[n].item.parent is not None]
        for n, candidate in await by_name(self._connection, [self._named(n, batch[n]) for n in named]):
            self._filed[batch[n].seq].append(candidate)
        offered: dict[tuple[str, str | None, bytes], int] = {}  # link → when the first that has it ended
        for one in batch:
            for link in self._offers(one.item):
                place = (*_scope(one), link)
                offered[place] = min(one.item.ended_us, offered.get(place, one.item.ended_us))
        lost = [
            n
            for n, one in enumerate(batch)
            if (parent := one.item.links.parent) is not None
            and offered.get((*_scope(one), parent), _NEVER) > one.item.closed.start.at_us
            and not self._has_parent(one)
        ]
        await self._fetch(by_pair, batch, lost, _pair)
        await self._fetch(by_conversation, batch, lost, _earlier_answers)
        again = {one.seq for one in batch if not one.prompt_is_new}
        self._prompts = await prompts_after(
            self._connection, {found.seq for seq in again for found in self._filed.get(seq, ()) if found.children}
        )

    def _has_parent(self, one: Numbered) -> bool:
        """Whether one of the filed candidates will be taken."""
        candidates = self._filed.get(one.seq)
        return candidates is not None and self._choose(one, candidates).parent is not None

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

    def _named(self, n: int, one: Numbered) -> tuple[Question, Name]:
        name = one.item.parent
        assert name is not None
        return self._question(n, one, name.link), name

    def _place(self, one: Numbered) -> Linked:
        links = one.item.links
        candidates = [*self._filed.get(one.seq, ()), *(self._own_candidates(one) if self._own else ())]
        choice = self._choose(one, [self._now(candidate, one) for candidate in candidates])
        if choice.parent is None:
            self.last_chain += 1
            return Linked(self.last_chain, None, choice.relation, None, links.parent, one.item.closed.start.step)
        seen = self._seen[choice.parent.seq]
        seen.children += 1
        seen.prompts.add(one.prompt_node)
        awaits = links.parent if choice.parent.link != links.parent else None
        step = one.item.closed.start.step
        if links.named:  # its request does not hold the conversation, so it could not count the answers in it
            step += choice.parent.step
        return Linked(choice.parent.chain, choice.parent.seq, choice.relation, choice.kind, awaits, step)

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

    def _own_candidates(self, one: Numbered) -> Iterable[Candidate]:
        """The candidates among those of the batch that have their place."""
        for link in _wanted(one.item):
            for other, place in self._own.get(link, ()):
                if _scope(other) == _scope(one):
                    yield _candidate(other, link, place)

    def _offer(self, one: Numbered, place: Linked) -> None:
        """From now on, those that come after it in the batch may continue it."""
        for link in self._offers(one.item):
            self._own[link].append((one, place))

    def _offers(self, item: Prepared) -> Iterable[bytes]:
        """The hashes by which the batch can find a completion, as far as any of it asks for them."""
        for choice in item.answer.choices:
            if choice.links.answer in self._wanted:
                yield choice.links.answer
        if item.first_choice is not None and item.first_choice.links.pair in self._wanted:
            yield item.first_choice.links.pair
        for name in item.names:
            if name.link in self._wanted:
                yield name.link


def _candidate(one: Numbered, link: bytes, place: Linked) -> Candidate:
    start = one.item.closed.start
    return Candidate(
        seq=one.seq,
        chain=place.chain,
        link=link,
        ended_us=one.item.ended_us,
        session=column_text(start.session),
        user=column_text(start.user),
        children=0,
        same_prompt=False,
        step=place.step,
    )


def _scope(one: Numbered) -> tuple[str, str | None]:
    """Chains never cross this."""
    start = one.item.closed.start
    return start.project, start.key


def _wanted(item: Prepared) -> Iterable[bytes]:
    """The hashes a completion may be linked by."""
    links = item.links
    if links.parent is not None:
        yield links.parent
    if links.pair is not None:
        yield links.pair
    yield from links.earlier[:MAX_EARLIER]


def _last_answer(item: Prepared) -> Iterable[bytes]:
    return () if item.links.parent is None else (item.links.parent,)


def _pair(item: Prepared) -> Iterable[bytes]:
    return () if item.links.pair is None else (item.links.pair,)


def _earlier_answers(item: Prepared) -> Iterable[bytes]:
    return item.links.earlier[:MAX_EARLIER]
