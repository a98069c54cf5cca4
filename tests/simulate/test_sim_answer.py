"""What a model is asked and what it answers, as values."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace.simulate import chat
from tailrace.simulate.answer import (
    Answer,
    Asked,
    BadRequest,
    Counts,
    Reports,
    Said,
    Stamp,
    Tool,
    at_least,
    call_tools,
    counted,
    counts_of,
    echo,
    limited,
    tokens,
    words,
)

STAMP = Stamp(7, 1_700_000_000)


def asked(**more: Json) -> Asked:
    """A question over the chat wire."""
    return chat.read({"model": "sim/echo", "messages": [{"role": "user", "content": "Hello dear world"}], **more})


def folded(events: list[Json], index: int = 0) -> str:
    """The text of one choice of a stream."""
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@given(st.text())
def test_words_lose_nothing(text: str) -> None:
    assert "".join(words(text)) == text
    assert all(words(text))


@given(st.integers(0, 200))
def test_counted_texts_have_so_many_words(n: int) -> None:
    assert len(list(words(counted(n)))) == n


@given(st.text(), st.integers(0, 50))
def test_a_text_is_lengthened_to_so_many_words_at_least(text: str, n: int) -> None:
    longer = at_least(text, n)
    assert len(list(words(longer))) >= n
    assert longer.startswith(text.strip())


@pytest.mark.parametrize(("text", "n"), [(None, 0), ("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens(text: str | None, n: int) -> None:
    assert tokens(text) == n


@given(st.text(), st.integers(1, 5))
def test_stream_and_document_say_the_same(text: str, choices: int) -> None:
    question = asked(n=choices, stream=True, stream_options={"include_usage": True})
    answer = Answer(text)
    whole = chat.document(question, answer, STAMP)
    *events, last = chat.events(question, answer, STAMP)
    for index in range(choices):
        assert whole["choices"][index]["message"]["content"] == text
        assert folded(events, index) == text
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert all(event["usage"] is None for event in events)


def test_usage_counts_each_choice_and_adds_up() -> None:
    question = asked(n=3)
    counts = counts_of(question, Answer("four", reasoning="eight888"))
    assert counts == Counts(prompt=4 + 4, completion=3 * (1 + 2), reasoning=3 * 2)
    usage = chat.document(question, Answer("four"), STAMP)["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("reports", Reports)
def test_usage_is_told_as_often_as_asked(reports: Reports) -> None:
    question = asked(stream=True, stream_options={"include_usage": True})
    told = [event for event in chat.events(question, Answer("a", reports=reports), STAMP) if event["usage"]]
    assert len(told) == reports.value


def test_a_stream_that_was_not_asked_for_usage_has_none() -> None:
    assert not [event for event in chat.events(asked(stream=True), Answer("a"), STAMP) if "usage" in event]


def test_a_stream_begins_with_the_role_and_ends_with_the_reason() -> None:
    events = list(chat.events(asked(stream=True), Answer("a b"), STAMP))
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, None, "stop"]
    assert {event["id"] for event in events} == {"chatcmpl-sim" + "7".zfill(26)}


def test_the_allowed_tokens_cut_the_text() -> None:
    assert limited(asked(max_tokens=2), Answer("12345678901")) == Answer("12345678", finish="length")
    assert limited(asked(max_completion_tokens=3), Answer("123456789012")) == Answer("123456789012")


def test_only_the_newest_user_text_is_echoed() -> None:
    question = Asked("m", (Said("user", "a"), Said("assistant", "b"), Said("user", "c"), Said("system", "d")))
    assert echo(question).text == "c"
    assert echo(Asked("m", (Said("system", "d"),))).text == ""


def test_parts_are_text_and_developers_are_the_system() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "b"},
    ]
    question = chat.read({"model": "m", "messages": [{"role": "developer", "content": parts}]})
    assert question.messages == (Said("system", "ab"),)


def test_tools_are_called_with_arguments_their_schema_allows() -> None:
    properties = {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"enum": ["C", "F"]},
        "exact": {"type": "boolean"},
        "odd": {"type": ["string", "null"]},
    }
    question = Asked("m", (Said("user", "Rome"),), tools=(Tool("weather", {"properties": properties}), Tool("b", None)))
    answer = call_tools(question, 1)
    assert (answer.text, answer.finish) == (None, "tool_calls")
    assert [call.name for call in answer.calls] == ["weather"]
    given_arguments = {"city": "Rome", "days": 1, "unit": "C", "exact": True, "odd": None}
    assert orjson.loads(answer.calls[0].arguments) == given_arguments
    assert [call.name for call in call_tools(question, 5).calls] == ["weather", "b"]


def test_a_tools_result_is_told() -> None:
    question = Asked("m", (Said("user", "Rome"), Said("tool", "18 C")), tools=(Tool("weather", None),))
    assert call_tools(question, 1) == Answer("The tool answered: 18 C")


def test_streamed_arguments_are_the_whole_ones() -> None:
    question = Asked(
        "m", (Said("user", "Rome " * 9),), stream=True, tools=(Tool("w", {"properties": {"a": {"type": "string"}}}),)
    )
    answer = call_tools(question, 1)
    deltas = [event["choices"][0]["delta"] for event in chat.events(question, answer, STAMP)]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [("id" in call) for call in calls] == [True, *[False] * (len(calls) - 1)]
    assert "".join(call["function"]["arguments"] for call in calls) == answer.calls[0].arguments
    assert len(calls) > 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "model"),
        ({"model": 3, "messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": ["hi"]}, "messages"),
        ({"model": "m", "messages": [{"role": "user"}], "n": 0}, "n"),
        ({"model": "m", "messages": [{"role": "user"}], "n": 10**9}, "n"),
        ({"model": "m", "messages": [{"role": "user"}], "n": True}, "n"),
        ({"model": "m", "messages": [{"role": "user"}], "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "messages": [{"role": "user"}], "max_tokens": "10"}, "max_tokens"),
        ({"model": "m", "messages": [{"role": "user"}], "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ],
)
def test_bad_requests_name_the_parameter(body: Json, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        chat.read(body)
    assert caught.value.param == param


def test_log_probabilities_cover_the_text_in_both_forms() -> None:
    question = asked(stream=True, logprobs=True, top_logprobs=2)
    whole = chat.document(question, Answer("a b"), STAMP)["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in whole] == ["a", " b"]
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 2 for entry in whole)
    streamed = [event["choices"][0]["logprobs"] for event in chat.events(question, Answer("a b"), STAMP)]
    assert [entry for told in streamed if told for entry in told["content"]] == whole
