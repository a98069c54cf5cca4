"""A client of Anthropic's messages, answered by a provider that speaks OpenAI's chat completions."""

from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.dialect import StreamTranslator, Translated, Translation
from tailrace.wire.dialects.messages_as_chat.answer import translate_answer, translate_error
from tailrace.wire.dialects.messages_as_chat.request import STREAM_OPTIONS, translate_request
from tailrace.wire.dialects.messages_as_chat.stream import ChatToMessages

ALWAYS_ASKED: Final[dict[str, Any]] = {"stream_options": STREAM_OPTIONS}
"""What each request of this translation says of its stream."""


class MessagesAsChat:
    """As `Translation`."""

    __slots__ = ()

    def request(self, parsed: dict[str, Any], model: str) -> Translated:
        return translate_request(parsed, model)

    def answer(self, answer: Json, now_s: int) -> Json:  # noqa: ARG002 - messages do not say when they were made
        return translate_answer(answer)

    def error(self, body: bytes, status: int) -> bytes:
        return translate_error(body, status)

    def stream(self, asked: dict[str, Any], now_s: int) -> StreamTranslator:  # noqa: ARG002 - the same
        return ChatToMessages()


TRANSLATION: Final[Translation] = MessagesAsChat()
