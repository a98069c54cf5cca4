"""Counts as providers state them; absurd ones are unknown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Usage, UsageSource
from tailrace.wire.usage import finish_reason, read_messages_usage, read_usage


def test_openai_counts() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 2},
    }
    expected = Usage(UsageSource.PROVIDER, 10, 20, 4, 5, audio_tokens=3, output_audio_tokens=2)
    assert read_usage({"usage": usage}, ended=True) == expected


def test_the_cache_in_each_providers_words() -> None:
    openrouter = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}
    assert read_usage({"usage": openrouter}, ended=True) == Usage(
        UsageSource.PROVIDER, 9, cached_tokens=4, cache_write_tokens=3
    )
    deepseek = {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}
    assert read_usage({"usage": deepseek}, ended=True).cached_tokens == 4


def test_anthropics_input_is_told_without_the_cache_and_kept_with_it() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 7,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    expected = Usage(UsageSource.PROVIDER, 117, 20, cached_tokens=100, reasoning_tokens=5, cache_write_tokens=7)
    assert read_messages_usage({"usage": usage}, ended=True) == expected
    assert read_messages_usage({"usage": {"input_tokens": 10, "cache_read_input_tokens": None}}, ended=False) == Usage(
        UsageSource.PARTIAL, 10
    )
    unknown = read_messages_usage({"usage": {"cache_read_input_tokens": 100, "output_tokens": 2}}, ended=True)
    assert (unknown.input_tokens, unknown.cached_tokens) == (None, 100)
    absurd = read_messages_usage({"usage": {"input_tokens": 2**53, "cache_read_input_tokens": 1}}, ended=True)
    assert absurd.input_tokens is None


def test_the_newer_names_and_an_answer_that_did_not_end() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}}
    assert read_usage({"usage": usage}, ended=False) == Usage(UsageSource.PARTIAL, 1, 2, None, 0)


@pytest.mark.parametrize("count", [-1, True, 1.0, 1e18, 10**18, 2**53 + 1, "10", None, [], {}])
def test_an_absurd_count_is_unknown(count: Any) -> None:
    usage = read_usage({"usage": {"prompt_tokens": count, "completion_tokens": 2}}, ended=True)
    assert usage == Usage(UsageSource.PROVIDER, None, 2)
    assert read_usage({"usage": {"prompt_tokens": count}}, ended=True) == Usage()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["usage", "prompt_tokens", "prompt_tokens_details", "cached_tokens", "choices", "finish_reason"]
            ),
            inner,
        ),
    ),
)


@given(JSON)
def test_nothing_makes_it_fail(answer: Any) -> None:
    usage = read_usage(answer, ended=True)
    assert usage.input_tokens is None or 0 <= usage.input_tokens <= 2**53
    assert finish_reason(answer) is None or isinstance(finish_reason(answer), str)


def test_finish_reason() -> None:
    assert finish_reason({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}) == "stop"
    assert finish_reason({"choices": [{"finish_reason": None}]}) is None
    assert finish_reason({"choices": [{"finish_reason": "x" * 100}]}) is None
    assert finish_reason({"choices": []}) is None
