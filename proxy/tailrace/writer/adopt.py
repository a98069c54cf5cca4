"""A parent filed after its children: gives it what awaited it. Works on filed rows, inside the batch's transaction.

A completion whose conversation nobody had yet began a chain of its own, or was linked to an earlier answer of its
request; its `link_parent` says what it still awaits. When that is filed it moves there with all that continues it.
This is rare (several workers, or a crash between two of them), so it is done one by one.

It moves only to what continues, through those filed after it, what it was linked to when it was filed. The links of
now tell the exporters in which chain each row began, and a row that was exported keeps its split by that. Of two
conversations in the same words one may so wait for good, where the other was taken for its beginning.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from sqlalchemy import Row, and_, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.chains.choose import Candidate, Child, choose
from tailrace.chains.links import Links
from tailrace.records import Relation
from tailrace.store.tables import TABLES
from tailrace.writer.asking import LINK, ask
from tailrace.writer.candidates import Question

_MOST: Final = 1000
"""Completions adopted in one batch; those that await more common words than that keep waiting."""

_C: Final = TABLES["completion"].c
_COMPLETION: Final = TABLES["completion"]
_CHAIN: Final = TABLES["chain"]
_ENDED_US: Final = _C.started_us + func.coalesce(_C.duration_us, 0)

_AWAITING: Final = (
    select(LINK.c.n, LINK.c.link, _C.seq, _C.started_us, _C.session, _C.user)
    .join(_COMPLETION, _C.link_parent == LINK.c.link)
    .where(
        _C.project == LINK.c.project,
        func.coalesce(_C.key, "") == LINK.c.key,
        _C.started_us.between(LINK.c.earliest_us, LINK.c.latest_us),
    )
    .order_by(_C.seq.op("+")(0))  # not the bare column: SQLite would walk all of the table in that order
    .limit(_MOST)
)


async def adopt(connection: AsyncConnection, answers: Sequence[Question], parents: Sequence[int], idle_us: int) -> int:
    """Link the filed completions that await one of `answers`; returns how many.

    A question here names a new completion by its place `n` in `parents` (their `seq`s), the hash after its answer, and
    the span in which a continuation of it would have begun.
    """
    await ask(
        connection,
        LINK,
        [(q.n, q.link, q.project, q.key or "", q.earliest_us, q.latest_us, None, None) for q in answers],
    )
    waiting: dict[int, list[tuple[int, bytes]]] = {}
    children: dict[int, Row[Any]] = {}
    for row in (await connection.execute(_AWAITING)).all():
        children[row.seq] = cast("Row[Any]", row)
        waiting.setdefault(row.seq, []).append((parents[row.n], row.link))
    adopted = 0
    for seq, offers in waiting.items():
        adopted += await _adopt_one(connection, children[seq], offers, idle_us)
    return adopted


async def _adopt_one(
    connection: AsyncConnection, child: Row[Any], offers: list[tuple[int, bytes]], idle_us: int
) -> bool:
    before = (await connection.execute(select(_C.parent, _C.chain).where(_C.seq == child.seq))).one()
    link = offers[0][1]
    candidates = [
        await _candidate(connection, seq, link)
        for seq, _ in offers
        if await _filed_before(connection, child.seq, seq) == before.parent
    ]
    awaited = Links(prompt=b"", parent=link, earlier=(), pair=None, pair_chars=0, step=0, tail=())
    choice = choose(Child(child.started_us, child.session, child.user), awaited, candidates, idle_us)
    if choice.parent is None:
        return False
    family = await _family(connection, child.seq, before.chain)
    if choice.parent.seq in family:
        return False
    taken = {"parent": choice.parent.seq, "link_kind": choice.kind, "link_parent": None}
    await connection.execute(update(_COMPLETION).where(_C.seq == child.seq).values(taken))
    if choice.parent.chain != before.chain:
        await _move(connection, family, before.chain, choice.parent.chain)
    for parent in (before.parent, choice.parent.seq):
        if parent is not None:
            await _settle_children(connection, parent)
    return True


async def _candidate(connection: AsyncConnection, seq: int, link: bytes) -> Candidate:
    c = _C
    row = (
        await connection.execute(select(c.chain, _ENDED_US, c.session, c.user, c.children).where(c.seq == seq))
    ).one()
    chain, ended_us, session, user, children = row
    return Candidate(seq, chain, link, ended_us, session, user, children, same_prompt=False)


async def _filed_before(connection: AsyncConnection, child: int, parent: int) -> int | None:
    """The nearest of `parent` and what it continues that was filed before `child`."""
    over: int | None = parent
    while over is not None and over >= child:
        over = (await connection.execute(select(_C.parent).where(_C.seq == over))).scalar_one_or_none()
    return over


async def _family(connection: AsyncConnection, seq: int, chain: int) -> list[int]:
    """`seq` and all that continues it, in order of filing."""
    rows = (await connection.execute(select(_C.seq, _C.parent).where(_C.chain == chain))).all()
    below: dict[int | None, list[int]] = {}
    for row in rows:
        below.setdefault(row.parent, []).append(row.seq)
    found = [seq]
    for member in found:
        found.extend(below.get(member, ()))
    return sorted(found)


async def _move(connection: AsyncConnection, family: Iterable[int], old: int, new: int) -> None:
    """Move a family from one chain to another; a chain that is left empty goes."""
    await connection.execute(
        update(_COMPLETION).where(_C.seq == bindparam("moved")).values(chain=new), [{"moved": seq} for seq in family]
    )
    for chain in (old, new):
        counts = select(func.count(), func.min(_C.started_us), func.max(_ENDED_US), func.max(_C.step))
        count, started_us, last_us, steps = (await connection.execute(counts.where(_C.chain == chain))).one()
        if count:
            now = {"completions": count, "started_us": started_us, "last_us": last_us, "steps": steps}
            await connection.execute(update(_CHAIN).where(_CHAIN.c.id == chain).values(now))
        else:
            await connection.execute(delete(_CHAIN).where(_CHAIN.c.id == chain))


async def _settle_children(connection: AsyncConnection, parent: int) -> None:
    """Count the continuations of `parent` anew, and say of each what it is."""
    chain = select(_C.chain).where(_C.seq == parent).scalar_subquery()
    rows = await connection.execute(
        select(_C.seq, _C.prompt_node)
        .where(and_(_C.chain == chain, _C.parent == parent))
        .order_by(_C.started_us, _C.seq)
    )
    relations = _relations([(seq, prompt) for seq, prompt in rows])
    await connection.execute(update(_COMPLETION).where(_C.seq == parent).values(children=len(relations)))
    if relations:
        await connection.execute(
            update(_COMPLETION).where(_C.seq == bindparam("child")).values(relation=bindparam("is")),
            [{"child": seq, "is": relation} for seq, relation in relations],
        )


def _relations(children: Sequence[tuple[int, int]]) -> list[tuple[int, Relation]]:
    """The relation of each child `(seq, prompt node)` of one parent, in the order in which they began."""
    prompts: set[int] = set()
    relations: list[tuple[int, Relation]] = []
    for seq, prompt in children:
        other = Relation.BRANCH if prompts else Relation.CONTINUE
        relations.append((seq, Relation.RETRY if prompt in prompts else other))
        prompts.add(prompt)
    return relations
