"""Which filed completions may be the parent of a new one: the SQL behind `chains.choose`. Reads; decides nothing.

A greeting that is answered in the same words may stand in the store a hundred thousand times, so each lookup is
bounded: the newest of those not continued yet, some that are, and those among the newest of the same session and user.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BindParameter, Column, ColumnElement, Select, and_, bindparam, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.chains.choose import Candidate
from tailrace.chains.names import ANSWER, CONVERSATION, Name
from tailrace.records import Endpoint
from tailrace.store.lookups import answer_is
from tailrace.store.tables import TABLES
from tailrace.writer.asking import LINK, ask, chunks

_FEW: Final = 16
_PAIR_BYTES: Final = 8
_OWN: Final = 256
"""How far back in a session or a user's completions is searched."""

_COMPLETION: Final = TABLES["completion"]
_CHOICE: Final = TABLES["choice"]
_I: Final = _COMPLETION.alias("i")


@dataclass(frozen=True, slots=True)
class Question:
    """Completion `n` of a batch asks who has `link`."""

    n: int
    link: bytes
    project: str
    key: str | None
    earliest_us: int  # the parent ended within these
    latest_us: int
    session: str | None
    user: str | None


Found = tuple[int, Candidate]
"""A possible answer to question n."""


async def by_conversation(connection: AsyncConnection, questions: list[Question]) -> list[Found]:
    """Completions whose conversation, answer included, is the one asked for."""
    found = await _answers_once(connection, questions, _BY_CONVERSATION)
    return found + await _own_answers(connection, questions, _OWN_CONVERSATION)


async def by_pair(connection: AsyncConnection, questions: list[Question]) -> list[Found]:
    """Completions whose last pair of turns is the one asked for, whatever was before."""
    asked = [replace(question, link=stored_pair(question.link)) for question in questions]
    found = await _answers_once(connection, asked, _BY_PAIR) + await _own_answers(connection, asked, _OWN_PAIR)
    pairs = {question.n: question.link for question in questions}
    return [(n, replace(candidate, link=pairs[n])) for n, candidate in found]


async def by_name(connection: AsyncConnection, questions: Sequence[tuple[Question, Name]]) -> list[Found]:
    """The completion that each name means: the newest of those that have it and ended before the asking one began."""
    found: list[Found] = []
    for question, name in questions:
        values = {
            "name": name.value, "project_": question.project, "key_": question.key or "",
            "latest": question.latest_us, "earliest": question.earliest_us,
        }  # fmt: skip
        row = (await connection.execute(_BY_NAME[name.kind], values)).first()
        if row is not None:
            seq, chain, ended_us, session, user, children, step = row
            candidate = Candidate(
                seq, chain, question.link, ended_us, session, user, children, same_prompt=False, step=step
            )
            found.append((question.n, candidate))
    return found


def stored_pair(pair: bytes) -> bytes:
    """A pair's hash as a row holds it: half of it. It only proposes candidates, which need evidence of their own."""
    return pair[:_PAIR_BYTES]


async def prompts_after(connection: AsyncConnection, seqs: Iterable[int]) -> dict[int, set[int]]:
    """The prompt nodes of what continues each of the completions `seqs`."""
    found: dict[int, set[int]] = {}
    for few in chunks(seqs):
        for parent, node in await connection.execute(_PROMPTS_AFTER, {"seqs": few}):
            found.setdefault(parent, set()).add(node)
    return found


async def _answers_once(connection: AsyncConnection, questions: list[Question], query: Select[Any]) -> list[Found]:
    """The answers, where what is asked for by several is looked up once for the widest span of time among them.

    A batch of hundreds of conversations in the same words would else fetch hundreds of candidates for each.
    """
    asking: dict[tuple[bytes, str, str | None], list[Question]] = {}
    for question in questions:
        asking.setdefault((question.link, question.project, question.key), []).append(question)
    groups = list(asking.values())
    most = max(map(len, groups), default=0) + _FEW
    found = await _answers(connection, [_widest(group) for group in groups], query, most)
    return [(question.n, candidate) for place, candidate in found for question in groups[place]]


async def _own_answers(connection: AsyncConnection, questions: list[Question], query: Select[Any]) -> list[Found]:
    """The answers among the newest completions of the asking one's session or user."""
    own = [question for question in questions if question.session is not None or question.user is not None]
    return [(own[place].n, candidate) for place, candidate in await _answers(connection, own, query, _FEW)]


