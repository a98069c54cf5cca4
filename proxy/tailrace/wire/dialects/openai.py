"""OpenAI's dialect, and that of the many servers which speak it. Anthropic's messages are answered by translation."""

from typing import Final

from tailrace.records import Endpoint
from tailrace.wire.dialect import Dialect
from tailrace.wire.dialects import messages_as_chat
from tailrace.wire.endpoints import ENDPOINTS

_TRANSLATIONS: Final = {Endpoint.MESSAGES: messages_as_chat.TRANSLATION}

DIALECT: Final = Dialect(
    name="openai",
    native={endpoint: wire.path for endpoint, wire in ENDPOINTS.items() if endpoint not in _TRANSLATIONS},
    translations=_TRANSLATIONS,
    credential=lambda key: (b"authorization", b"Bearer " + key),
)
