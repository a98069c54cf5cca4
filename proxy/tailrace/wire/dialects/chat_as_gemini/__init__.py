"""A client of chat completions, answered by a provider that speaks Gemini's generateContent."""

from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.dialect import StreamTranslator, Translated, Translation
from tailrace.wire.dialects.chat_as_gemini.answer import translate_answer, translate_error
from tailrace.wire.dialects.chat_as_gemini.request import translate_request
from tailrace.wire.dialects.chat_as_gemini.stream import GeminiToChat


class ChatAsGemini:
    """As `Translation`."""

    __slots__ = ()

    def request(self, parsed: dict[str, Any], model: str) -> Translated:
        return translate_request(parsed, model)

    def answer(self, answer: Json, now_s: int) -> Json:
        return translate_answer(answer, now_s)

    def error(self, body: bytes, status: int) -> bytes:
        return translate_error(body, status)

    def stream(self, asked: dict[str, Any], now_s: int) -> StreamTranslator:
        return GeminiToChat(asked, now_s)


TRANSLATION: Final[Translation] = ChatAsGemini()
