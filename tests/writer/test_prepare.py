"""A completion taken apart without a store: what the columns say, what is kept raw, and that nothing stops it."""

import gzip
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.chains.names import Name
from tailrace.records import Attempt, Closed, Endpoint, Retried, Status, UsageSource
from tailrace.writer.prepare import UNKNOWN, prepare
from tailrace.writer.prepared import Prepared
from tailrace.writer.text import MAX_CHARS, column_number, column_text
from tests.writer.filing import chat, made, streamed

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "hi"}
ASK = orjson.dumps({"model": "m", "messages": [USER]})
FIRST = Attempt(1, 5, "a", "m1", Status.PROVIDER_ERROR, 500, "provider_status", 7)


def raws(item: Prepared) -> dict[str, str]:
    return {raw.side: raw.reason for raw in item.raws}


def test_a_plain_call_needs_no_raw_bytes() -> None:
    item = prepare(chat(1, [{"role": "system", "content": "s"}, USER], ANSWER))
    assert raws(item) == {}
    assert (item.answer.finish_reason, item.answer.id, len(item.request.path)) == ("stop", f"chatcmpl-{1:024d}", 1)
    assert [position for position, _ in item.request.system] == [0]
    assert item.first_choice is item.answer.choices[0]


def test_a_stream_is_filed_as_the_plain_answer_would_be() -> None:
    plain, stream = prepare(chat(1, [USER], ANSWER)), prepare(streamed(1, [USER], ANSWER))
    assert raws(stream) == {}
    assert stream.answer.choices[0].links == plain.answer.choices[0].links
    assert stream.answer.choices[0].messages == plain.answer.choices[0].messages
    assert stream.answer.finish_reason == plain.answer.finish_reason


@pytest.mark.parametrize(
    ("body", "changes", "reason"),
    [
        (b"<html>", {}, "not JSON"),
        (b"null", {}, "nothing to rebuild"),
        (b'{"a":1,"a":2}', {}, "not exactly representable"),
        (b'{"a":0e99999999999999999999}', {}, "not exactly representable"),
        (b"\xff", {"content_encoding": "br"}, "not decoded: unknown coding 'br'"),
        (gzip.compress(b'{"id":"a rather long id"}', mtime=0)[:30], {"content_encoding": "gzip"}, "not JSON"),
        (b'data: {"choices":[\n\n', {"content_type": "text/event-stream"}, "an event is not JSON"),
        (b"", {}, None),
        (gzip.compress(b'{"id":"x"}', mtime=0), {"content_encoding": "gzip"}, None),
    ],
)
def test_answers_that_keep_their_bytes(body: bytes, changes: dict[str, Any], reason: str | None) -> None:
    closed = made(1, ASK, body)
    assert closed.end is not None
    item = prepare(replace(closed, end=replace(closed.end, **changes)))
    assert raws(item) == ({} if reason is None else {"answer": reason})
    assert [raw.body for raw in item.raws] == [body] * (reason is not None), "as it came, its coding included"


@pytest.mark.parametrize("side", ["request", "answer", "both"])
def test_what_the_client_keeps_from_the_log_is_not_mourned(side: str) -> None:
    closed = made(1, b"", b"", omits=side)
    assert raws(prepare(closed)) == ({} if side != "answer" else {"request": "not JSON"})


@pytest.mark.parametrize("role", [[], {}, None, 7, ["system"], {"system": 1}, "tool", ""])
def test_a_role_that_is_no_word_is_kept_in_the_path(role: Any) -> None:
    item = prepare(made(1, orjson.dumps({"messages": [{"role": role, "content": "x"}, USER]}), b"{}"))
    assert len(item.request.path) == 2
    assert raws(item) == {}


DEEP = [(b"[" * n + b"1" + b"]" * n, n) for n in (60, 70, 250, 260, 600, 1000, 1024, 5000)]
DEEP += [(b'{"a":' * n + b"1" + b"}" * n, n) for n in (60, 70, 250, 260, 600, 1000, 1024, 5000)]
PLACES = [
    b"%s", b'{"id":"x","choices":[{"message":{"role":"assistant","content":%s}}]}', b'{"id":%s}', b'{"usage":%s}',
    b'{"choices":%s,"error":%s}', b'{"role":"assistant","content":[%s]}', b'{"output":[%s]}',
    b'{"messages":[{"role":"user","content":%s}]}', b'{"messages":%s,"tools":[%s]}', b'{"input":[%s]}',
    b'{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":%s}}]}]}',
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.RESPONSES, Endpoint.OTHER])
def test_no_depth_stops_it(place: bytes, endpoint: Endpoint) -> None:
    for value, depth in DEEP:
        body = place % ((value,) * place.count(b"%s"))
        event = b"event: error\ndata: " + body + b"\n\n"
        prepare(made(1, body, event + event, endpoint=endpoint, content_type="text/event-stream"))
        item = prepare(made(1, body, body, endpoint=endpoint))
        if depth >= 260:
            assert set(raws(item)) >= {"request", "answer"}
        elif depth < 250:
            assert not set(raws(item)) & {"request", "answer"}


WORDS = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "tools",
        "system",
        "role",
        "content",
        "type",
        "text",
        "choices",
        "message",
        "index",
        "delta",
        "finish_reason",
        "usage",
        "error",
        "output",
        "id",
        "tool_calls",
        "function",
        "arguments",
        "name",
        "part",
        "item",
        "response",
        "content_block",
        "stop_reason",
        "status",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "text", "assistant", "system", "\x00", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=300)
