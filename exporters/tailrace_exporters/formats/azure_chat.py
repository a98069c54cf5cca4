"""Azure OpenAI's supervised fine-tuning file: OpenAI's, with more images and no two answers in a row.

What Azure says to two assistant messages in a row is only "contains invalid schema" (microsoft-foundry/fine-tuning#23),
so they are refused here. Source for images: Azure's guide to vision fine-tuning.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, images, openai_chat
from tailrace_exporters.formats.base import Format, Limits, Line, Problem
from tailrace_exporters.formats.images import MEGABYTE, Images
from tailrace_exporters.formats.shape import RULES
from tailrace_exporters.rows import Row

DIALECT: Final = replace(
    openai_chat.DIALECT,
    vendor="Azure",
    images=Images(openai_chat.KINDS, most=64, most_bytes=10 * MEGABYTE, fetched=True),
    answers_apart=True,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    return chat.project(row, DIALECT)


def check(line: Json) -> Iterator[Problem]:
    """What Azure would refuse about a line."""
    return chat_rules.check(line, DIALECT)


FORMAT: Final = Format(
    about="Azure OpenAI supervised fine-tuning (JSONL); beyond 150 MB upload it in parts",
    project=project,
    rules=RULES,
    reasons=chat.CHAT_REASONS | images.REASONS | chat_rules.UNANSWERED_REASON | chat_rules.ADJACENT_REASON,
    limits=Limits(least_rows=10, most_file_bytes=512 * MEGABYTE, most_row_tokens=65_536),
    check=check,
)
