"""The tools of a chat request, and which of them the model must, may or must not call.

Owns: reading, and refusing what is no function. How a dialect says it is the business of each translation.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from tailrace.records import Json
from tailrace.wire.dialects.carrying import a_string, an_array, an_object, cannot, only

_FUNCTION: Final = frozenset(("name", "description", "parameters", "strict"))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str | None
    parameters: dict[str, Any] | None  # a JSON schema
    strict: bool
    mark: Json  # `cache_control`, as OpenRouter and others take it


@dataclass(frozen=True, slots=True)
class Choice:
    """`names`: the only functions that may be called; empty where any may. `one`: exactly the named one must be."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: tuple[str, ...] = ()
    one: bool = False


def read_tools(asked: dict[str, Any]) -> list[Tool]:
    """The functions in `tools`. Raises Refused."""
    tools = asked.get("tools")
    return [] if tools is None else [_tool(tool, f"tools[{i}]") for i, tool in enumerate(an_array(tools, "tools"))]


def read_choice(asked: dict[str, Any]) -> Choice | None:
    """What `tool_choice` says, None where it says nothing. Raises Refused."""
    choice = asked.get("tool_choice")
    if choice is None:
        return None
    if choice in ("auto", "none", "required"):
        return Choice(choice)
    said = an_object(choice, "tool_choice")
    if said.get("type") == "allowed_tools":
        return _allowed(an_object(said.get("allowed_tools"), "tool_choice.allowed_tools"))
    return Choice("required", (_function_name(said, "tool_choice"),), one=True)


def _tool(said: Json, path: str) -> Tool:
    tool = an_object(said, path)
    if tool.get("type") not in (None, "function"):
        raise cannot(f"{path}.type", "it is no function")
    only(tool, path, frozenset(("type", "function", "cache_control")))
    function = an_object(tool.get("function"), f"{path}.function")
    only(function, f"{path}.function", _FUNCTION)
    description, parameters = function.get("description"), function.get("parameters")
    return Tool(
        a_string(function.get("name"), f"{path}.function.name"),
        None if description is None else a_string(description, f"{path}.function.description"),
        None if parameters is None else an_object(parameters, f"{path}.function.parameters"),
        function.get("strict") is True,
        tool.get("cache_control"),
    )


def _allowed(said: dict[str, Any]) -> Choice:
    path = "tool_choice.allowed_tools"
    mode = said.get("mode")
    if mode not in ("auto", "required"):
        raise cannot(f"{path}.mode", "it is neither auto nor required")
    tools = an_array(said.get("tools"), f"{path}.tools")
    names = [_function_name(an_object(t, f"{path}.tools[{j}]"), f"{path}.tools[{j}]") for j, t in enumerate(tools)]
    return Choice(mode, tuple(names))


def _function_name(said: dict[str, Any], path: str) -> str:
    if said.get("type") != "function":
        raise cannot(f"{path}.type", "it is no function")
    return a_string(an_object(said.get("function"), f"{path}.function").get("name"), f"{path}.function.name")
