"""The targets, by the name a recipe uses. A new one is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from tailrace_exporters.formats import openai_chat, trl_messages
from tailrace_exporters.formats.base import Format

FORMATS: Final[Mapping[str, Format]] = {
    "openai-chat": openai_chat.FORMAT,
    "trl-messages": trl_messages.FORMAT,
}
