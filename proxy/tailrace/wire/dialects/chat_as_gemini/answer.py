"""An answer of Gemini's generateContent as a chat completion.

| generateContent                             | chat                                                                   |
|---------------------------------------------|------------------------------------------------------------------------|
| candidates                                  | choices, by their index                                                |
| parts with text, with thought               | message.content, message.reasoning_content, put together               |
| parts with functionCall                     | message.tool_calls; an id is made where Gemini gave none               |
| parts with inlineData                       | message.images, as data URIs, where OpenRouter has them                |
| thoughtSignature of a call                  | tool_calls[].extra_content.google.thought_signature                    |
| thoughtSignature of another part            | message.extra_content.google.thought_signature, the last one           |
| finishReason STOP, MAX_TOKENS               | finish_reason stop or tool_calls, length                               |
| SAFETY and its like                         | content_filter                                                         |
| any other                                   | as it is, in lower case                                                |
| promptFeedback.blockReason                  | one choice with a refusal, content_filter                              |
| logprobsResult                              | choice.logprobs                                                        |
| prompt and toolUsePrompt tokens             | prompt_tokens, of them cached_tokens, audio_tokens                     |
| candidates and thoughts tokens              | completion_tokens, of them reasoning_tokens, audio_tokens              |

Grounding, citations and safety ratings have no place, and no chat request can ask for the first two.
"""

from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.wire.dialects.chat_answers import chat_answer, chat_choice, chat_error, chat_usage, tool_call
from tailrace.wire.dialects.reading import (
    Unreadable,
    added,
    count,
    json_bytes,
    obj,
    objects,
    parsed_or_none,
    text,
    unreadable_error,
)

_FINISH_REASONS: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION", "PUP_LIMITED_DISABLED"),
        ),
        "content_filter",
    ),
}
_UNFINISHED: Final = frozenset(("", "FINISH_REASON_UNSPECIFIED"))
_ERROR_TYPES: Final = {
    "INVALID_ARGUMENT": "invalid_request_error",
    "FAILED_PRECONDITION": "invalid_request_error",
    "OUT_OF_RANGE": "invalid_request_error",
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "NOT_FOUND": "not_found_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "UNAVAILABLE": "overloaded_error",
}
_MAX_INDEX: Final = 1023


def translate_answer(said: Json, now_s: int) -> Json:
    """As `Translation.answer`."""
    answer = obj(said)
    if isinstance(answer.get("error"), dict):
        return error_of(answer)
    try:
        choices = _choices(answer)
    except Unreadable as exc:
        return chat_error(str(exc))
    if not choices:
        return chat_error("The provider's answer has no candidates.")
    usage = usage_of(obj(answer.get("usageMetadata")))
    return chat_answer(text(answer.get("responseId")), text(answer.get("modelVersion")), now_s, choices, usage)


def translate_error(body: bytes, status: int) -> bytes:
    """As `Translation.error`."""
    said = parsed_or_none(body)
    said = said[0] if isinstance(said, list) and said else said  # a stream's error comes in an array
    if not isinstance(obj(said).get("error"), dict):
        return unreadable_error(body, status)
    return orjson.dumps(error_of(said))


def error_of(said: dict[str, Any]) -> dict[str, Any]:
    """The error in an answer, a body or an event. The code keeps Google's word."""
    error = obj(said.get("error"))
    status = text(error.get("status"))
    return chat_error(text(error.get("message")), _ERROR_TYPES.get(status, "api_error"), status or None)


def blocked(said: dict[str, Any]) -> str:
    """Why the prompt was not answered, as a refusal; empty where it was."""
    feedback = obj(said.get("promptFeedback"))
    reason = text(feedback.get("blockReason"))
    if not reason or objects(said.get("candidates")):
        return ""
    return text(feedback.get("blockReasonMessage")) or f"The prompt was blocked: {reason}."


def finish_reason_of(candidate: dict[str, Any], *, calls: int) -> str | None:
    """Why the candidate ended, None where it has not; `calls`: how many tool calls it made."""
    reason = text(candidate.get("finishReason"))
    if reason in _UNFINISHED:
        return None
    return "tool_calls" if reason == "STOP" and calls else _FINISH_REASONS.get(reason, reason.lower())


def index_of(candidate: dict[str, Any]) -> int:
    """A candidate's index; 0 is left unsaid. Raises Unreadable."""
    index = candidate.get("index", 0)
    if type(index) is not int or not 0 <= index <= _MAX_INDEX:
        raise Unreadable("The provider's candidate has no valid index.")
    return index


