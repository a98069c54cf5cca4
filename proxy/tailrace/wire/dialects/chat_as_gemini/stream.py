"""A stream of Gemini's answers as one of chat completion chunks.

Each event is a whole GenerateContentResponse with the next piece of each candidate. There is no terminal event: an
answer has ended when each candidate has said why, and the transport ends after that. Only then [DONE] is said.
"""

from typing import Any

from tailrace.errors import OPENAI
from tailrace.wire.dialects.chat_answers import DONE, FIRST_DELTA, ChatChunks, asks_usage, chat_error_event
from tailrace.wire.dialects.chat_as_gemini.answer import (
    blocked,
    delta_of,
    error_of,
    finish_reason_of,
    index_of,
    logprobs_of,
    usage_of,
)
from tailrace.wire.dialects.events import EventTranslator, said_in
from tailrace.wire.dialects.reading import obj, objects, text
from tailrace.wire.sse import Event


class _Candidate:
    """`signed`: the last thought signature beside the calls', told once, with the finish reason."""

    __slots__ = ("calls", "ended", "signed")

    def __init__(self) -> None:
        self.calls = 0
        self.ended = False
        self.signed: dict[str, Any] = {}


class GeminiToChat(EventTranslator):
    """As `StreamTranslator`."""

    __slots__ = ("_candidates", "_chunks", "_id", "_now_s", "_usage", "_with_usage")

    def __init__(self, asked: dict[str, Any], now_s: int) -> None:
        super().__init__(OPENAI)
        self._with_usage = asks_usage(asked)
        self._now_s = now_s
        self._id = ""
        self._chunks: ChatChunks | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] = {}

    def take(self, event: Event) -> bytes:
        said = said_in(event)
        if said is None:
            return b""
        if isinstance(said.get("error"), dict):
            return self.told(chat_error_event(error_of(said)))
        chunks = self._chunks or self._begin(said)
        self._usage = obj(said.get("usageMetadata")) or self._usage
        if refusal := blocked(said):
            self._candidates.setdefault(0, _Candidate()).ended = True
            return chunks.delta({**FIRST_DELTA, "refusal": refusal}) + chunks.delta({}, finish_reason="content_filter")
        return b"".join([self._piece(chunks, candidate) for candidate in objects(said.get("candidates"))])

    def end(self) -> bytes:
        candidates = self._candidates.values()
        if self._chunks is None or not candidates or not all(candidate.ended for candidate in candidates):
            return b""
        return self.told(self._chunks.usage(usage_of(self._usage)) + DONE)

    def _begin(self, said: dict[str, Any]) -> ChatChunks:
        self._id = text(said.get("responseId"))
        model = text(said.get("modelVersion"))
        self._chunks = ChatChunks(self._id, model, self._now_s, with_usage=self._with_usage)
        return self._chunks

    def _piece(self, chunks: ChatChunks, said: dict[str, Any]) -> bytes:
        index = index_of(said)
        candidate = self._candidates.get(index)
        begins = candidate is None
        if candidate is None:
            candidate = self._candidates[index] = _Candidate()
        delta = delta_of(said, self._id, index, candidate.calls)
        candidate.calls += len(delta.get("tool_calls", ()))
        if "extra_content" in delta:
            candidate.signed = {"extra_content": delta.pop("extra_content")}
        logprobs = logprobs_of(said)
        out = b""
        if begins or delta or logprobs is not None:
            out = chunks.delta({**FIRST_DELTA, **delta} if begins else delta, index=index, logprobs=logprobs)
        finish_reason = finish_reason_of(said, calls=candidate.calls)
        if finish_reason is None:
            return out
        candidate.ended = True
        return out + chunks.delta(candidate.signed, index=index, finish_reason=finish_reason)
