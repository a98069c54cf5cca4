"""A folded stream is the answer a plain call would have had."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.wire.endpoint import Folded
from tailrace.wire.fold import fold_chat, fold_completions
from tailrace.wire.scan import StreamScan
from tailrace.wire.sse import Splitter

TOP = {"id": "chatcmpl-1", "created": 7, "model": "m", "system_fingerprint": "f"}
DONE = b"data: [DONE]\n\n"


def _event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chunk(delta: Any, *, index: Any = 0, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return _event({**TOP, "object": "chat.completion.chunk", "choices": [choice]})


def _fold(*events: bytes) -> Folded:
    return fold_chat(b"".join((*events, DONE)))


def _message(*events: bytes) -> dict[str, Any]:
    folded = _fold(*events)
    assert folded.lossless, folded.reason
    assert folded.answer is not None
    message: dict[str, Any] = folded.answer["choices"][0]["message"]
    return message


def test_text_usage_and_the_last_word() -> None:
    folded = _fold(
        _chunk({"role": "assistant", "content": "", "refusal": None}),
        _chunk({"content": "Hel"}),
        _chunk({"content": "lo"}),
        _chunk({}, finish="stop"),
        _event({**TOP, "choices": [], "usage": {"prompt_tokens": 1}, "service_tier": "default", "obfuscation": "xx"}),
    )
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    assert folded == Folded(
        answer={
            **TOP,
            "object": "chat.completion",
            "service_tier": "default",
            "usage": {"prompt_tokens": 1},
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        },
        terminal=True,
        error=None,
        lossless=True,
    )


def test_choices_by_index() -> None:
    folded = _fold(_chunk({"content": "b"}, index=1), _chunk({"content": "a"}), _chunk({"content": "B"}, index=1))
    assert folded.answer is not None
    assert [(one["index"], one["message"]["content"]) for one in folded.answer["choices"]] == [(0, "a"), (1, "bB")]


def test_tool_calls_by_index() -> None:
    message = _message(
        _chunk({"role": "assistant", "content": None}),
        _chunk(
            {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]}
        ),
        _chunk(
            {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}}]}
        ),
        _chunk(
            {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "1"}}]}
        ),
    )
    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "1"}},
        ],
    }


def test_tool_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    message = _message(
        _chunk({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
        _chunk(
            {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{"}}, {"function": {"arguments": "}"}}]}
        ),
    )
    assert [(call["id"], call["function"]["arguments"]) for call in message["tool_calls"]] == [("a", "{}"), ("b", "{}")]


def test_what_else_comes_in_pieces() -> None:
    message = _message(
        _chunk({"refusal": "I ca", "reasoning": "hm", "reasoning_content": "x", "function_call": {"name": "f"}}),
        _chunk({"refusal": "n't", "reasoning": "m", "reasoning_content": "y", "function_call": {"arguments": "{"}}),
        _chunk({"function_call": {"arguments": "}"}, "annotations": [{"type": "url_citation"}], "new_field": "a"}),
        _chunk({"annotations": [{"type": "file"}], "new_field": "b", "number": 1}),
        _chunk({"audio": {"id": "au", "data": "QUJD", "transcript": "a"}, "number": 2}),
        _chunk({"audio": {"data": "REVG", "transcript": "b", "expires_at": 9}}),
    )
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": "I can't",
        "reasoning": "hmm",
        "reasoning_content": "xy",
        "function_call": {"name": "f", "arguments": "{}"},
        "annotations": [{"type": "url_citation"}, {"type": "file"}],
        "new_field": "ab",
        "number": 2,
        "audio": {"id": "au", "data": "QUJDREVG", "transcript": "ab", "expires_at": 9},
    }


def test_logprobs_are_appended() -> None:
    folded = _fold(
        _chunk({"content": "a"}, logprobs={"content": [{"token": "a", "logprob": -0.5}], "refusal": None}),
        _chunk({"content": "b"}, logprobs={"content": [{"token": "b", "logprob": -1.25e-05}], "refusal": None}),
        _chunk({}, logprobs=None, finish="length"),
    )
    assert folded.lossless
    assert folded.answer is not None
    choice = folded.answer["choices"][0]
    assert [one["token"] for one in choice["logprobs"]["content"]] == ["a", "b"]
    assert choice["logprobs"]["refusal"] is None
    assert choice["finish_reason"] == "length"


def test_what_stands_beside_the_deltas() -> None:
    folded = _fold(
        _chunk({"content": "a"}, token_ids=[1], stop_reason=None, content_filter_results={"hate": {"filtered": False}}),
        _chunk({"content": "b"}, token_ids=[2, 3], content_filter_results={}),
        _chunk({}, stop_reason=7, token_ids=None, finish="stop"),
    )
    assert folded.lossless
    assert folded.answer is not None
    choice = folded.answer["choices"][0]
    assert (choice["token_ids"], choice["stop_reason"], choice["content_filter_results"]) == ([1, 2, 3], 7, {})


def test_reasoning_in_the_words_of_several_providers() -> None:
    details = [{"type": "reasoning.text", "text": "h", "index": 0}]
    message = _message(
        _chunk({"reasoning": "h", "reasoning_content": "h", "reasoning_details": details}),
        _chunk({"reasoning": "m", "reasoning_content": "m", "reasoning_details": [{"text": "m", "index": 0}]}),
        _chunk({"provider_specific_fields": {"a": 1}}),
        _chunk({"provider_specific_fields": {"a": 1, "b": 2}}),
    )
    assert (message["reasoning"], message["reasoning_content"]) == ("hm", "hm")
    assert message["reasoning_details"] == [*details, {"text": "m", "index": 0}]
    assert message["provider_specific_fields"] == {"a": 1, "b": 2}


def test_text_completions() -> None:
    top = {**TOP, "object": "text_completion"}

    def chunk(text: Any, index: int = 0, **more: Any) -> bytes:
        choice = {"text": text, "index": index, "logprobs": None, "finish_reason": None}
        return _event({**top, "choices": [choice | more], "usage": None})

    def logprobs(token: str, at: int) -> dict[str, Any]:
        return {"tokens": [token], "token_logprobs": [-0.5], "top_logprobs": [{token: -0.5}], "text_offset": [at]}

    folded = fold_completions(
        chunk("He", logprobs=logprobs("He", 0))
        + chunk("x", 1)
        + chunk("llo", logprobs=logprobs("llo", 2))
        + chunk("", finish_reason="stop")
        + _event({**top, "choices": [], "usage": {"prompt_tokens": 1}})
        + DONE
    )
    assert folded.lossless, folded.reason
    assert folded.answer == {
        **top,
        "usage": {"prompt_tokens": 1},
        "choices": [
            {
                "index": 0,
                "text": "Hello",
                "finish_reason": "stop",
                "logprobs": {
                    "tokens": ["He", "llo"],
                    "token_logprobs": [-0.5, -0.5],
                    "top_logprobs": [{"He": -0.5}, {"llo": -0.5}],
                    "text_offset": [0, 2],
                },
            },
            {"index": 1, "text": "x", "finish_reason": None, "logprobs": None},
        ],
    }
    assert not fold_completions(chunk(["x"])).lossless
    assert fold_completions(chunk(None)).lossless


def test_a_stream_that_was_cut() -> None:
    whole = fold_chat(_chunk({"content": "a"}) + _chunk({"content": "b"})[:-1])
    assert (whole.terminal, whole.lossless) == (False, True)
    assert whole.answer is not None
    assert whole.answer["choices"][0]["message"]["content"] == "ab"
    cut = fold_chat(_chunk({"content": "a"}) + b'data: {"id":')
    assert (cut.lossless, cut.reason) == (False, "the stream ends inside an event")
    assert fold_chat(b"") == Folded(None, False, None, True)


def test_errors_in_the_stream() -> None:
    folded = fold_chat(_chunk({"content": "a"}) + _event({"error": {"message": "x"}}))
    assert folded.error == {"message": "x"}
    assert folded.lossless
    assert fold_chat(_event({"error": "x"})).answer is None
    assert fold_chat(b'event: error\ndata: {"message":"y"}\n\n').error == {"message": "y"}
    named = fold_chat(b"event: error\ndata: broken\n\n")
    assert (named.error, named.lossless) == ("broken", False)
    assert not _fold(_event({"error": "x"}), _event({"error": "y"})).lossless
    assert _fold(_event({"error": "x"}), _event({"error": "x"})).lossless


def test_errors_nested_without_end_are_compared_without_recursion() -> None:
    deep = b'data: {"error":' + b"[" * 1000 + b"]" * 1000 + b"}\n\n"
    assert fold_chat(deep + deep).reason == "an event cannot be proven to be rebuilt from its JSON"


@pytest.mark.parametrize(
    "event",
    [
        b"data: {broken\n\n",
        b"data:\n\n",
        b"data: [1]\n\n",
        b'data: {"id":"a","id":"a"}\n\n',
        b'data: {"created":123456789012345678901234567890}\n\n',
        b'data: {"id":"\xff"}\n\n',
        b"event: other\n" + _chunk({"content": "x"}),
        _event({"choices": {}}),
        _event({"choices": [7]}),
        _chunk({"content": "x"}, index=10**9),
        _chunk({"content": "x"}, index=-1),
        _chunk({"content": "x"}, index="0"),
        _chunk({"content": "x"}, index=True),
        _chunk("text"),
        _chunk({"content": ["x"]}) + _chunk({"content": "x"}),
        _chunk({"content": "x"}) + _chunk({"content": ["x"]}),
        _chunk({"metadata": {"a": 1}}) + _chunk({"metadata": {"b": 1}}),
        _chunk({"tool_calls": ["x"]}),
        _chunk({"tool_calls": [{"index": 10**9}]}),
        _chunk({}, message={"content": "x"}),
        b'data: {"x":' + b"[" * 300 + b"]" * 300 + b"}\n\n",
        DONE + _chunk({"content": "x"}),
    ],
)
def test_what_cannot_be_folded_is_said_and_does_not_spoil_the_rest(event: bytes) -> None:
    folded = _fold(_chunk({"content": "a"}, index=5), event)
    assert not folded.lossless
    assert folded.reason
    assert folded.answer is not None
    assert {"index": 5, "message": {"role": "assistant", "content": "a"}, "finish_reason": None} in folded.answer[
        "choices"
    ]


def test_comments_line_ends_and_a_second_end_lose_nothing() -> None:
    events = (_chunk({"content": "a"}), b": ping\n\n", _chunk({"content": "b"}), DONE)
    plain = _fold(*events)
    assert plain.lossless
    for end in (b"\r\n", b"\r"):
        assert fold_chat(b"\xef\xbb\xbf" + b"".join((*events, DONE)).replace(b"\n", end)) == plain


def test_a_million_tiny_events_are_linear_and_bounded() -> None:
    tiny = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    many = b"".join(b'data: {"choices":[{"index":%d}]}\n\n' % index for index in range(3000))
    folded = fold_chat(tiny * 20_000 + many)
    assert folded.answer is not None
    assert len(folded.answer["choices"][0]["message"]["content"]) == 20_000
    assert len(folded.answer["choices"]) == 1024
    assert not folded.lossless


DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, st.text(st.characters(codec="utf-8"), max_size=5)),
    st.builds(
        lambda at, text: {"tool_calls": [{"index": at, "function": {"arguments": text}}]},
        st.integers(0, 2),
        st.text("{}é"),
    ),
    st.just({"role": "assistant", "content": None}),
)
PIECES = st.one_of(
    st.builds(_chunk, DELTAS, index=st.integers(0, 2)), st.sampled_from([b": ping\n\n", b"data: {\n\n", DONE])
)


@given(
    st.lists(PIECES, max_size=8).map(b"".join),
    st.lists(st.integers(0, 5000), max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
)
@settings(max_examples=60)
def test_any_chunking_gives_the_same_answer(stream: bytes, cuts: list[int], end: bytes) -> None:
    stream = stream.replace(b"\n", end)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(places)]
    scan, splitter = StreamScan(drop_usage=False), Splitter()
    passed = b"".join([scan.feed(chunk) for chunk in chunks]) + scan.finish() + scan.held
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    rebuilt = b"".join(b"data: " + event.data + b"\n\n" for event in events)
    assert fold_chat(passed) == fold_chat(stream) == fold_chat(rebuilt)
