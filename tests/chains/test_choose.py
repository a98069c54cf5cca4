"""The rules by which a parent is chosen, one by one."""

from dataclasses import replace

import pytest

from tailrace.chains.choose import Candidate, Child, Choice, choose
from tailrace.chains.links import Links
from tailrace.records import LinkKind, Relation

IDLE_US = 1000
CHILD = Child(started_us=5000, session=None, user=None)
LINKS = Links(
    prompt=b"prompt", parent=b"newest", earlier=(b"older", b"oldest"), pair=b"pair", pair_chars=200, step=4, tail=()
)
ONE = Candidate(seq=1, chain=1, link=b"newest", ended_us=4500, session=None, user=None, children=0, same_prompt=False)


def _choose(*candidates: Candidate, child: Child = CHILD, links: Links = LINKS) -> Choice:
    choice = choose(child, links, candidates, IDLE_US)
    assert choose(child, links, reversed(candidates), IDLE_US) == choice
    return choice


def _chosen(*candidates: Candidate, child: Child = CHILD, links: Links = LINKS) -> int | None:
    parent = _choose(*candidates, child=child, links=links).parent
    return parent.seq if parent else None


def test_nothing_found_starts_a_chain() -> None:
    start = Choice(None, Relation.START, None)
    assert _choose() == start
    assert _choose(replace(ONE, link=b"other")) == start
    assert _choose(ONE, links=replace(LINKS, parent=None, earlier=(), pair=None)) == start


def test_the_only_one_is_continued() -> None:
    assert _choose(ONE) == Choice(ONE, Relation.CONTINUE, LinkKind.INFERRED)
    assert _choose(ONE, ONE) == Choice(ONE, Relation.CONTINUE, LinkKind.INFERRED)


@pytest.mark.parametrize(("ended_us", "fits"), [(5000, True), (5001, False), (4000, True), (3999, False)])
def test_it_must_have_ended_before_and_not_too_long_ago(ended_us: int, fits: bool) -> None:
    assert _chosen(replace(ONE, ended_us=ended_us)) == (1 if fits else None)


@pytest.mark.parametrize(
    ("children", "same_prompt", "relation"),
    [(0, False, Relation.CONTINUE), (1, False, Relation.BRANCH), (3, True, Relation.RETRY)],
)
def test_relations(children: int, same_prompt: bool, relation: Relation) -> None:
    assert _choose(replace(ONE, children=children, same_prompt=same_prompt)).relation == relation


def test_not_yet_continued_first_then_the_newest() -> None:
    continued = replace(ONE, seq=2, ended_us=4900, children=1)
    newer = replace(ONE, seq=3, ended_us=4600)
    choice = _choose(ONE, continued, newer)
    assert (choice.parent, choice.kind) == (newer, LinkKind.AMBIGUOUS)
    assert _chosen(ONE, continued) == 1
    assert _chosen(ONE, replace(ONE, seq=2)) == 2


def test_the_newest_answer_in_the_request_wins() -> None:
    pair = replace(ONE, seq=2, link=b"pair", ended_us=4900)
    older = replace(ONE, seq=3, link=b"older", ended_us=4950)
    oldest = replace(ONE, seq=4, link=b"oldest", ended_us=4990)
    assert _chosen(ONE, pair, older, oldest) == 1
    assert _chosen(pair, older, oldest) == 2
    assert _chosen(older, oldest) == 3
    assert _chosen(oldest) == 4
    assert _chosen(replace(ONE, ended_us=0), older) == 3


def test_session_then_user_then_silence_then_another() -> None:
    child = Child(5000, session="s", user="u")
    session = replace(ONE, seq=1, session="s", user="other", children=9)
    user = replace(ONE, seq=2, user="u", children=9)
    silent = replace(ONE, seq=3, children=9)
    another = replace(ONE, seq=4, session="t", user="u")
    strange = replace(ONE, seq=5, session="t", user="v")
    assert _chosen(session, user, silent, another, strange, child=child) == 1
    assert _chosen(user, silent, another, strange, child=child) == 2
    assert _chosen(silent, another, strange, child=child) == 3
    assert _chosen(another, strange, child=child) == 4
    assert _chosen(strange, child=child) is None


def test_kinds_of_evidence() -> None:
    child = Child(5000, session="s", user="u")
    same = replace(ONE, session="s")
    assert _choose(same, replace(ONE, seq=2), child=child).kind == LinkKind.SESSION
    assert _choose(replace(ONE, user="u"), child=child).kind == LinkKind.SESSION
    assert _choose(same, replace(same, seq=2), child=child).kind == LinkKind.AMBIGUOUS
    assert _choose(replace(ONE, session="t"), child=child).kind == LinkKind.AMBIGUOUS
    assert _choose(replace(ONE, user="v"), child=child).kind == LinkKind.AMBIGUOUS
    assert _choose(ONE, child=child).kind == LinkKind.INFERRED


def test_a_pair_needs_evidence_or_length_and_to_be_the_only_one() -> None:
    pair = replace(ONE, link=b"pair")
    short = replace(LINKS, pair_chars=199)
    mine = Child(5000, session="s", user=None)
    assert _choose(pair) == Choice(pair, Relation.CONTINUE, LinkKind.INFERRED)
    assert _chosen(pair, links=short) is None
    assert _chosen(pair, replace(pair, seq=2)) is None
    assert _chosen(replace(pair, session="s"), links=short, child=mine) == 1
    assert _chosen(replace(pair, session="s"), replace(pair, seq=2), links=short, child=mine) == 1
    assert _chosen(replace(pair, session="t"), child=mine) is None
    older = replace(ONE, seq=3, link=b"older")
    assert _chosen(pair, older, links=short) == 3
