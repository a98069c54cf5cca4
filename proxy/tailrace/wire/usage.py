"""Token counts and the finish reason of an answer. Never fails: what a provider states absurdly is unknown."""

from typing import Any, Final

from tailrace.records import Json, Usage, UsageSource

_MAX_TOKENS: Final = 2**53
_MAX_REASON_CHARS: Final = 64


def read_usage(answer: Json, *, ended: bool) -> Usage:
    """The counts in `answer`, in OpenAI's words; `ended` says whether the answer came to its end."""
    usage = _object(answer, "usage")
    into = _object(usage, "prompt_tokens_details") or _object(usage, "input_tokens_details")
    out_of = _object(usage, "completion_tokens_details") or _object(usage, "output_tokens_details")
    output_audio = _first_count(out_of, "audio_tokens")
    cached = _first_count(into, "cached_tokens")
    return _usage(
        ended=ended,
        input_tokens=_first_count(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_first_count(usage, "completion_tokens", "output_tokens"),
        # `prompt_cache_hit_tokens` is DeepSeek's.
        cached_tokens=_first_count(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning_tokens=_first_count(out_of, "reasoning_tokens"),
        audio_tokens=_sum(_first_count(into, "audio_tokens"), output_audio),
        cache_write_tokens=_first_count(into, "cache_write_tokens"),
        output_audio_tokens=output_audio,
    )


def read_messages_usage(answer: Json, *, ended: bool) -> Usage:
    """The same for Anthropic's message, whose `input_tokens` are only those outside the cache: here they are all."""
    usage = _object(answer, "usage")
    plain = _first_count(usage, "input_tokens")
    cached = _first_count(usage, "cache_read_input_tokens")
    written = _first_count(usage, "cache_creation_input_tokens")
    return _usage(
        ended=ended,
        input_tokens=None if plain is None else _sum(plain, _sum(cached, written)),
        output_tokens=_first_count(usage, "output_tokens"),
        cached_tokens=cached,
        reasoning_tokens=_first_count(_object(usage, "output_tokens_details"), "thinking_tokens"),
        cache_write_tokens=written,
    )


def finish_reason(answer: Json) -> str | None:
    """Why the first choice ended, in the provider's word; None where it did not say."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    return reason_word(choices[0].get("finish_reason"))


def reason_word(reason: Json) -> str | None:
    """`reason` where it is a word that a column can hold."""
    return reason if isinstance(reason, str) and 0 < len(reason) <= _MAX_REASON_CHARS else None


def _usage(*, ended: bool, **counts: int | None) -> Usage:
    if all(count is None for count in counts.values()):
        return Usage()
    return Usage(UsageSource.PROVIDER if ended else UsageSource.PARTIAL, **counts)


def _object(parent: Json, name: str) -> dict[str, Any]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _first_count(fields: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = fields.get(name)
        if type(value) is int and 0 <= value <= _MAX_TOKENS:  # a bool is an int to isinstance
            return value
    return None


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right if left + right <= _MAX_TOKENS else None
