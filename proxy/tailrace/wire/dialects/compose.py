"""Two translations one after the other: `outer`, of the client's endpoint into chat completions, then `inner`, of chat
completions into the provider's dialect.

A refusal by `inner` names the field of the chat request in between.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.records import Json
from tailrace.wire.dialect import StreamTranslator, Translated, Translation


@dataclass(frozen=True, slots=True)
class _Streams:
    outer: StreamTranslator
    inner: StreamTranslator

    def feed(self, chunk: bytes) -> bytes:
        between = self.inner.feed(chunk)
        return self.outer.feed(between) if between else b""

    def finish(self) -> bytes:
        between = self.inner.finish()
        return (self.outer.feed(between) if between else b"") + self.outer.finish()


@dataclass(frozen=True, slots=True)
class Composed:
    """As `Translation`. `between`: what `outer`'s requests always say of their streams."""

    outer: Translation
    inner: Translation
    between: dict[str, Any]

    def request(self, parsed: dict[str, Any], model: str) -> Translated:
        return self.inner.request(orjson.loads(self.outer.request(parsed, model).body), model)

    def answer(self, answer: Json, now_s: int) -> Json:
        return self.outer.answer(self.inner.answer(answer, now_s), now_s)

    def error(self, body: bytes, status: int) -> bytes:
        return self.outer.error(self.inner.error(body, status), status)

    def stream(self, asked: dict[str, Any], now_s: int) -> StreamTranslator:
        return _Streams(self.outer.stream(asked, now_s), self.inner.stream(self.between, now_s))
