"""The generateContent wire without `alt=sse`: a stream is one JSON array, an answer an element, as Gemini sends it."""

from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate import gemini
from tailrace.simulate.wire import JSON_TYPE, Manner

MANNER: Final = Manner(
    "gemini-array",
    "/v1beta/models/MODEL:streamGenerateContent",
    ping=b"\r\n",
    stream_type=JSON_TYPE,
    member=gemini.MANNER.member,
    usage=gemini.MANNER.usage,
    finish=gemini.MANNER.finish,
)
TERMINAL: Final = b"]"
read = gemini.read
document = gemini.document
events = gemini.events
failure = gemini.failure


def frame(event: Json, number: int = 0) -> bytes:
    """One element, with what stands before it in the array."""
    return (b",\r\n" if number else b"[") + orjson.dumps(event)
