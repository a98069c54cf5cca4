"""Fireworks' chat rows: OpenAI's shape, the system message first, images inside the row.

    {"messages": [...], "tools": [...]}

Its preference rows are those of `openai-dpo`. Source: Fireworks' guides to supervised and to vision fine-tuning.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, images, openai_chat
from tailrace_exporters.formats.base import Format, Limits, Line, Problem
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.images import Images
from tailrace_exporters.rows import Row

DIALECT: Final = Dialect(
    vendor="Fireworks",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={"system": ("text",), "user": ("text", "image_url"), "assistant": ("text",), "tool": ("text",)},
    top=("messages", "tools"),
    images=Images(openai_chat.KINDS),
    system_first=True,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    return chat.project(row, DIALECT)


def check(line: Json) -> Iterator[Problem]:
    """What Fireworks would refuse about a line."""
    return chat_rules.check(line, DIALECT)


FORMAT: Final = Format(
    about="Fireworks chat rows (JSONL); its preference rows are those of openai-dpo",
    project=project,
    rules=chat.TEXT_RULES | chat.PARALLEL_RULE,
    reasons=chat.CHAT_REASONS | {images.UNFIT: images.REASONS[images.UNFIT]} | chat_rules.SYSTEM_REASON,
    limits=Limits(least_rows=3, most_rows=3_000_000),
    check=check,
)
