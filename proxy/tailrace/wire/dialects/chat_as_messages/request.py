"""A chat request as Anthropic's messages take it.

| chat                                        | messages                                                               |
|---------------------------------------------|------------------------------------------------------------------------|
| messages of system and developer            | `system`, in their order, wherever they stood                          |
| messages of user, assistant, tool           | `messages`, see `turns`                                                |
| max_completion_tokens, max_tokens           | max_tokens; DEFAULT_MAX_TOKENS where absent: the field is a must there |
| stop                                        | stop_sequences                                                         |
| temperature (to 1), top_p, top_k, stream    | the same                                                               |
| tools, strict                               | tools with input_schema, strict                                        |
| tool_choice auto, none, required, function  | auto, none, any, tool; for allowed_tools, only those tools are sent    |
| parallel_tool_calls false                   | tool_choice.disable_parallel_tool_use                                  |
| response_format json_schema                 | output_config.format; its name and strictness are implied              |
| reasoning_effort low to max                 | output_config.effort, and thinking adaptive                            |
| reasoning_effort minimal, none              | effort low; thinking disabled                                          |
| thinking (Anthropic's own, as it is)        | thinking, before what reasoning_effort would say                       |
| safety_identifier, else user                | metadata.user_id                                                       |
| service_tier auto, default                  | auto, standard_only                                                    |
| cache_control, prompt_cache_breakpoint      | cache_control                                                          |

Efforts do not become thinking budgets: models since Claude Opus 4.7 refuse those. An older one takes `thinking` with a
budget from the client. Dropped and refused fields stand in the table below.
"""

from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.dialect import Translated
from tailrace.wire.dialects.carrying import Fields, cannot, copied, written
from tailrace.wire.dialects.chat_as_messages.turns import messages_of
from tailrace.wire.dialects.chat_fields import read_format, read_limit, read_stop
from tailrace.wire.dialects.chat_tools import Choice, Tool, read_choice, read_tools

PATH: Final = "/messages"
DEFAULT_MAX_TOKENS: Final = 32_000
"""What every Claude model since Opus 4 may write. A chat request without a limit means as much as the model can."""

_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_TIERS: Final = {"auto": "auto", "default": "standard_only"}


def translate_request(asked: dict[str, Any], model: str) -> Translated:
    """As `Translation.request`."""
    request: dict[str, Any] = {"model": model, "max_tokens": DEFAULT_MAX_TOKENS}
    FIELDS.carry(asked, request)
    return Translated(PATH, written(request))


def _messages(asked: dict[str, Any], request: dict[str, Any]) -> None:
    system, messages = messages_of(asked)
    if system:
        request["system"] = system
    request["messages"] = messages


def _max_tokens(asked: dict[str, Any], request: dict[str, Any]) -> None:
    request["max_tokens"] = read_limit(asked)


def _stop(asked: dict[str, Any], request: dict[str, Any]) -> None:
    if stop := read_stop(asked):
        request["stop_sequences"] = stop


def _temperature(asked: dict[str, Any], request: dict[str, Any]) -> None:
    temperature = asked["temperature"]
    if isinstance(temperature, int | float) and temperature > 1:
        raise cannot("temperature", "it goes to 1 there")
    request["temperature"] = temperature


def _tools(asked: dict[str, Any], request: dict[str, Any]) -> None:
    """Of `tools`, `tool_choice` and `parallel_tool_calls`, whichever comes first: they hang together there."""
    if "tools" in request or "tool_choice" in request:
        return
    choice = read_choice(asked)
    tools = read_tools(asked)
    if choice is not None and choice.names and not choice.one:
        tools = [tool for tool in tools if tool.name in choice.names]
    if tools:
        request["tools"] = [_tool(tool) for tool in tools]
    said = None if choice is None else _choice(choice)
    if asked.get("parallel_tool_calls") is False and tools:
        said = said or {"type": "auto"}
        if said["type"] != "none":
            said["disable_parallel_tool_use"] = True
    if said is not None:
        request["tool_choice"] = said


def _tool(tool: Tool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        said["description"] = tool.description
    said["input_schema"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict:
        said["strict"] = True
    if tool.mark is not None:
        said["cache_control"] = tool.mark
    return said


def _choice(choice: Choice) -> dict[str, Any]:
    if choice.one:
        return {"type": "tool", "name": choice.names[0]}
    return {"type": "any" if choice.mode == "required" else choice.mode}


def _response_format(asked: dict[str, Any], request: dict[str, Any]) -> None:
    kind, schema = read_format(asked)
    if kind == "json_object":
        raise cannot("response_format.type", "JSON without a schema cannot be asked for there")
    if schema is not None:
        _output_config(request)["format"] = {"type": "json_schema", "schema": schema}


def _reasoning_effort(asked: dict[str, Any], request: dict[str, Any]) -> None:
    effort = asked["reasoning_effort"]
    if effort == "none":
        request.setdefault("thinking", {"type": "disabled"})
        return
    word = _EFFORTS.get(effort) if isinstance(effort, str) else None
    if word is None:
        raise cannot("reasoning_effort", "there is no such effort there")
    _output_config(request)["effort"] = word
    request.setdefault("thinking", {"type": "adaptive"})


def _output_config(request: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = request.setdefault("output_config", {})
    return config


def _user(asked: dict[str, Any], request: dict[str, Any]) -> None:
    named: Json = asked.get("safety_identifier")
    request["metadata"] = {"user_id": asked.get("user") if named is None else named}


def _service_tier(asked: dict[str, Any], request: dict[str, Any]) -> None:
    tier = asked["service_tier"]
    word = _TIERS.get(tier) if isinstance(tier, str) else None
    if word is None:
        raise cannot("service_tier", "there is no such tier there")
    request["service_tier"] = word


FIELDS: Final = Fields(
    carried={
        "messages": _messages,
        "max_tokens": _max_tokens,
        "max_completion_tokens": _max_tokens,
        "stop": _stop,
        "temperature": _temperature,
        "top_p": copied("top_p"),
        "top_k": copied("top_k"),
        "stream": copied("stream"),
        "tools": _tools,
        "tool_choice": _tools,
        "parallel_tool_calls": _tools,
        "response_format": _response_format,
        "reasoning_effort": _reasoning_effort,
        "thinking": copied("thinking"),
        "user": _user,
        "safety_identifier": _user,
        "service_tier": _service_tier,
    },
    dropped={
        "model": "the provider's own name for it is sent",
        "metadata": "labels for OpenAI's own store; the log has them",
        "store": "asks OpenAI to keep the answer; the log does",
        "stream_options": "of the client's stream, which we write",
        "prompt_cache_key": "a hint where to look for a cached prefix",
        "prompt_cache_options": "a hint how to cache; marks inside messages are carried",
        "prompt_cache_retention": "a hint how long to cache",
    },
    refused={
        "audio": (),
        "frequency_penalty": (0,),
        "function_call": (),
        "functions": (),
        "logit_bias": ({},),
        "logprobs": (False,),
        "modalities": (["text"],),
        "moderation": (),
        "n": (1,),
        "prediction": (),
        "presence_penalty": (0,),
        "seed": (),
        "top_logprobs": (0,),
        "verbosity": ("medium",),
        "web_search_options": (),
    },
)
"""`strict` of a response format, and a tool's, cost nothing there. Fields in no table are refused too."""
