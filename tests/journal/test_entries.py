"""Record headers: a round trip, None left out, newer writers and older readers."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.journal import entries
from tailrace.journal.frames import Kind
from tailrace.records import (
    Action,
    Attempt,
    Definition,
    End,
    Gap,
    Label,
    Labelled,
    Retried,
    Start,
    StudentChange,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
INT = st.integers(-(2**63), 2**63 - 1)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


ATTEMPTS = st.builds(
    Attempt, n=INT, at_us=INT, provider=TEXT, model=TEXT, outcome=TEXT, http_status=some(INT), error=some(TEXT),
    duration_us=some(INT),
)  # fmt: skip
STARTS = st.builds(
    Start, at_us=INT, project=TEXT, endpoint=TEXT, provider=TEXT, model=TEXT, sent_model=TEXT, stream=st.booleans(),
    step=INT, origin=TEXT, key=some(TEXT), session=some(TEXT), user=some(TEXT),
    tags=some(st.dictionaries(TEXT, TEXT, max_size=3)), config=some(TEXT),
)  # fmt: skip
RETRIES = st.builds(Retried, n=INT, at_us=INT, provider=TEXT, model=TEXT, previous=ATTEMPTS)
ENDS = st.builds(
    End, at_us=INT, status=TEXT, last=some(ATTEMPTS), http_status=some(INT), error=some(TEXT), content_type=some(TEXT),
    content_encoding=some(TEXT), provider_request_id=some(TEXT), answer_bytes=INT, first_byte_us=some(INT),
    duration_us=INT, overhead_us=some(INT),
)  # fmt: skip
GAPS = st.builds(Gap, at_us=INT, owner=TEXT, calls=INT, reason=TEXT)


@given(STARTS, RETRIES, ENDS, GAPS)
def test_records_come_back_as_they_were(start: Start, retried: Retried, end: End, gap: Gap) -> None:
    assert entries.decode_start(entries.encode_start(start)) == start
    assert entries.decode_retried(entries.encode_retried(retried)) == retried
    assert entries.decode_end(entries.encode_end(end)) == end
    assert entries.decode_gap(entries.encode_gap(gap)) == gap


IDS = st.uuids()
VALUES = TEXT | st.lists(TEXT, max_size=3).map(tuple) | st.dictionaries(TEXT, INT | TEXT, max_size=3)
ANY_LABELLED = st.one_of(
    st.builds(
        Label, id=IDS, completion=IDS, at_us=INT, classifier=TEXT, version=TEXT, source=TEXT, label=some(VALUES),
        mode=TEXT, confidence=some(st.floats(0, 1)), latency_us=some(INT), error=some(TEXT), note=some(TEXT),
        who=some(TEXT),
    ),
    st.builds(
        Action, id=IDS, completion=IDS, at_us=INT, classifier=TEXT, version=TEXT, label=TEXT, do=TEXT, key=TEXT,
        outcome=TEXT, target=some(TEXT), dry_run=st.booleans(), attempts=INT, error=some(TEXT),
    ),
    st.builds(Definition, at_us=INT, classifier=TEXT, version=TEXT, definition=VALUES),
    st.builds(
        StudentChange, id=IDS, at_us=INT, classifier=TEXT, version=TEXT, number=INT, state=TEXT, reason=TEXT,
        threshold=some(st.floats(0, 1)), coverage=some(st.floats(0, 1)),
        counts=some(st.dictionaries(TEXT, INT, max_size=3)), file=some(TEXT),
    ),
)  # fmt: skip


@given(ANY_LABELLED)
def test_what_the_classifiers_write_down_comes_back(said: Labelled) -> None:
    if isinstance(said, Definition) and isinstance(said.definition, tuple):
        said = replace(said, definition=list(said.definition))  # JSON as such
    assert entries.decode_labelled(*entries.encode_labelled(said)) == said


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b'{"id":"x"}',
        b'{"id":7}',
        b'{"id":null,"at_us":1}',
        b'{"at_us":1}',
        b'{"at_us":"1","classifier":"c","version":"v","definition":1}',
        b'{"at_us":true,"classifier":"c","version":"v","definition":1}',
    ],
)
@pytest.mark.parametrize("kind", entries.LABELLED)
def test_what_is_no_such_label_is_unreadable(kind: Kind, header: bytes) -> None:
    with pytest.raises(entries.Unreadable):
        entries.decode_labelled(kind, header)


def test_what_is_none_takes_no_room() -> None:
    end = End(at_us=1, status="ok", last=None, http_status=None)
    assert orjson.loads(entries.encode_end(end)) == {"at_us": 1, "status": "ok", "answer_bytes": 0, "duration_us": 0}


def test_a_key_of_a_newer_version_is_passed_over() -> None:
    gap = Gap(1, "o", 2, "r")
    header = orjson.dumps({**orjson.loads(entries.encode_gap(gap)), "colour": "blue"})
    assert entries.decode_gap(header) == gap


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"1", b"{}", b'{"at_us": 1}', b"\xff"])
def test_what_is_no_such_record_is_unreadable(header: bytes) -> None:
    for decode in (entries.decode_start, entries.decode_retried, entries.decode_end, entries.decode_gap):
        with pytest.raises(entries.Unreadable):
            decode(header)


def test_an_attempt_inside_must_be_one_too() -> None:
    with pytest.raises(entries.Unreadable):
        entries.decode_end(b'{"at_us": 1, "status": "ok", "last": 7}')
