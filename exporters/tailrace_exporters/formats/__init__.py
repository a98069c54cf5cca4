"""The targets, by the name a recipe uses. A new one is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from tailrace_exporters.formats import (
    azure_chat,
    bedrock_claude,
    bedrock_converse,
    fireworks,
    mistral,
    openai_chat,
    openai_dpo,
    openai_rft,
    together,
    trl_messages,
    vertex_gemini,
)
from tailrace_exporters.formats.base import Format

FORMATS: Final[Mapping[str, Format]] = {
    "openai-chat": openai_chat.FORMAT,
    "openai-dpo": openai_dpo.FORMAT,
    "openai-rft": openai_rft.FORMAT,
    "azure-chat": azure_chat.FORMAT,
    "together": together.FORMAT,
    "fireworks": fireworks.FORMAT,
    "mistral": mistral.FORMAT,
    "vertex-gemini": vertex_gemini.FORMAT,
    "bedrock-converse": bedrock_converse.FORMAT,
    "bedrock-claude": bedrock_claude.FORMAT,
    "trl-messages": trl_messages.FORMAT,
}
