"""Gemini's dialect: chat completions by translation, Anthropic's messages by way of chat completions."""

from typing import Final

from tailrace.records import Endpoint
from tailrace.wire.dialect import Dialect
from tailrace.wire.dialects import chat_as_gemini, messages_as_chat
from tailrace.wire.dialects.compose import Composed

DIALECT: Final = Dialect(
    name="gemini",
    native={},
    translations={
        Endpoint.CHAT: chat_as_gemini.TRANSLATION,
        Endpoint.MESSAGES: Composed(
            messages_as_chat.TRANSLATION, chat_as_gemini.TRANSLATION, messages_as_chat.ALWAYS_ASKED
        ),
    },
    credential=lambda key: (b"x-goog-api-key", key),
)
