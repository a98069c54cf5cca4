"""A request of Anthropic's messages as chat completions take it.

| messages                                    | chat                                                                   |
|---------------------------------------------|------------------------------------------------------------------------|
| system, messages                            | messages, see `turns`                                                  |
| max_tokens                                  | max_completion_tokens, which OpenAI's reasoning models ask for         |
| stop_sequences                              | stop                                                                   |
| temperature, top_p                          | the same                                                               |
| stream                                      | stream, with stream_options.include_usage, as messages always tell it  |
| tools with input_schema, strict             | tools with parameters, strict                                          |
| tool_choice auto, any, tool, none           | auto, required, function, none                                         |
| tool_choice.disable_parallel_tool_use       | parallel_tool_calls false                                              |
| output_config.format                        | response_format json_schema, strict                                    |
| output_config.effort                        | reasoning_effort, the same word                                        |
| thinking enabled with budget_tokens         | reasoning_effort low to 4,096, medium to 16,384, high above            |
| thinking adaptive, disabled, between_tools  | nothing: the effort alone says how much, else the model's default      |
| metadata.user_id                            | user; its SHA-256 where it is longer than the 64 characters of one     |
| service_tier auto, standard_only            | auto, default                                                          |

Dropped and refused fields stand in the table below.
"""

from hashlib import sha256
from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.dialect import Translated
from tailrace.wire.dialects.carrying import (
    Fields,
    a_string,
    an_array,
    an_object,
    cannot,
    copied,
    only,
    with_another,
    written,
)
from tailrace.wire.dialects.messages_as_chat.turns import messages_of

PATH: Final = "/chat/completions"
STREAM_OPTIONS: Final = {"include_usage": True}

_EFFORTS: Final = frozenset(("low", "medium", "high", "xhigh", "max"))
_BUDGETS: Final = ((4096, "low"), (16_384, "medium"))
_QUIET_THINKING: Final = frozenset(("adaptive", "disabled", "between_tools"))
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_MAX_USER_CHARS: Final = 64
_TOOL: Final = frozenset(
    ("type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming")
)
_ASKS_NOTHING: Final = {"defer_loading": False, "allowed_callers": ["direct"], "input_examples": []}
"""Of a tool, what has no counterpart unless it is said to be as it is anyway."""


def translate_request(asked: dict[str, Any], model: str) -> Translated:
    """As `Translation.request`."""
    request: dict[str, Any] = {"model": model}
    FIELDS.carry(asked, request)
    return Translated(PATH, written(request))


def _messages(asked: dict[str, Any], request: dict[str, Any]) -> None:
    request["messages"] = messages_of(asked)


def _stop(asked: dict[str, Any], request: dict[str, Any]) -> None:
    if asked["stop_sequences"]:
        request["stop"] = asked["stop_sequences"]


def _stream(asked: dict[str, Any], request: dict[str, Any]) -> None:
    request["stream"] = asked["stream"]
    if asked["stream"] is True:
        request["stream_options"] = STREAM_OPTIONS


def _tools(asked: dict[str, Any], request: dict[str, Any]) -> None:
    tools = [_tool(an_object(t, f"tools[{i}]"), f"tools[{i}]") for i, t in enumerate(an_array(asked["tools"], "tools"))]
    if tools:
        request["tools"] = tools


def _tool(tool: dict[str, Any], path: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise cannot(f"{path}.type", "it is a tool of Anthropic's own")
    only({name: value for name, value in tool.items() if _ASKS_NOTHING.get(name) != value}, path, _TOOL)
    function: dict[str, Any] = {"name": a_string(tool.get("name"), f"{path}.name")}
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    function["parameters"] = an_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(asked: dict[str, Any], request: dict[str, Any]) -> None:
    choice = an_object(asked["tool_choice"], "tool_choice")
    only(choice, "tool_choice", frozenset(("type", "name", "disable_parallel_tool_use")))
    kind = a_string(choice.get("type"), "tool_choice.type")
    if kind == "tool":
        name = a_string(choice.get("name"), "tool_choice.name")
        request["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        request["tool_choice"] = _CHOICES[kind]
    else:
        raise cannot("tool_choice.type", "there is no such choice there")
    if choice.get("disable_parallel_tool_use") is True:
        request["parallel_tool_calls"] = False


def _output_config(asked: dict[str, Any], request: dict[str, Any]) -> None:
    config = an_object(asked["output_config"], "output_config")
    only(config, "output_config", frozenset(("effort", "format")))
    effort, wanted = config.get("effort"), config.get("format")
    if effort is not None:
        if not isinstance(effort, str) or effort not in _EFFORTS:
            raise cannot("output_config.effort", "there is no such effort there")
        request["reasoning_effort"] = effort
    if wanted is not None:
        wanted = an_object(wanted, "output_config.format")
        only(wanted, "output_config.format", frozenset(("type", "schema")))
        if wanted.get("type") != "json_schema":
            raise cannot("output_config.format.type", "there is no such format there")
        schema = an_object(wanted.get("schema"), "output_config.format.schema")
        json_schema = {"name": "answer", "schema": schema, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": json_schema}


def _thinking(asked: dict[str, Any], request: dict[str, Any]) -> None:
    thinking = an_object(asked["thinking"], "thinking")
    kind = a_string(thinking.get("type"), "thinking.type")
    if kind in _QUIET_THINKING:
        return
    if kind != "enabled":
        raise cannot("thinking.type", "there is no such thinking there")
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        raise cannot("thinking.budget_tokens", "it is no number of tokens")
    config = asked.get("output_config")
    if not isinstance(config, dict) or config.get("effort") is None:
        request["reasoning_effort"] = next((word for limit, word in _BUDGETS if budget <= limit), "high")


def _metadata(asked: dict[str, Any], request: dict[str, Any]) -> None:
    metadata = an_object(asked["metadata"], "metadata")
    only(metadata, "metadata", frozenset(("user_id",)))
    user: Json = metadata.get("user_id")
    if user is not None:
        name = a_string(user, "metadata.user_id")
        request["user"] = name if len(name) <= _MAX_USER_CHARS else sha256(name.encode()).hexdigest()


def _service_tier(asked: dict[str, Any], request: dict[str, Any]) -> None:
    tier = asked["service_tier"]
    word = _TIERS.get(tier) if isinstance(tier, str) else None
    if word is None:
        raise cannot("service_tier", "there is no such tier there")
    request["service_tier"] = word


FIELDS: Final = Fields(
    carried={
        "system": with_another,
        "messages": _messages,
        "max_tokens": copied("max_tokens", "max_completion_tokens"),
        "stop_sequences": _stop,
        "temperature": copied("temperature"),
        "top_p": copied("top_p"),
        "stream": _stream,
        "tools": _tools,
        "tool_choice": _tool_choice,
        "output_config": _output_config,
        "thinking": _thinking,
        "metadata": _metadata,
        "service_tier": _service_tier,
    },
    dropped={
        "model": "the provider's own name for it is sent",
        "cache_control": "a hint where a cached prefix ends",
        "context_management": "has Anthropic leave out old parts; all of them are sent",
        "diagnostics": "asks why Anthropic's cache was missed",
    },
    refused={
        "container": (),
        "inference_geo": (),
        "mcp_servers": ([],),
        "speed": ("standard",),
        "top_k": (),
        "user_profile_id": (),
        "workspace_id": (),
    },
)
"""Fields in no table are refused too."""
