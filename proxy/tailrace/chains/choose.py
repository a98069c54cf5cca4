"""Which recorded completion a new one continues: the rules of DESIGN 2, "Chains". Pure; finding candidates in the store
is the writer's.

The writer asks the store for completions of the same project and key whose `link_answer` is `links.parent` or one of
`links.earlier`, or whose `link_pair` is `links.pair`, and gives each as a `Candidate`. They are weighed in this order:

1. It must have ended before the child started, and not longer than `idle_us` before.
2. The newest answer in the request wins: the whole conversation up to it, then its pair alone (compaction); then the
   answers before it.
3. Same session first; else same user; else no word against it; last, another session or another user. An id only
   narrows: a client that changes its session id, and matches nothing else, still continues its conversation. Where
   both session and user are another's, never.
4. One that is not yet continued, then the newest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tailrace.chains.links import Links
from tailrace.records import LinkKind, Relation

UNIQUE_PAIR_CHARS: Final = 200
"""From this length on, a pair that only one completion has is taken as proof without session or user."""


@dataclass(frozen=True, slots=True)
class Child:
    """The completion that looks for its parent."""

    started_us: int
    session: str | None
    user: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recorded completion of the same project and key that may be the parent."""

    seq: int
    chain: int
    link: bytes  # the hash by which it was found: its `link_answer` (of any of its choices) or its `link_pair`
    ended_us: int
    session: str | None
    user: str | None
    children: int  # how many completions continue it already
    same_prompt: bool  # one of these has the child's own prompt node
    step: int = 0  # where it is known


@dataclass(frozen=True, slots=True)
class Choice:
    """The parent, or none; what the child is to it; and how sure the link is (None where there is no parent)."""

    parent: Candidate | None
    relation: Relation
    kind: LinkKind | None


class _Evidence(IntEnum):
    AGAINST_BOTH = 0
    AGAINST = 1
    SILENT = 2
    USER = 3
    SESSION = 4


_START: Final = Choice(None, Relation.START, None)


def choose(child: Child, links: Links, candidates: Iterable[Candidate], idle_us: int) -> Choice:
    """The parent of `child`, whose request has `links`."""
    found: dict[bytes, dict[int, Candidate]] = {}
    for candidate in candidates:
        if 0 <= child.started_us - candidate.ended_us <= idle_us:
            found.setdefault(candidate.link, {})[candidate.seq] = candidate
    for link in _newest_first(links):
        same = list(found.get(link, {}).values())
        if same and (choice := _among(child, links, link, same)) is not None:
            return choice
    return _START


def relation_to(parent: Candidate) -> Relation:
    """What a further completion after `parent` is to it."""
    if parent.same_prompt:
        return Relation.RETRY
    return Relation.BRANCH if parent.children else Relation.CONTINUE


def _newest_first(links: Links) -> Iterable[bytes]:
    if links.parent is not None:
        yield links.parent
    if links.pair is not None:
        yield links.pair
    yield from links.earlier


def _among(child: Child, links: Links, link: bytes, same: list[Candidate]) -> Choice | None:
    """The choice among candidates that were found by the same `link`; None where none may be taken."""
    named = links.named and link == links.parent
    weighed = [
        (evidence, one)
        for one in same
        if (evidence := _evidence(child, one)) > _Evidence.AGAINST_BOTH or named
    ]  # fmt: skip
    if link == links.pair:
        weighed = _provable(links, weighed)
    if not weighed:
        return None
    best, parent = max(weighed, key=_rank)
    rivals = sum(evidence == best for evidence, _ in weighed)
    kind = LinkKind.EXACT if named else _kind(best, rivals)
    return Choice(parent, relation_to(parent), kind)


def _provable(links: Links, weighed: list[tuple[_Evidence, Candidate]]) -> list[tuple[_Evidence, Candidate]]:
    """A pair says nothing of what was before it: it needs the same session or user, or to be long and the only one."""
    backed = [one for one in weighed if one[0] >= _Evidence.USER]
    if backed:
        return backed
    alone = len(weighed) == 1 and weighed[0][0] == _Evidence.SILENT
    return weighed if alone and links.pair_chars >= UNIQUE_PAIR_CHARS else []


def _rank(weighed: tuple[_Evidence, Candidate]) -> tuple[int, bool, int, int]:
    evidence, one = weighed
    return evidence, one.children == 0, one.ended_us, one.seq


def _kind(best: _Evidence, rivals: int) -> LinkKind:
    if rivals > 1 or best == _Evidence.AGAINST:
        return LinkKind.AMBIGUOUS
    return LinkKind.SESSION if best >= _Evidence.USER else LinkKind.INFERRED


def _evidence(child: Child, one: Candidate) -> _Evidence:
    session = _agree(child.session, one.session)
    user = _agree(child.user, one.user)
    if session:
        return _Evidence.SESSION
    if session is None:
        return {True: _Evidence.USER, None: _Evidence.SILENT, False: _Evidence.AGAINST}[user]
    return _Evidence.AGAINST_BOTH if user is False else _Evidence.AGAINST


def _agree(mine: str | None, theirs: str | None) -> bool | None:
    """Whether both name the same; None where one of them is silent."""
    if mine is None or theirs is None:
        return None
    return mine == theirs
