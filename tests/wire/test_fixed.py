"""Answers of our own: read by the official clients' types and by our own folds, the same plain and streamed."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from tailrace.chains.turns import turn_of
from tailrace.records import Endpoint
from tailrace.wire.endpoints import ENDPOINTS
from tailrace.wire.fixed import ANSWERED, Fixed, fixed_answer
from tailrace.wire.sse import Splitter

TYPES: dict[Endpoint, Any] = {
    Endpoint.CHAT: ChatCompletion,
    Endpoint.COMPLETIONS: Completion,
    Endpoint.RESPONSES: Response,
}


def fixed(endpoint: Endpoint, text: str = "Good evening.", *, stream: bool) -> Fixed:
    asked = {"model": "m", "stream": stream, "stream_options": {"include_usage": True}}
    return fixed_answer(endpoint, asked, text, id_="0190-ab", created_s=1_790_000_000)


@pytest.mark.parametrize("endpoint", sorted(ANSWERED))
@given(text=st.text(min_size=1, max_size=40))
def test_a_stream_folds_into_the_plain_answer(endpoint: Endpoint, text: str) -> None:
    wire = ENDPOINTS[endpoint]
    plain, stream = fixed(endpoint, text, stream=False), fixed(endpoint, text, stream=True)
    assert not plain.is_stream
    assert stream.is_stream
    assert wire.fold is not None
    folded = wire.fold(stream.body)
    assert folded.terminal
    assert folded.answer is not None
    assert folded.error is None
    answer = orjson.loads(plain.body)
    assert wire.answers_of(folded.answer) == wire.answers_of(answer)
    assert wire.finish_reason(folded.answer) == wire.finish_reason(answer)
    if endpoint is not Endpoint.COMPLETIONS:  # which has no messages
        said = turn_of({"role": "assistant", "content": text})
        assert [turn_of(message) for _, message in wire.answers_of(answer)] == [said]
    else:
        assert answer["choices"][0]["text"] == folded.answer["choices"][0]["text"] == text
    usage = wire.usage(answer, True)
    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


@pytest.mark.parametrize("endpoint", sorted(TYPES))
def test_official_types_read_it(endpoint: Endpoint) -> None:
    TYPES[endpoint].model_validate_json(fixed(endpoint, stream=False).body, strict=False)


def test_official_chunks() -> None:
    splitter = Splitter(1 << 20)
    events = [event.data for event in splitter.feed(fixed(Endpoint.CHAT, stream=True).body)]
    assert events.pop() == b"[DONE]"
    said = [ChatCompletionChunk.model_validate_json(event) for event in events]
    assert said[0].choices[0].delta.content == "Good evening."
    assert said[-1].usage is not None


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="embeddings"):
        fixed_answer(Endpoint.EMBEDDINGS, {}, "x", id_="a", created_s=0)
