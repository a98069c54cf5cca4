"""The outcome of a call of our own: an answer or a reason, whatever came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.own import Completed, read_completed


def test_an_answer_and_the_id_of_its_row() -> None:
    done = read_completed(200, [(b"x-tailrace-id", b"abc")], b'{"choices":[]}')
    assert (done.answer, done.failure, done.id) == ({"choices": []}, None, "abc")
    assert not done.may_be_tried_again


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (429, b'{"error":{"message":"slow down"}}', "status 429: slow down"),
        (500, b'{"error":"flat"}', "status 500: flat"),
        (502, b"<html>", "status 502: <html>"),
        (500, b"[1]", "status 500: [1]"),
        (200, b"data: x", "the answer is no JSON"),
        (200, b"[1]", "the answer is no JSON object"),
    ],
)
def test_a_failure_says_why(status: int, body: bytes, failure: str) -> None:
    done = read_completed(status, [], body)
    assert (done.answer, done.failure) == (None, failure)


@pytest.mark.parametrize(
    ("status", "again"), [(None, True), (429, True), (503, True), (408, True), (400, False), (404, False), (200, False)]
)
def test_only_what_passes_is_worth_another_try(status: int | None, again: bool) -> None:
    assert Completed(status, None, "why").may_be_tried_again is again


@given(st.integers(100, 599), st.binary(max_size=400))
def test_no_body_breaks_it(status: int, body: bytes) -> None:
    done = read_completed(status, [], body)
    assert (done.answer is None) != (done.failure is None)
