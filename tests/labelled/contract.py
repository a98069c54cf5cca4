"""Requests of the prompt contract, and the labels and probabilities in their answers, read without any code of ours."""

import math
from collections.abc import Sequence
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from tests.labelled.loading import Item


def schema(labels: Sequence[str]) -> dict[str, Any]:
    """The schema of one label."""
    enum = {"type": "string", "enum": list(labels)}
    return {"type": "object", "properties": {"label": enum}, "required": ["label"], "additionalProperties": False}


def many(labels: Sequence[str]) -> dict[str, Any]:
    """The schema of any number of labels."""
    items = {"type": "array", "items": {"type": "string", "enum": list(labels)}}
    return {"type": "object", "properties": {"labels": items}, "required": ["labels"], "additionalProperties": False}


def entities(kinds: Sequence[str]) -> dict[str, Any]:
    """The schema of quoted entities."""
    one = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "label": {"type": "string", "enum": list(kinds)}},
    }
    return {"type": "object", "properties": {"entities": {"type": "array", "items": one}}}


def messages(item: Item, labels: Sequence[str], turns: int = 4) -> list[Any]:
    """The messages that ask for the label of `item`, its last `turns` turns as the context."""
    context = "".join(f"{turn.role}: {turn.text}\n" for turn in item.before[-turns:] if turns)
    listed = "\n".join(f"- {label}" for label in labels)
    return [
        {"role": "system", "content": f"Choose the label of the message.\n{listed}"},
        {"role": "user", "content": f"{context}<message_to_classify>\n{item.text}\n</message_to_classify>"},
    ]


async def ask(client: AsyncOpenAI, model: str, said: list[Any], wanted: dict[str, Any], **more: Any) -> ChatCompletion:
    """One answer that has to fit the schema `wanted`, with log-probabilities."""
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": wanted}}
    answer = await client.chat.completions.create(
        model=model, messages=said, response_format=form, logprobs=True, top_logprobs=20, **more
    )
    assert isinstance(answer, ChatCompletion)
    return answer


def confidence(answer: ChatCompletion, label: str) -> float | None:
    """The probability of the label's tokens, the one after it included; None where none are told."""
    told = answer.choices[0].logprobs
    tokens = (told.content or []) if told is not None else []
    text = "".join(token.token for token in tokens)
    if label not in text:
        return None
    start = text.rindex(label)
    whole, at = 0.0, 0
    for token in tokens:
        if at < start + len(label) + 1 and at + len(token.token) > start:
            whole += token.logprob
        at += len(token.token)
    return math.exp(whole)
