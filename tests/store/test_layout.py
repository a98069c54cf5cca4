"""What is taken out of an answer is put back where it was, for every endpoint."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.chains.canonical import canonical
from tailrace.records import Endpoint
from tailrace.store.layout import CONVERSATION, put, take

LEAF = st.none() | st.integers(0, 3) | st.text(max_size=3)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
MESSAGE = st.dictionaries(st.sampled_from(["role", "content", "refusal", "+"]), VALUE)
ANSWERS = VALUE | st.dictionaries(
    st.sampled_from(["choices", "role", "content", "output", "id"]),
    VALUE | st.just("assistant") | st.lists(st.dictionaries(st.just("message"), MESSAGE | VALUE) | MESSAGE, max_size=3),
)


@pytest.mark.parametrize("endpoint", [*Endpoint, "unheard-of"])
@given(answer=ANSWERS)
def test_put_undoes_take(endpoint: str, answer: Any) -> None:
    before = canonical(answer)
    taken, envelope = take(endpoint, answer)
    assert canonical(put(endpoint, envelope, taken)) == before
    assert canonical(answer) == before, "what was given is not changed"


@pytest.mark.parametrize("endpoint", CONVERSATION)
def test_no_message_stays_in_the_envelope(endpoint: Endpoint) -> None:
    message = {"role": "assistant", "content": [{"type": "output_text", "text": "a long answer"}, {"type": "x"}]}
    answer = {
        Endpoint.CHAT: {"choices": [{"message": message}, {"index": 1}, {"message": message}]},
        Endpoint.MESSAGES: {"id": "m", **message},
        Endpoint.RESPONSES: {"output": [message, {"type": "reasoning"}]},
    }[endpoint]
    taken, envelope = take(endpoint, answer)
    assert b"a long answer" not in canonical(envelope)
    assert [one.index for one in taken] == ([0, 2] if endpoint is Endpoint.CHAT else [0])
