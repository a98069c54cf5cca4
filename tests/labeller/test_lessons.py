"""What judges a student: turns that come to it, of chains that do not teach it, and only while audits go on."""

from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from tailrace.classify.audit import is_audited
from tailrace.classify.ready import Ready, learns, load
from tailrace.classify.student.terms import SHADOW_SHARE
from tailrace.labeller.lessons import LessonBook, Lessons
from tailrace.records import Label
from tailrace.settings_classifiers import Classifier
from tailrace.store import read
from tests.writer.filing import chat, store

CHAINS: Final = 16
AUDITED: Final = 0.4
CALLS: Final = [
    chat(n, [{"role": "user", "content": f"question {n}"}], {"role": "assistant", "content": f"answer {n}"})
    for n in range(CHAINS)
]


def made(**more: Any) -> Ready:
    told = {"labels": {"a": "", "b": ""}, "llm": {"model": "m"}, "audit_share": AUDITED, **more}
    return load("c", Classifier.model_validate(told))


def label(ready: Ready, id_: int, of: int, source: str, mode: str = "live", **more: Any) -> Label:
    told = {"classifier": "c", "version": ready.version, "label": "a", **more}
    return Label(UUID(int=id_), CALLS[of].id, at_us=id_, source=source, mode=mode, **told)


async def lessons(
    folder: Path, ready: Ready, *told: Label, until: int | None = 0, share: float = AUDITED
) -> tuple[Lessons, set[str]]:
    """With the texts of the chains within `share`. The student is live since before the first label."""
    async with store(folder) as (connection, ingest):
        await ingest.file(CALLS)
        await ingest.file([], labelled=told)
        rows = await read.by_id(connection, [call.id.bytes for call in CALLS])
        judging = {
            f"question {n}"
            for n, call in enumerate(CALLS)
            if is_audited(rows[call.id.bytes].chain_key, ready.version, share)
        }
        book = LessonBook(ready)
        assert await book.read(connection)
        return book.lessons(since_seq=0, shadow_until_seq=until), judging


@pytest.mark.parametrize("cascade", [("rules", "cache", "student", "llm"), ("student", "rules", "cache", "llm")])
async def test_an_audit_of_what_a_rule_or_the_cache_answered_judges_no_student(
    tmp_path: Path, cascade: tuple[str, ...]
) -> None:
    ready = made(cascade=cascade)
    sources = {n: ("rule", "cache", "student", "llm")[n % 4] for n in range(CHAINS)}
    told = [label(ready, n + 1, n, source) for n, source in sources.items()]
    told += [label(ready, 100 + n, n, "llm", "audit") for n in range(CHAINS)]
    found, judging = await lessons(tmp_path, ready, *told)
    comes = {f"question {n}" for n, source in sources.items() if source in ("student", "llm")}
    expected = judging & comes if cascade[0] == "rules" else judging
    assert expected
    assert {judge.subject.text for judge in found.judges} == expected
    assert judging - comes, "there is something to leave out"


async def test_a_rule_in_shadow_or_of_another_version_answered_nothing(tmp_path: Path) -> None:
    ready = made()
    told = [label(ready, n + 1, n, "rule", "shadow") for n in range(CHAINS)]
    told += [label(ready, 50 + n, n, "rule", version="before") for n in range(CHAINS)]
    told += [label(ready, 100 + n, n, "llm", "audit") for n in range(CHAINS)]
    found, judging = await lessons(tmp_path, ready, *told)
    assert {judge.subject.text for judge in found.judges} == judging


@pytest.mark.parametrize(("until", "share"), [(None, SHADOW_SHARE), (0, AUDITED)])
async def test_no_chain_judges_and_teaches_and_none_does_neither(
    tmp_path: Path, until: int | None, share: float
) -> None:
    ready = made()
    told = [label(ready, n + 1, n, "llm") for n in range(CHAINS)]
    told += [label(ready, 100 + n, n, "llm", "audit") for n in range(CHAINS)]
    found, judging = await lessons(tmp_path, ready, *told, until=until, share=share)
    assert {judge.subject.text for judge in found.judges} == judging
    assert {subject.text for subject in found.spread} == judging
    assert {item.subject.text for item in found.items} == {f"question {n}" for n in range(CHAINS)} - judging
    assert found.items, "there is something to learn from"


async def test_a_chain_that_began_in_shadow_judges_on_when_the_student_is_live(tmp_path: Path) -> None:
    ready = made()
    told = [label(ready, n + 1, n, "llm") for n in range(CHAINS)]
    shadow, _ = await lessons(tmp_path / "shadow", ready, *told, until=None, share=SHADOW_SHARE)
    half = shadow.newest_seq - CHAINS // 2
    live, _ = await lessons(tmp_path / "live", ready, *told, until=half, share=SHADOW_SHARE)
    assert live.judges == [judge for judge in shadow.judges if judge.seq <= half]
    teaching = {item.subject.text for item in live.items}
    assert not teaching & {judge.subject.text for judge in live.judges}
    assert teaching > {item.subject.text for item in shadow.items}


def test_without_audits_there_is_no_student() -> None:
    assert learns(made())
    assert not learns(made(audit_share=0))
    assert not learns(made(cascade=["rules", "llm"], rules=[{"label": "a", "any": ["x"]}]))
