"""Token counts and the finish reason of an answer. Never fails: what a provider states absurdly is unknown."""

from typing import Any, Final

from tailrace.records import Json, Usage, UsageSource

_MAX_TOKENS: Final = 2**53
_MAX_REASON_CHARS: Final = 64


def read_usage(answer: Json, *, ended: bool) -> Usage:
    """The counts in `answer`, a chat completion; `ended` says whether the answer came to its end."""
    usage = _object(answer, "usage")
    into = _object(usage, "prompt_tokens_details") or _object(usage, "input_tokens_details")
    out_of = _object(usage, "completion_tokens_details") or _object(usage, "output_tokens_details")
    counts = {
        "input_tokens": _first_count(usage, "prompt_tokens", "input_tokens"),
        "output_tokens": _first_count(usage, "completion_tokens", "output_tokens"),
        "cached_tokens": _first_count(into, "cached_tokens"),
        "reasoning_tokens": _first_count(out_of, "reasoning_tokens"),
        "audio_tokens": _sum(_first_count(into, "audio_tokens"), _first_count(out_of, "audio_tokens")),
    }
    if all(count is None for count in counts.values()):
        return Usage()
    return Usage(UsageSource.PROVIDER if ended else UsageSource.PARTIAL, **counts)


def finish_reason(answer: Json) -> str | None:
    """Why the first choice ended, in the provider's word; None where it did not say."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    reason = choices[0].get("finish_reason")
    return reason if isinstance(reason, str) and 0 < len(reason) <= _MAX_REASON_CHARS else None


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
    return right if left is None else left if right is None else left + right
