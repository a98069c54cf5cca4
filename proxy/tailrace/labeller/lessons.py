"""What a student learns from and what it is judged by, read from the log; never the same chain for both.

    chains ─┬─ half of them, drawn ─▶ one random turn each, where it was audited or the student was in shadow
            │    └─ all their turns ─▶ the confidences by which the thresholds are laid out
            └─ the others ─▶ the labels of the model and of people ─▶ training

While it is in shadow the model labels every turn anyway, so that an audit costs nothing: the drawn turn's own label is
one. Once it is live only the audits that were asked for count, since the model is then asked about hard turns only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.classify.audit import is_audited, place
from tailrace.classify.ready import Ready
from tailrace.classify.student.fit import Item
from tailrace.classify.turn import Subject, subject_of
from tailrace.labeller.subjects import is_for, labels_before
from tailrace.records import LabelSource, LabelValue
from tailrace.store import labels
from tailrace.store.labels import Labelled
from tailrace.wire.endpoints import ENDPOINTS

SHADOW_SHARE: Final = 0.5
"""Of the chains: they judge, the others teach. Audits are drawn among the first of them."""
MOST: Final = 50_000
"""Labels that are looked at, the newest."""
_TAUGHT: Final = (LabelSource.HUMAN, LabelSource.IMPORTED, LabelSource.LLM)
_WIRES: Final = {str(endpoint): wire for endpoint, wire in ENDPOINTS.items()}


@dataclass(frozen=True, slots=True)
class Judge:
    """A turn by which the student is judged, and what the model said of it."""

    seq: int  # of the label
    subject: Subject
    label: str
    completion: bytes


@dataclass(frozen=True, slots=True)
class Lessons:
    """`spread`: turns of drawn chains, labelled or not. `again`: how often the model, asked afresh, said the same."""

    items: list[Item]
    judges: list[Judge]
    spread: list[Subject]
    again: tuple[int, int]  # the same, of so many asked twice
    newest_seq: int


async def lessons(
    connection: AsyncConnection, ready: Ready, *, since_seq: int, shadow_until_seq: int | None
) -> Lessons:
    """All that the log has for this version."""
    taught = await _all(connection, ready, audits=False)
    audits = [one for one in await _all(connection, ready, audits=True) if judges_by(ready, one)]
    before = await labels_before(connection, ready, [one.completion for one in (*taught, *audits)])
    known = {one.completion.id: _word(one.label.label) for one in taught if one.label.source == LabelSource.LLM}
    items: list[Item] = []
    drawn: dict[bytes, list[tuple[Labelled, Subject]]] = {}
    spread: list[Subject] = []
    for one in taught:
        subject = _subject(ready, one, before)
        word = _word(one.label.label)
        if subject is None or word is None:
            continue
        if judges_by(ready, one):
            spread.append(subject)
            drawn.setdefault(one.completion.chain_key, []).append((one, subject))
        else:
            items.append(Item(subject, (word,), one.completion.chain_key))
    judges = _asked(ready, audits, before, since_seq)
    chains = {one.completion.chain_key for one in audits}
    judges += [
        judge
        for chain, some in drawn.items()
        if chain not in chains and (judge := _free(ready, some, since_seq, shadow_until_seq)) is not None
    ]
    same = [known[one.completion.id] == one.label.label for one in audits if known.get(one.completion.id)]
    newest = max((one.seq for one in (*taught, *audits)), default=0)
    judges.sort(key=lambda judge: judge.seq)
    return Lessons(items, judges, spread, (sum(same), len(same)), newest)


def judges_by(ready: Ready, one: Labelled) -> bool:
    """Whether a label's chain is one of those that judge; audits of a larger share judge rules, but no student."""
    return is_audited(one.completion.chain_key, ready.version, SHADOW_SHARE)


async def _all(connection: AsyncConnection, ready: Ready, *, audits: bool) -> list[Labelled]:
    found: list[Labelled] = []
    cursor, is_last = 0, False
    while not is_last:
        if audits:
            page = await labels.audits(connection, ready.name, after_seq=cursor, version=ready.version)
        else:
            page = await labels.training(
                connection, ready.name, after_seq=cursor, version=ready.version, sources=_TAUGHT
            )
        found += [one for one in page.items if isinstance(one.request, dict) and is_for(ready.settings, one.completion)]
        del found[:-MOST]
        cursor, is_last = page.cursor, page.is_last
        await connection.rollback()
    return found


def _asked(ready: Ready, audits: Sequence[Labelled], before: dict[int, str], since_seq: int) -> list[Judge]:
    found = []
    for one in audits:
        subject, word = _subject(ready, one, before), _word(one.label.label)
        if one.seq > since_seq and subject is not None and word is not None:
            found.append(Judge(one.seq, subject, word, one.completion.id))
    return found


def _free(
    ready: Ready, some: Sequence[tuple[Labelled, Subject]], since_seq: int, shadow_until_seq: int | None
) -> Judge | None:
    """The drawn turn of a chain, where the model's own label of it was given while the student was in shadow."""
    one, subject = min(some, key=lambda each: place(each[0].completion.id, ready.version))
    word = _word(one.label.label)
    is_shadow = shadow_until_seq is None or one.seq <= shadow_until_seq
    if one.label.source != LabelSource.LLM or word is None or not is_shadow or one.seq <= since_seq:
        return None
    return Judge(one.seq, subject, word, one.completion.id)


def _subject(ready: Ready, one: Labelled, before: dict[int, str]) -> Subject | None:
    settings, wire = ready.settings, _WIRES[one.completion.endpoint]
    subject = subject_of(one.request, wire, settings.context, role=settings.applies_to.role)
    if subject is None or not settings.context.previous_label:
        return subject
    parent = one.completion.parent
    return replace(subject, previous=None if parent is None else before.get(parent))


def _word(value: LabelValue) -> str | None:
    return value if isinstance(value, str) else None
