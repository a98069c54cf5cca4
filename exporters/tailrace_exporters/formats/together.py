"""Together's conversation rows: two columns and no other, images inside the row, reasoning beside an answer.

    {"messages": [...], "tools": [...]}

With an image in a row every content is a list of parts; without one every content is text. Sources: `check_file` of
together 2.10.0 (`together.lib.utils.files`), and Together's guide to preparing data.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, images, openai_chat
from tailrace_exporters.formats.base import Format, Limits, Line, Problem
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.images import MEGABYTE, Images
from tailrace_exporters.rows import Row

_GIGABYTE: Final = 1000 * MEGABYTE

DIALECT: Final = Dialect(
    vendor="Together",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls", "reasoning_content", "reasoning"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={"system": ("text",), "user": ("text", "image_url"), "assistant": ("text",), "tool": ("text",)},
    top=("messages", "tools"),
    images=Images(openai_chat.KINDS, most=10, most_bytes=10 * MEGABYTE),
    uniform_content=True,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    return chat.project(row, DIALECT)


def check(line: Json) -> Iterator[Problem]:
    """What Together would refuse about a line."""
    return chat_rules.check(line, DIALECT)


FORMAT: Final = Format(
    about="Together conversation rows (JSONL), reasoning beside the answers included",
    project=project,
    rules=chat.TEXT_RULES
    | chat.PARALLEL_RULE
    | {chat.AS_PARTS: "beside an image in the same row, a content that is text becomes a list of one part"},
    reasons=chat.CHAT_REASONS | images.REASONS,
    limits=Limits(least_rows=1, most_file_bytes=50 * _GIGABYTE),
    check=check,
)
