"""`POST /v1/responses`: OpenAI's responses.

Why an answer ended is told in the words of chat, which queries and recipes know:

    completed → tool_calls where its last item is a call that the client must answer, else stop
    incomplete → length where the reason is max_output_tokens, else the reason        failed, cancelled → the same

For linking, the items between two of the client's own are one message of the assistant: its texts, and its calls as
tool calls. Reasoning is no part of it, as clients leave it out. What a call put out is a tool's message.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tailrace.errors import Code, Refused
from tailrace.records import Endpoint, Json
from tailrace.wire.endpoint import EndpointWire, Read
from tailrace.wire.fold_responses import KINDS, fold_responses
from tailrace.wire.opening import no_object, short_text
from tailrace.wire.typed_scan import TypedScan
from tailrace.wire.usage import read_usage, reason_word

_REASONS: Final[Mapping[str, str]] = {"max_output_tokens": "length"}
_CLIENTS_CALLS: Final = frozenset(
    ("function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call")
)
_OUTPUTS: Final = frozenset(f"{call}_output" for call in _CLIENTS_CALLS)
_SETTINGS: Final = frozenset(("additional_tools", "configuration_update", "compaction_trigger"))
_SILENT: Final = frozenset(("reasoning", "mcp_list_tools", "compaction"))
"""Items of the assistant that are no part of what it said."""

_PASSING: Final = frozenset(("id", "status", "type"))
_REASONING_ID: Final = "rs_"


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Raises Refused where `input` is neither text nor a list of objects."""
    asked = parsed.get("input")
    if asked is None or isinstance(asked, str):
        return Read(first_user=short_text(asked))
    if not isinstance(asked, list):
        raise Refused(Code.INVALID_REQUEST, "`input` must be a string or an array of objects.", status=400)
    answers, before = 0, ""
    first: dict[str, Any] | None = None
    for item in asked:
        if not isinstance(item, dict):
            raise no_object("input", asked, item)
        side = _side(item)
        if side == "assistant":
            answers += before != "assistant"
        elif first is None and side == "user":
            first = item
        before = side
    return Read(1 + answers, "" if first is None else short_text(first.get("content")))


def finish_reason(answer: Json) -> str | None:
    """As `EndpointWire.finish_reason`."""
    if not isinstance(answer, dict):
        return None
    status = answer.get("status")
    if status == "completed":
        output = answer.get("output")
        last = output[-1] if isinstance(output, list) and output else None
        return "tool_calls" if isinstance(last, dict) and _kind(last) in _CLIENTS_CALLS else "stop"
    if status == "incomplete":
        details = answer.get("incomplete_details")
        reason = reason_word(details.get("reason")) if isinstance(details, dict) else None
        return status if reason is None else _REASONS.get(reason, reason)
    return status if status in ("failed", "cancelled") else None


def turns_of(request: Json) -> Sequence[dict[str, Any]]:
    """As `EndpointWire.turns_of`. `instructions` are no turn."""
    asked = request.get("input") if isinstance(request, dict) else None
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if not isinstance(asked, list):
        return ()
    turns: list[dict[str, Any]] = []
    run: list[dict[str, Any]] = []
    for item in asked:
        side = _side(item) if isinstance(item, dict) else ""
        if side == "assistant":
            run.append(item)
            continue
        if run:
            turns.append(_said(run))
            run = []
        if isinstance(item, dict):
            turns.append({"role": side, "content": _content(item)})
    return [*turns, _said(run)] if run else turns


def answers_of(answer: Json) -> Sequence[tuple[int, dict[str, Any]]]:
    """As `EndpointWire.answers_of`: all items of the output are one message."""
    output = answer.get("output") if isinstance(answer, dict) else None
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    return [(0, _said(items))] if items else ()


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    if kind is None and "content" not in item and isinstance(item.get("id"), str):
        return "item_reference"
    return kind if isinstance(kind, str) else ""


def _side(item: dict[str, Any]) -> str:
    """Whose turn an item belongs to, as a role."""
    kind = _kind(item)
    role = item.get("role")
    if kind in {"", "message"} and isinstance(role, str):
        return role
    if kind in _OUTPUTS or kind == "mcp_approval_response":
        return "tool"
    if kind == "tool_search_output":
        return "tool" if item.get("execution") == "client" else "assistant"
    return "system" if kind in _SETTINGS else "assistant"


def _content(item: dict[str, Any]) -> Json:
    """What an item of the client's says."""
    if "content" in item:
        return item["content"]
    if "output" in item:
        return item["output"]
    return {name: value for name, value in item.items() if name not in _PASSING}


def _said(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Items of the assistant as one message."""
    texts: list[Json] = []
    calls: list[dict[str, Any]] = []
    for item in items:
        kind = _kind(item)
        if kind in {"", "message"}:
            content = item.get("content")
            texts.extend(content if isinstance(content, list) else () if content is None else (content,))
        elif kind not in _SILENT and (call := _call(kind, item)) is not None:
            calls.append(call)
    return {"role": "assistant", "content": texts, "tool_calls": calls}


def _call(kind: str, item: dict[str, Any]) -> dict[str, Any] | None:
    """An item as a chat message has it among its tool calls: with what stays the same when a client echoes it."""
    if kind == "function_call":
        return {"function": {"name": item.get("name"), "arguments": item.get("arguments")}}
    if kind == "custom_tool_call":
        return {"custom": {"name": item.get("name"), "input": item.get("input")}}
    if kind == "item_reference":
        id_ = item.get("id")
        if isinstance(id_, str) and id_.startswith(_REASONING_ID):
            return None
        return {"function": {"name": kind, "arguments": {"id": id_}}}
    kept = {name: value for name, value in item.items() if name not in _PASSING and value is not None}
    return {"function": {"name": kind, "arguments": kept}}


WIRE: Final = EndpointWire(
    endpoint=Endpoint.RESPONSES,
    path="/responses",
    read=read,
    scan=lambda _: TypedScan(KINDS),
    fold=fold_responses,
    usage=lambda answer, ended: read_usage(answer, ended=ended),
    finish_reason=finish_reason,
    turns_of=turns_of,
    answers_of=answers_of,
)
