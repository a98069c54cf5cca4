"""OpenAI's supervised fine-tuning file, the tongue that most vendors and trainers read.

    {"messages": [...], "tools": [...], "parallel_tool_calls": false}

All assistant messages are learned but those with `weight` 0: written where one is not to be learned. Sources:
`FineTuneChatRequestInput` of openai/openai-openapi, branch 2025-03-21, and the guide to vision fine-tuning.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, images
from tailrace_exporters.formats.base import Format, Limits, Line, Problem
from tailrace_exporters.formats.dialect import OPENAI_TOOL, Dialect
from tailrace_exporters.formats.images import MEGABYTE, Images
from tailrace_exporters.formats.shape import RULES
from tailrace_exporters.rows import Row

KINDS: Final = ("jpeg", "png", "webp")
DIALECT: Final = Dialect(
    vendor="OpenAI",
    tool_name=OPENAI_TOOL,
    images=Images(KINDS, most=10, most_bytes=10 * MEGABYTE, fetched=True),
    calls_answered=True,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    return chat.project(row, DIALECT)


def check(line: Json) -> Iterator[Problem]:
    """What OpenAI would refuse about a line."""
    return chat_rules.check(line, DIALECT)


FORMAT: Final = Format(
    about="OpenAI supervised fine-tuning (JSONL)",
    project=project,
    rules=RULES,
    reasons=chat.CHAT_REASONS | images.REASONS | chat_rules.UNANSWERED_REASON,
    limits=Limits(least_rows=10, most_file_bytes=512 * MEGABYTE, most_row_tokens=65_536),
    check=check,
)
