"""A message in two parts: the core that clients echo, and the rest that comes and goes on the way. Pure.

A provider answers `{"role", "content", "refusal": null, "annotations": []}`; the next request brings the same text
back without the nulls, or as a list of one text part, or with a cache marker on it. Stored whole, each form would
repeat the text. So an answer's message is filed as its core, with the rest left in the answer's envelope; and a long
message of a request as a reference to its core's row, with the rest beside it:

    body of a message row = JSON | "@" core's row id, then the rest's JSON           (either JSON may be a zstd frame)
    rest = {"+": {member: value}, "part": {member: value}}      "part": the content was one text part with these members
"""

from typing import Final

from tailrace.records import Json

REFERENCE: Final = b"@"
_CORE: Final = frozenset(("role", "content", "name", "tool_calls", "tool_call_id"))
_TEXT_PART: Final = frozenset(("type", "text"))


def divide(message: Json) -> tuple[Json, Json | None]:
    """`(core, rest)` of a message; the rest is None where the message is its own core, as anything but an object is."""
    if type(message) is not dict:
        return message, None
    content = message.get("content")
    if _CORE.issuperset(message) and type(content) is str and None not in message.values():
        return message, None
    core = {key: value for key, value in message.items() if key in _CORE and value is not None}
    rest: dict[str, Json] = {}
    if len(core) < len(message):
        rest["+"] = {key: value for key, value in message.items() if key not in core}
    if type(content) is list and len(content) == 1 and _is_text(content[0]):
        core["content"] = content[0]["text"]
        rest["part"] = {key: value for key, value in content[0].items() if key not in _TEXT_PART}
    return (core, rest) if rest else (message, None)


def whole(core: Json, rest: Json | None) -> Json:
    """The message that `divide` took apart; a new object where there is a rest."""
    if not rest:
        return core
    message = dict(core)
    if "part" in rest:
        message["content"] = [{"type": "text", "text": core["content"], **rest["part"]}]
    return message | rest.get("+", {})


def refer(core_id: int, packed_rest: bytes) -> bytes:
    """The body of a row that refers to its core."""
    return b"%b%d%b" % (REFERENCE, core_id, packed_rest)


def referred(body: bytes) -> tuple[int, bytes] | None:
    """`(core's row id, packed rest)` of a stored body, or None where it is a whole message."""
    if not body.startswith(REFERENCE):
        return None
    end = 1
    while body[end : end + 1].isdigit():
        end += 1
    return int(body[1:end]), body[end:]


def _is_text(part: Json) -> bool:
    return type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str
