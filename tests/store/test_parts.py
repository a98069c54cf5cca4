"""A message and its echoes share a core, and each comes back as it was."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.chains.canonical import canonical
from tailrace.store.codec import MAGIC
from tailrace.store.parts import divide, refer, referred, whole

VALUE = st.none() | st.integers(0, 9) | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image"]), "text": VALUE}, optional={"x": VALUE})
KEYS = st.sampled_from(["role", "content", "name", "tool_calls", "refusal", "+", "part", "x"])
MESSAGES = VALUE | st.dictionaries(KEYS, VALUE | PART | st.lists(PART | VALUE, max_size=2))

ANSWER: dict[str, Any] = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
CORE = {"role": "assistant", "content": "Hello"}


@given(MESSAGES)
def test_what_is_divided_is_whole_again(message: Any) -> None:
    core, rest = divide(message)
    assert canonical(whole(core, rest)) == canonical(message)


@pytest.mark.parametrize(
    "echo",
    [
        ANSWER,
        CORE,
        {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]},
        CORE | {"tool_calls": None},
        CORE | {"reasoning_content": "hm"},
    ],
)
def test_echoes_share_their_core(echo: Any) -> None:
    core, rest = divide(echo)
    assert core == CORE
    assert canonical(whole(core, rest)) == canonical(echo)


@pytest.mark.parametrize("message", ["text", None, 7, [CORE], {"role": "user", "content": [{"type": "text"}]}, {}])
def test_what_has_no_such_parts_is_its_own_core(message: Any) -> None:
    assert divide(message) == (message, None)


def test_neither_is_changed() -> None:
    core, rest = divide(ANSWER)
    whole(core, rest)["content"] = "other"
    assert (core["content"], ANSWER["content"]) == ("Hello", "Hello")


@given(st.integers(1, 2**63 - 1), st.sampled_from([b"{}", b'{"+":{}}', MAGIC + b"1"]))
def test_a_reference_is_read_as_it_was_written(core: int, rest: bytes) -> None:
    assert referred(refer(core, rest)) == (core, rest)


@pytest.mark.parametrize("body", [b"{}", b'"@1"', b"", MAGIC + b"@1"])
def test_a_body_that_is_none_refers_to_nothing(body: bytes) -> None:
    assert referred(body) is None
