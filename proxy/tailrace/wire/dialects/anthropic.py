"""Anthropic's dialect: messages as they are, chat completions by translation."""

from typing import Final

from tailrace.records import Endpoint
from tailrace.wire.dialect import Dialect
from tailrace.wire.dialects import chat_as_messages

VERSION: Final = b"2023-06-01"

DIALECT: Final = Dialect(
    name="anthropic",
    native={Endpoint.MESSAGES: "/messages"},
    translations={Endpoint.CHAT: chat_as_messages.TRANSLATION},
    credential=lambda key: (b"x-api-key", key),
    headers=((b"anthropic-version", VERSION),),
)
