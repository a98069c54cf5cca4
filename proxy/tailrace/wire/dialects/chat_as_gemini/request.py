"""A chat request as Gemini's generateContent takes it.

| chat                                        | generateContent (`gc` is generationConfig)                             |
|---------------------------------------------|------------------------------------------------------------------------|
| model, stream                               | the path                                                               |
| messages                                    | systemInstruction and contents, see `contents`                         |
| max_completion_tokens, max_tokens           | gc.maxOutputTokens                                                     |
| stop, n, seed                               | gc.stopSequences, candidateCount, seed                                 |
| temperature, top_p, top_k                   | gc.temperature, topP, topK                                             |
| frequency_penalty, presence_penalty         | gc.frequencyPenalty, presencePenalty                                   |
| logprobs, top_logprobs                      | gc.responseLogprobs, logprobs                                          |
| response_format json_object, json_schema    | gc.responseMimeType application/json, and responseJsonSchema           |
| reasoning_effort minimal to xhigh, max      | gc.thinkingConfig.thinkingLevel MINIMAL to XHIGH, with thoughts        |
| the same for models before Gemini 3         | gc.thinkingConfig.thinkingBudget, as Google's own chat API has it      |
| reasoning_effort none                       | gc.thinkingConfig.thinkingBudget 0                                     |
| extra_body.google.thinking_config           | gc.thinkingConfig as it is, before what reasoning_effort would say     |
| tools                                       | tools.functionDeclarations with parametersJsonSchema                   |
| tool_choice auto, none, required, function  | toolConfig mode AUTO, NONE, ANY, ANY with the one name                 |
| tool_choice allowed_tools auto, required    | toolConfig mode VALIDATED, ANY, with the names                         |
| a strict function, tool_choice auto         | toolConfig mode VALIDATED, which holds calls to their schema           |
| service_tier default, flex, priority, fast  | serviceTier standard, flex, priority, priority                         |

Dropped and refused fields stand in the table below.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from tailrace.wire.dialect import Translated
from tailrace.wire.dialects.carrying import Carry, Fields, an_object, cannot, only, written
from tailrace.wire.dialects.chat_as_gemini.contents import contents_of
from tailrace.wire.dialects.chat_as_gemini.models import is_before_3
from tailrace.wire.dialects.chat_fields import read_format, read_limit, read_stop
from tailrace.wire.dialects.chat_tools import Choice, Tool, read_choice, read_tools

_STREAM_QUERY: Final = b"alt=sse"
_LEVELS: Final = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
    "max": "XHIGH",
}
_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority", "fast": "priority"}
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def translate_request(asked: dict[str, Any], model: str) -> Translated:
    """As `Translation.request`."""
    request: dict[str, Any] = {"model": model, "generationConfig": {}}
    FIELDS.carry(asked, request)
    del request["model"]
    if not request["generationConfig"]:
        del request["generationConfig"]
    path = "/models/" + quote(model.removeprefix("models/"), safe="")
    if asked.get("stream") is True:
        return Translated(f"{path}:streamGenerateContent", written(request), _STREAM_QUERY)
    return Translated(f"{path}:generateContent", written(request))


def _messages(asked: dict[str, Any], request: dict[str, Any]) -> None:
    system, contents = contents_of(asked, request["model"])
    if system:
        request["systemInstruction"] = {"parts": system}
    request["contents"] = contents


def _max_tokens(asked: dict[str, Any], request: dict[str, Any]) -> None:
    request["generationConfig"]["maxOutputTokens"] = read_limit(asked)


def _stop(asked: dict[str, Any], request: dict[str, Any]) -> None:
    if stop := read_stop(asked):
        request["generationConfig"]["stopSequences"] = stop


def _response_format(asked: dict[str, Any], request: dict[str, Any]) -> None:
    kind, schema = read_format(asked)
    if kind != "text":
        request["generationConfig"]["responseMimeType"] = "application/json"
    if schema is not None:
        request["generationConfig"]["responseJsonSchema"] = schema


def _reasoning_effort(asked: dict[str, Any], request: dict[str, Any]) -> None:
    effort = asked["reasoning_effort"]
    if effort == "none":
        config: dict[str, Any] = {"thinkingBudget": 0}
    elif not isinstance(effort, str) or effort not in _LEVELS:
        raise cannot("reasoning_effort", "there is no such effort there")
    elif is_before_3(request["model"]):
        config = {"thinkingBudget": _BUDGETS[effort], "includeThoughts": True}
    else:
        config = {"thinkingLevel": _LEVELS[effort], "includeThoughts": True}
    request["generationConfig"].setdefault("thinkingConfig", config)


def _extra_body(asked: dict[str, Any], request: dict[str, Any]) -> None:
    extra = an_object(asked["extra_body"], "extra_body")
    only(extra, "extra_body", frozenset(("google",)))
    google = an_object(extra.get("google"), "extra_body.google")
    only(google, "extra_body.google", frozenset(("thinking_config",)))
    config = an_object(google.get("thinking_config"), "extra_body.google.thinking_config")
    request["generationConfig"]["thinkingConfig"] = config


def _tools(asked: dict[str, Any], request: dict[str, Any]) -> None:
    """Of `tools` and `tool_choice`, whichever comes first: a strict tool may change the mode."""
    if "tools" in request or "toolConfig" in request:
        return
    tools, choice = read_tools(asked), read_choice(asked)
    if tools:
        request["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in tools]}]
    validated = any(tool.strict for tool in tools)
    if choice is not None or validated:
        request["toolConfig"] = {"functionCallingConfig": _calling(choice or Choice(), validated=validated)}


def _declaration(tool: Tool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    if tool.parameters:
        said["parametersJsonSchema"] = tool.parameters
    return said


def _calling(choice: Choice, *, validated: bool) -> dict[str, Any]:
    mode = "VALIDATED" if choice.mode == "auto" and (choice.names or validated) else _MODES[choice.mode]
    return {"mode": mode, "allowedFunctionNames": list(choice.names)} if choice.names else {"mode": mode}


def _service_tier(asked: dict[str, Any], request: dict[str, Any]) -> None:
    tier = asked["service_tier"]
    if tier == "auto":
        return
    word = _TIERS.get(tier) if isinstance(tier, str) else None
    if word is None:
        raise cannot("service_tier", "there is no such tier there")
    request["serviceTier"] = word


_CONFIGURED: Final[Mapping[str, str]] = {
    "n": "candidateCount",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Fields that stand in generationConfig as they are."""


