"""Where the readers of OpenAI's chat file differ: a value each, for the projection and the checks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tailrace_exporters.formats.images import Images

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "system": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "refusal", "tool_calls", "function_call"),
    "tool": ("role", "content", "tool_call_id"),
    "function": ("role", "content", "name"),
}
"""OpenAI's own: `FineTuneChatRequestInput` of openai/openai-openapi, branch 2025-03-21."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "system": ("text",),
    "user": ("text", "image_url"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": ("text",),
}

FUNCTION_KEYS: Final = ("name", "description", "parameters", "strict")
OPENAI_TOOL: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one vendor takes of a conversation in OpenAI's shape."""

    vendor: str
    """As messages call it."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: KEYS)
    """Of a message, by role; a role that is not here is not taken. `weight` comes to an answer by itself."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: PARTS)
    """Kinds of parts of a content, by role; none where a content must be text."""
    top: tuple[str, ...] = ("messages", "tools", "parallel_tool_calls")
    """Of a line."""
    function_keys: tuple[str, ...] = FUNCTION_KEYS
    """Of a tool's `function`."""
    tool_name: re.Pattern[str] = re.compile(r"(?s:.+)")
    images: Images | None = None
    uniform_content: bool = False
    """Whether the contents of a row are all text, or all lists of parts."""
    system_first: bool = False
    """Whether there is one system message at most, before all others."""
    answers_apart: bool = False
    """Whether no answer may stand right behind another."""
    calls_answered: bool = False
    """Whether the results of an answer's calls stand right behind it; the last answer's are not there yet."""
    weights: bool = True
    """Whether an answer may carry `weight`."""
