"""How many tokens a request may come to, told before anybody has counted them. Pure; an estimate, and meant as one.

Four bytes of text are taken for a token, which is what tokenizers of English come to; media by the piece. The answer is
as long as the request allows it to be, else `assumed_output`.
"""

from typing import Final

from tailrace.records import Json

_BYTES_PER_TOKEN: Final = 4
_MEDIA_TOKENS: Final = 1_000
_DATA: Final = "data:"
_OUTPUT: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_MOST_DEPTH: Final = 32


def estimated_tokens(parsed: dict[str, Json], assumed_output: int) -> tuple[int, int]:
    """Tokens of the request and of the answer."""
    into = _text_bytes(parsed, _MOST_DEPTH) // _BYTES_PER_TOKEN + 1
    most = next((parsed[name] for name in _OUTPUT if type(parsed.get(name)) is int and parsed[name] >= 0), None)
    choices = parsed.get("n")
    times = choices if type(choices) is int and 1 <= choices <= 1024 else 1
    return into, (assumed_output if most is None else most) * times


def _text_bytes(value: Json, depth: int) -> int:
    if isinstance(value, str):
        return _MEDIA_TOKENS * _BYTES_PER_TOKEN if value.startswith(_DATA) else len(value.encode("utf-8", "replace"))
    if not depth:
        return 0
    if isinstance(value, dict):
        return sum(_text_bytes(member, depth - 1) for name, member in value.items() if name != "data")
    if isinstance(value, list):
        return sum(_text_bytes(member, depth - 1) for member in value)
    return 0