def _configured(name: str, target: str) -> Carry:
    def carry(asked: dict[str, Any], request: dict[str, Any]) -> None:
        request["generationConfig"][target] = asked[name]

    return carry


FIELDS: Final = Fields(
    carried={
        **{name: _configured(name, target) for name, target in _CONFIGURED.items()},
        "messages": _messages,
        "max_tokens": _max_tokens,
        "max_completion_tokens": _max_tokens,
        "stop": _stop,
        "response_format": _response_format,
        "reasoning_effort": _reasoning_effort,
        "extra_body": _extra_body,
        "tools": _tools,
        "tool_choice": _tools,
        "service_tier": _service_tier,
    },
    dropped={
        "model": "stands in the path",
        "stream": "stands in the path",
        "metadata": "labels for OpenAI's own store; the log has them",
        "store": "asks OpenAI to keep the answer; the log does",
        "stream_options": "of the client's stream, which we write",
        "prompt_cache_key": "a hint where to look for a cached prefix",
        "prompt_cache_options": "a hint how to cache; Gemini caches by itself",
        "prompt_cache_retention": "a hint how long to cache",
        "safety_identifier": "tells OpenAI whom to watch; Gemini does not ask, the log has it",
        "user": "the same",
    },
    refused={
        "audio": (),
        "function_call": (),
        "functions": (),
        "logit_bias": ({},),
        "modalities": (["text"],),
        "moderation": (),
        "parallel_tool_calls": (True,),
        "prediction": (),
        "thinking": (),
        "verbosity": ("medium",),
        "web_search_options": (),
    },
)
"""Fields in no table are refused too."""