@given(
    endpoint=st.sampled_from([*Endpoint, "unheard-of"]),
    dialect=st.sampled_from(["openai", "anthropic", "gemini", "unheard-of"]),
    asked=ODD,
    answers=st.lists(ODD, max_size=3),
    is_stream=st.booleans(),
    status=st.sampled_from([200, 429]),
)
def test_no_shape_stops_it(
    endpoint: Any, dialect: str, asked: Any, answers: list[Any], is_stream: bool, status: int
) -> None:
    """`Endpoint.CHAT` with words of `MESSAGES`, lists where objects should be, and so on."""
    bodies = [json.dumps(answer) for answer in answers]
    body = "".join(f"data: {one}\n\n" for one in bodies) if is_stream else "".join(bodies)
    kind = "text/event-stream" if is_stream else "application/json"
    closed = made(1, json.dumps(asked).encode(), body.encode(), endpoint=endpoint, dialect=dialect, content_type=kind)
    assert closed.end is not None
    assert closed.end.last is not None
    prepare(replace(closed, end=replace(closed.end, last=replace(closed.end.last, http_status=status))))


def test_choices_in_an_answer_of_another_kind_are_no_choices() -> None:
    body = orjson.dumps({"role": "assistant", "content": [], "choices": [], "stop_reason": "end_turn"})
    item = prepare(made(1, ASK, body, endpoint=Endpoint.MESSAGES, dialect="anthropic"))
    assert [choice.finish_reason for choice in item.answer.choices] == [item.answer.finish_reason]


def test_each_choice_has_its_own_reason() -> None:
    choices = [{"message": ANSWER, "finish_reason": reason} for reason in ("stop", "length", None)]
    item = prepare(made(1, ASK, orjson.dumps({"choices": [{"x": 1}, *choices]})))
    assert [(one.index, one.finish_reason) for one in item.answer.choices] == [(1, "stop"), (2, "length"), (3, None)]
    assert item.first_choice is None


def interrupted(*retries: Retried) -> Closed:
    return replace(chat(1, [USER], ANSWER), end=None, end_stamp=None, retries=retries)


def test_how_the_last_attempt_of_a_call_whose_relay_died_ended_is_unknown() -> None:
    one, two = prepare(interrupted()), prepare(interrupted(Retried(2, 6, "b", "m2", FIRST)))
    assert [(attempt.n, attempt.provider, attempt.outcome) for attempt in one.attempts] == [(1, "up", UNKNOWN)]
    assert two.attempts == (FIRST, Attempt(2, 6, "b", "m2", UNKNOWN))
    assert one.ended_us == one.closed.start.at_us


def test_attempts_that_ended_are_told_in_order_and_a_refused_call_has_none() -> None:
    closed = chat(1, [USER], ANSWER)
    assert closed.end is not None
    item = prepare(replace(closed, retries=(Retried(2, 6, "b", "m2", FIRST),)))
    assert item.attempts == (FIRST, closed.end.last)
    assert prepare(replace(closed, end=replace(closed.end, last=None))).attempts == ()
    assert item.ended_us == closed.start.at_us + closed.end.duration_us


def test_a_name_takes_the_place_of_the_words() -> None:
    asked = {"input": [USER, ANSWER, USER], "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}}
    item = prepare(made(1, orjson.dumps(asked), b'{"id":"resp_2","output":[]}', endpoint=Endpoint.RESPONSES))
    assert item.parent == Name("answer", "resp_1")
    assert (item.links.parent, item.links.pair, item.links.earlier) == (item.parent.link, None, ())
    assert set(item.names) == {Name("answer", "resp_2"), Name("conversation", "conv_1")}


def test_counts_that_came_are_used_and_others_are_marked() -> None:
    told = prepare(made(1, ASK, orjson.dumps({"choices": [{"message": ANSWER}], "usage": {"prompt_tokens": 3}})))
    assert (told.answer.usage.source, told.answer.usage.input_tokens) == (UsageSource.PROVIDER, 3)
    assert prepare(chat(1, [USER], ANSWER)).answer.usage.source == UsageSource.ESTIMATED
    assert prepare(made(1, ASK, b'{"error":{}}')).answer.usage.source == UsageSource.NONE


def test_text_is_as_a_column_can_hold_it() -> None:
    assert column_text(None) is None
    assert column_text("plain") == "plain"
    assert column_text("a\x00b\ud83dc") == "a\ufffdb\ufffd\ufffd\ufffdc"
    assert column_text("é" * 2000) == "é" * MAX_CHARS
    assert column_text("x" * 9, max_chars=4) == "xxxx"


@given(st.text(st.characters(), max_size=600))
def test_any_text_is_utf_8_without_nul_and_what_was_so_stays(text: str) -> None:
    found = column_text(text)
    assert found is not None
    assert "\x00" not in found
    found.encode()
    if len(text) <= MAX_CHARS and "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text):
        assert found == text


@pytest.mark.parametrize(("number", "held"), [(0, 0), (2**63 - 1, 2**63 - 1), (2**63, None), (-1, None), (None, None)])
def test_a_number_is_one_that_a_column_can_hold(number: int | None, held: int | None) -> None:
    assert column_number(number) == held
