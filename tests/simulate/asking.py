"""One question over each wire of the simulated provider."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import orjson

from tailrace.simulate import others
from tailrace.simulate.simulator import WIRES
from tests.simulate.rawclient import chat

Ask = Callable[[str, bool, str], tuple[str, bytes]]
"""Of model, stream and text: the path with its query, and the body."""

TEXT: Final = "Hello dear world"


def _openai(path: str, member: str) -> Ask:
    def ask(model: str, stream: bool, text: str) -> tuple[str, bytes]:
        asked: dict[str, Any] = {"model": model, "stream": stream, member: text}
        return path, orjson.dumps(asked)

    return ask


def _messages(model: str, stream: bool, text: str) -> tuple[str, bytes]:
    return "/v1/messages", chat(model, stream=stream, text=text, max_tokens=10**6)


def _gemini(query: str) -> Ask:
    def ask(model: str, stream: bool, text: str) -> tuple[str, bytes]:
        how = f"streamGenerateContent{query}" if stream else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        return f"/v1beta/models/{quote(model, safe='')}:{how}", orjson.dumps(body)

    return ask


def _others(model: str, stream: bool, text: str) -> tuple[str, bytes]:
    path = "/v1/files/f1/content" if stream else "/v1/batches"
    return f"{path}?sim={quote(model, safe='')}", orjson.dumps({"text": text})


ASKING: Final[dict[str, Ask]] = {
    "chat": lambda model, stream, text: ("/v1/chat/completions", chat(model, stream=stream, text=text)),
    "completions": _openai("/v1/completions", "prompt"),
    "embeddings": _openai("/v1/embeddings", "input"),
    "responses": _openai("/v1/responses", "input"),
    "messages": _messages,
    "gemini": _gemini("?alt=sse"),
    "gemini-array": _gemini(""),
    "others": _others,
}
NAMED: Final = {manner.name: manner for manner in (*(wire.MANNER for wire in WIRES.values()), others.MANNER)}
