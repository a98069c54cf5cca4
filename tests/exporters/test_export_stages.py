"""The small stages and the bookkeeping: filter, dedupe, ledger, Merkle root, files, progress."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import WorkFailed
from tailrace.records import Status
from tailrace_exporters.dedupe import Twins, content_of
from tailrace_exporters.files import new_folder
from tailrace_exporters.filter import refuse
from tailrace_exporters.ledger import Ledger
from tailrace_exporters.lines import json_line
from tailrace_exporters.manifest import Merkle
from tailrace_exporters.progress import shown
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import Filter
from tailrace_exporters.rows import Kind, Row, Stage, id_text, teacher
from tests.exporters.logged import Call, completion_id, opened, said, user
from tests.exporters.pure import export


@pytest.mark.parametrize(
    ("status", "finish", "rule", "reason"),
    [
        ("ok", "stop", Filter(), None),
        ("ok", "tool_calls", Filter(), None),
        ("ok", "length", Filter(), "finish:length"),
        ("ok", None, Filter(), "finish:none"),
        ("client_closed", "stop", Filter(), "status:client_closed"),
        ("client_closed", None, Filter(status=(Status.CLIENT_CLOSED,), finish=("none",)), None),
    ],
)
def test_filter(status: str, finish: str | None, rule: Filter, reason: str | None) -> None:
    assert refuse(opened(1, status=status, finish_reason=finish), rule) == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"endpoint": "messages"}, "endpoint:messages"),
        ({"endpoint": "other", "status": "client_closed"}, "endpoint:other"),
        ({"omits": "both"}, "omitted"),
        ({"provider": "cache"}, "cached"),
    ],
)
def test_what_cannot_be_a_row_is_counted(fields: dict[str, str], reason: str) -> None:
    assert refuse(opened(1, **fields), Filter()) == reason


def row(call: Call, **fields: object) -> Row:
    made = Row(call, call.conversation, None, None, None, (False, False, True), (call,))
    return replace(made, **fields)  # type: ignore[arg-type]  # the fields of Row


def test_a_row_is_its_messages_tools_and_marks_and_nothing_else() -> None:
    first = row(opened(1, "q", "a"))
    assert content_of(first) == content_of(row(opened(2, "q", "a"), response_format={"type": "text"}))
    assert content_of(first) != content_of(row(opened(1, "q", "b")))
    assert content_of(first) != content_of(replace(first, tools=[{}]))
    assert content_of(first) != content_of(replace(first, train=(False, False, False)))


def test_the_first_of_equal_rows_wins_unless_it_went_nowhere() -> None:
    twins = Twins()
    assert twins.first(b"a" * 32, 1) is None
    assert twins.first(b"a" * 32, 2) == 1
    assert twins.written(b"a" * 32, 2, 1) == 1
    twins.vacate(b"a" * 32)
    assert twins.first(b"a" * 32, 3) == 1
    assert twins.written(b"a" * 32, 3, 1) == 3
    assert twins.written(b"a" * 32, 4, 1) == 3
    twins.vacate(b"a" * 32)
    assert twins.written(b"a" * 32, 5, 1) == 5


def test_a_row_that_json_cannot_carry_is_dropped_with_its_reason() -> None:
    log = {1: (Call(1, [user("q") | {"n": 2**70}], said("a")), None), 2: (opened(2), None)}
    pipeline, placed = export(log, Recipe())
    assert [each.row.head.seq for each in placed] == [2]
    assert pipeline.ledger.stages[Stage.DEDUPE].dropped == {"unencodable": 1}


@pytest.mark.parametrize("stage", STAGES := (Stage.FILTER, Stage.ASSEMBLE, Stage.DEDUPE, Stage.SPLIT))
def test_counts_that_do_not_add_up_fail_the_export(stage: Stage) -> None:
    ledger = Ledger(STAGES, ("openai-chat",))
    ledger.check()
    ledger.stages[stage].came += 1
    with pytest.raises(WorkFailed, match=f"stage {stage} do not add up"):
        ledger.check()
    ledger.stages[stage].came -= 1
    ledger.formats["openai-chat"].went += 1
    with pytest.raises(WorkFailed, match="format openai-chat do not add up"):
        ledger.check()
    ledger.formats["openai-chat"].went -= 1
    ledger.kinds[Kind.CONVERSATION] += 1
    ledger.formats["openai-chat"].came = ledger.formats["openai-chat"].went = 1
    with pytest.raises(WorkFailed, match="the last stage gave 0 rows, and 1 were written"):
        ledger.check()


@given(st.lists(st.binary(min_size=1, max_size=4), max_size=40))
def test_the_merkle_root_is_that_of_rfc_6962(leaves: list[bytes]) -> None:
    def root(some: list[bytes]) -> bytes:
        if len(some) < 2:
            return hashlib.sha256(b"\0" + some[0] if some else b"").digest()
        half = 1
        while half * 2 < len(some):
            half *= 2
        return hashlib.sha256(b"\1" + root(some[:half]) + root(some[half:])).digest()

    merkle = Merkle()
    for leaf in leaves:
        merkle.add(leaf)
    assert (merkle.count, merkle.root()) == (len(leaves), root(leaves))


def test_words_for_people() -> None:
    assert id_text(completion_id(3).bytes) == str(completion_id(3))
    assert teacher(opened(1)) == "openai/gpt-5-2026"
    assert teacher(opened(1, served_model=None)) == "openai/gpt-5"
    assert json_line({"a": "\u2028\u0085x\u2029"}) == b'{"a":"\\u2028\\u0085x\\u2029"}\n'


def test_a_full_disk_fails_the_work_and_leaves_nothing(tmp_path: Path) -> None:
    def full() -> None:
        with new_folder(tmp_path / "out") as files:
            files.write("a.jsonl", b"{}\n")
            raise OSError(28, "No space left on device")

    with pytest.raises(WorkFailed, match=r"out: cannot be written \(No space left on device\); free space"):
        full()
    assert not list(tmp_path.iterdir())


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(quiet=False) as progress:
        for done in (1, 99_999, 100_000, 150_000, 200_000):
            progress("rows", done, 250_000)
    with shown(quiet=True) as progress:
        progress("rows", 100_000, 250_000)
    told = capsys.readouterr()
    assert told.err == "rows: 100,000 of 250,000 completions\nrows: 200,000 of 250,000 completions\n"
    assert told.out == ""


@settings(max_examples=20)
@given(st.lists(st.integers(0, 400), max_size=60), st.integers(0, 2))
def test_the_table_of_twins_is_a_dict(numbers: list[int], spread: int) -> None:
    """Also when it grows, and when many hashes begin at one slot."""
    twins = Twins()
    first: dict[int, int] = {}
    for seq, number in enumerate([*range(1000, 1000 + 800 * spread), *numbers], 1):
        hash_ = (number << 64 | number % 97).to_bytes(16, "big") + bytes(16)
        known = first.setdefault(number, seq)
        assert twins.first(hash_, seq) == (None if known == seq else known)