def delta_of(candidate: dict[str, Any], response_id: str, index: int, calls: int) -> dict[str, Any]:
    """What a candidate, or a piece of it, says, as a delta; `calls` tool calls came before it. Raises Unreadable."""
    said: dict[str, list[Any]] = {"content": [], "reasoning_content": [], "images": [], "tool_calls": []}
    signature = ""
    for part in objects(obj(candidate.get("content")).get("parts")):
        own = text(part.get("thoughtSignature"))
        if isinstance(call := part.get("functionCall"), dict):
            place = calls + len(said["tool_calls"])
            said["tool_calls"].append(_call(call, own, place, f"call_{response_id}_{index}_{place}"))
            continue
        signature = own or signature
        if isinstance(blob := part.get("inlineData"), dict):
            said["images"].append(_image(blob))
        elif piece := text(part.get("text")):
            said["reasoning_content" if part.get("thought") is True else "content"].append(piece)
    delta: dict[str, Any] = {}
    for name, pieces in said.items():
        if pieces:
            delta[name] = "".join(pieces) if name in ("content", "reasoning_content") else pieces
    if signature:
        delta["extra_content"] = _signed(signature)
    return delta


def logprobs_of(candidate: dict[str, Any]) -> Json:
    """The log probabilities of a candidate, or of a piece of it; None where there are none."""
    result = obj(candidate.get("logprobsResult"))
    chosen = objects(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = [objects(top.get("candidates")) for top in objects(result.get("topCandidates"))]
    tops += [[]] * (len(chosen) - len(tops))
    content = [
        {**_logprob(token), "top_logprobs": [_logprob(other) for other in top]}
        for token, top in zip(chosen, tops, strict=False)
    ]
    return {"content": content, "refusal": None}


def usage_of(usage: dict[str, Any]) -> dict[str, Any] | None:
    """Usage in chat's words. Gemini counts thoughts beside the candidates, and cached tokens inside the prompt."""
    thoughts = count(usage.get("thoughtsTokenCount"))
    return chat_usage(
        added(count(usage.get("promptTokenCount")), count(usage.get("toolUsePromptTokenCount"))),
        added(count(usage.get("candidatesTokenCount")), thoughts),
        total=count(usage.get("totalTokenCount")),
        into={
            "cached_tokens": count(usage.get("cachedContentTokenCount")),
            "audio_tokens": _audio(usage.get("promptTokensDetails")),
        },
        out_of={"reasoning_tokens": thoughts, "audio_tokens": _audio(usage.get("candidatesTokensDetails"))},
    )


def _choices(answer: dict[str, Any]) -> list[dict[str, Any]]:
    if refusal := blocked(answer):
        return [chat_choice({"refusal": refusal}, finish_reason="content_filter")]
    return [_choice(candidate, text(answer.get("responseId"))) for candidate in objects(answer.get("candidates"))]


def _choice(candidate: dict[str, Any], response_id: str) -> dict[str, Any]:
    index = index_of(candidate)
    message = delta_of(candidate, response_id, index, 0)
    calls = message.get("tool_calls", [])
    for call in calls:
        del call["index"]
    finish_reason = finish_reason_of(candidate, calls=len(calls))
    return chat_choice(message, index=index, finish_reason=finish_reason, logprobs=logprobs_of(candidate))


def _call(call: dict[str, Any], signature: str, place: int, made_id: str) -> dict[str, Any]:
    arguments = json_bytes(obj(call.get("args"))).decode()
    said = {"index": place, **tool_call(text(call.get("id")) or made_id, text(call.get("name")), arguments)}
    if signature:
        said["extra_content"] = _signed(signature)
    return said


def _signed(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def _image(blob: dict[str, Any]) -> dict[str, Any]:
    url = f"data:{text(blob.get('mimeType'))};base64,{text(blob.get('data'))}"
    return {"type": "image_url", "image_url": {"url": url}}


def _logprob(said: dict[str, Any]) -> dict[str, Any]:
    token, logprob = text(said.get("token")), said.get("logProbability", 0)
    return {
        "token": token,
        "logprob": logprob if isinstance(logprob, int | float) else None,
        "bytes": list(token.encode()),
    }


def _audio(details: Json) -> int | None:
    counts = [count(entry.get("tokenCount")) for entry in objects(details) if entry.get("modality") == "AUDIO"]
    return added(*counts)
