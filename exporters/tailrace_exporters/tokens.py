"""How many tokens a row is, and who says so: the provider, a tokenizer file that the recipe names, or a rule of thumb.

The provider counted what it was sent and gave, template and all. A tokenizer counts the row's own text, without the
template's marks. The rule of thumb is four characters of JSON a token.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import orjson

from tailrace.errors import RecipeError
from tailrace.records import Json, UsageSource
from tailrace_exporters.rows import Completion, Row
from tailrace_exporters.surroundings import Surroundings

_CHARS_A_TOKEN: Final = 4

CountText = Callable[[str], int]


class Counted(StrEnum):
    """Who counted; a word of the ledger."""

    PROVIDER = "provider"
    TOKENIZER = "tokenizer"
    ESTIMATED = "estimated"


def tokens_of(completion: Completion) -> int | None:
    """Prompt and answer together, as the log has them."""
    if completion.input_tokens is None or completion.output_tokens is None:
        return None
    return completion.input_tokens + completion.output_tokens


def tokens_in(row: Row, tokenizer: CountText | None) -> tuple[int, Counted]:
    """The tokens of a row's conversation and tools.

    Raises:
        TypeError: the row cannot be written as JSON in UTF-8, and nobody has counted it.
    """
    logged = tokens_of(row.head)
    if logged is not None and row.head.usage_source == UsageSource.PROVIDER:
        return logged, Counted.PROVIDER
    if tokenizer is not None:
        return sum(tokenizer(text) for text in _texts(row)), Counted.TOKENIZER
    if logged is not None:
        return logged, Counted.ESTIMATED
    return -(-len(orjson.dumps([row.messages, row.tools])) // _CHARS_A_TOKEN), Counted.ESTIMATED


def read_tokenizer(surroundings: Surroundings, name: str) -> CountText:
    """Counts tokens by a `tokenizer.json` of Hugging Face's.

    Raises:
        RecipeError: the file is not there or is none, or the package `tokenizers` is not installed.
    """
    content = surroundings.read(name)
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra, which only recipes with a tokenizer need
    except ImportError as exc:
        raise RecipeError(
            f"{name}: counting with a tokenizer needs the package tokenizers; install tailrace[tokenizer], "
            "or leave [filter] tokenizer out"
        ) from exc
    try:
        made = Tokenizer.from_buffer(content)
    except Exception as exc:  # the package raises no narrower kind for a file that is no tokenizer
        raise RecipeError(f"{name}: is no tokenizer.json ({exc})") from exc
    return lambda text: len(made.encode(text, add_special_tokens=False).ids)


def _texts(row: Row) -> Iterator[str]:
    for message in row.messages:
        yield str(message.get("role", ""))
        yield from _content(message.get("content"))
        for call in message.get("tool_calls") or ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                yield from (str(function.get(key, "")) for key in ("name", "arguments"))
    if row.tools:
        yield orjson.dumps(row.tools).decode()


def _content(content: Json) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
