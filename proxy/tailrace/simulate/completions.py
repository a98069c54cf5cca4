"""The text completions wire: OpenAI's `POST /v1/completions`, plain and streamed."""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace.simulate import chat
from tailrace.simulate.answer import Answer, Asked, BadRequest, Reports, Said, Stamp, counts_of, words
from tailrace.simulate.wire import Manner

MANNER: Final = Manner("completions", "/v1/completions")
TERMINAL: Final = chat.TERMINAL
frame = chat.frame
failure = chat.failure


def read(body: Json, path: str) -> Asked:  # noqa: ARG001 - the interface of a wire
    """The question in a request body. Raises BadRequest."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    prompt = body.get("prompt")
    options = body.get("stream_options")
    return Asked(
        model=body["model"],
        messages=(Said("user", _text(prompt)),),
        stream=body.get("stream") is True,
        choices=chat.whole_number(body, "n", 1, 128) or 1,
        stream_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=chat.whole_number(body, "max_tokens", 1),
        caller=body["user"] if isinstance(body.get("user"), str) else None,
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
    """The body of a plain answer."""
    text = answer.text or answer.refusal or ""
    shape = _envelope(asked, stamp)
    shape["choices"] = [_choice(text, index, answer.finish) for index in range(asked.choices)]
    if answer.reports is not Reports.NEVER:
        shape["usage"] = _usage(asked, answer)
    return shape


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
    """The chunks of a streamed answer, without the terminal event."""
    shape = _envelope(asked, stamp)
    for word in words(answer.text or answer.refusal or ""):
        for index in range(asked.choices):
            yield {**shape, "choices": [_choice(word, index, None)]}
    for index in range(asked.choices):
        yield {**shape, "choices": [_choice("", index, answer.finish)]}
    if asked.stream_usage:
        for _ in range(answer.reports.value):
            yield {**shape, "choices": [], "usage": _usage(asked, answer)}


def _text(prompt: Json) -> str:
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list):
        return " ".join(one if isinstance(one, str) else str(one) for one in prompt)
    return ""


def _envelope(asked: Asked, stamp: Stamp) -> dict[str, Json]:
    id_ = f"cmpl-sim{stamp.number:026d}"
    return {"id": id_, "object": "text_completion", "created": stamp.created, "model": asked.model}


def _choice(text: str, index: int, finish: str | None) -> dict[str, Json]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _usage(asked: Asked, answer: Answer) -> dict[str, Json]:
    counts = counts_of(asked, answer)
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
    }