async def _answers(
    connection: AsyncConnection, questions: list[Question], query: Select[Any], most: int
) -> list[tuple[int, Candidate]]:
    """Candidates, each with the place of its question in `questions`."""
    if not questions:
        return []
    rows = [
        (place, q.link, q.project, q.key or "", q.earliest_us, q.latest_us, q.session, q.user)
        for place, q in enumerate(questions)
    ]
    await ask(connection, LINK, rows)
    return [
        (place, Candidate(seq, chain, link, ended_us, session, user, children, same_prompt=False))
        for place, link, seq, chain, ended_us, session, user, children in await connection.execute(
            query, {"most": most}
        )
    ]


def _widest(group: list[Question]) -> Question:
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        earliest_us=min(question.earliest_us for question in group),
        latest_us=max(question.latest_us for question in group),
    )


def _fits(i: Any) -> ColumnElement[bool]:
    ended_us = i.c.started_us + func.coalesce(i.c.duration_us, 0)
    return and_(
        i.c.project == LINK.c.project,
        func.coalesce(i.c.key, "") == LINK.c.key,
        ended_us.between(LINK.c.earliest_us, LINK.c.latest_us),
    )


def _newest(most: Any, *conditions: ColumnElement[bool]) -> Select[int]:
    """The newest completions that fit a question and the `conditions`: as a subquery, to have a limit of its own."""
    inner = select(_I.c.seq).where(*conditions, _fits(_I)).order_by(_I.c.seq.desc()).limit(most).correlate(LINK)
    return select(inner.subquery().c.seq)


def _newest_of(column: Column[Any], asked: Column[Any], link: str) -> Select[int]:
    """Among the newest completions of the asking one's session or user."""
    c = _COMPLETION.c
    needed = select(c.seq, c.project, c.key, c.started_us, c.duration_us, c[link])
    newest = needed.where(column == asked, c.project == LINK.c.project).order_by(c.seq.desc()).limit(_OWN)
    own = newest.correlate(LINK).subquery()
    return select(own.c.seq).where(own.c[link] == LINK.c.link, _fits(own)).correlate(LINK)


def _query(*lookups: Select[int]) -> Select[Any]:
    c = _COMPLETION.c
    ended_us = c.started_us + func.coalesce(c.duration_us, 0)
    found = LINK.join(_COMPLETION, c.seq.in_(union_all(*lookups)))
    return select(LINK.c.n, LINK.c.link, c.seq, c.chain, ended_us, c.session, c.user, c.children).select_from(found)


_SAME: Final = _I.c.link_answer == LINK.c.link
_BY_CONVERSATION: Final = _query(
    _newest(bindparam("most"), _SAME, _I.c.children == 0),
    _newest(_FEW, _SAME, _I.c.children == 1),
    _newest(_FEW, _SAME, _I.c.children > 1),
    _newest(_FEW, _I.c.seq == _CHOICE.c.completion, _CHOICE.c.link_answer == LINK.c.link),
)
_OWN_CONVERSATION: Final = _query(
    _newest_of(_COMPLETION.c.session, LINK.c.session, "link_answer"),
    _newest_of(_COMPLETION.c.user, LINK.c.user, "link_answer"),
)
_BY_PAIR: Final = _query(_newest(_FEW, _I.c.link_pair == LINK.c.link))
_OWN_PAIR: Final = _query(
    _newest_of(_COMPLETION.c.session, LINK.c.session, "link_pair"),
    _newest_of(_COMPLETION.c.user, LINK.c.user, "link_pair"),
)


def _by_name(condition: ColumnElement[bool]) -> Select[Any]:
    c = _COMPLETION.c
    ended_us = c.started_us + func.coalesce(c.duration_us, 0)
    return (
        select(c.seq, c.chain, ended_us, c.session, c.user, c.children, c.step)
        .where(
            condition,
            c.endpoint == Endpoint.RESPONSES.value,
            c.project == bindparam("project_"),
            func.coalesce(c.key, "") == bindparam("key_"),
            ended_us.between(bindparam("earliest"), bindparam("latest")),
        )
        .order_by(c.seq.desc())
        .limit(1)
    )


_NAME: Final[BindParameter[str]] = bindparam("name")
_BY_NAME: Final = {
    ANSWER: _by_name(answer_is(_NAME)),
    CONVERSATION: _by_name(_COMPLETION.c.session == _NAME),
}

_SEQS: Final[BindParameter[list[int]]] = bindparam("seqs", expanding=True)
_CHAINS: Final = select(_COMPLETION.c.chain).where(_COMPLETION.c.seq.in_(_SEQS))
_PROMPTS_AFTER: Final = select(_I.c.parent, _I.c.prompt_node).where(_I.c.chain.in_(_CHAINS), _I.c.parent.in_(_SEQS))
