"""The turns of a chat as Anthropic's messages.

    system, developer    a block of `system`
    user                 text, image (data or http), document (PDF or plain text); no sound
    assistant            thinking_blocks, then text, then tool_use
    tool                 tool_result, in a user's message

Turns of the same role that follow each other are one message, which Anthropic's alternation needs: the results of
parallel calls stand together, and the user's next words with them. An empty text beside other blocks is left out, as
Anthropic takes none.
"""

import re
from base64 import b64decode
from typing import Any, Final

from tailrace.wire.dialects.carrying import cannot
from tailrace.wire.dialects.chat_turns import Media, Text, Turn, read_turns

_NO_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
Block = dict[str, Any]


def messages_of(asked: dict[str, Any]) -> tuple[list[Block], list[dict[str, Any]]]:
    """`system` and `messages`. Raises Refused."""
    system: list[Block] = []
    messages: list[dict[str, Any]] = []
    for turn in read_turns(asked):
        if turn.role == "system":
            system += _filled([_block(part) for part in turn.parts])
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = _blocks(turn)
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    for message in messages:
        message["content"] = _filled(message["content"]) or message["content"]
    return system, messages


def _blocks(turn: Turn) -> list[Block]:
    blocks = [_block(part) for part in turn.parts]
    if turn.role == "tool":
        return [_tool_result(turn, blocks)]
    uses = [{"type": "tool_use", "id": _id(c.id), "name": c.name, "input": c.arguments} for c in turn.calls]
    return [*turn.thinking, *blocks, *uses]


def _tool_result(turn: Turn, blocks: list[Block]) -> Block:
    bare = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    return {"type": "tool_result", "tool_use_id": _id(turn.call_id), "content": blocks[0]["text"] if bare else blocks}


def _block(part: Text | Media) -> Block:
    block = {"type": "text", "text": part.text} if isinstance(part, Text) else _media(part)
    if part.mark is not None:
        block["cache_control"] = part.mark
    return block


def _media(media: Media) -> Block:
    if media.kind == "image":
        return {"type": "image", "source": _image_source(media)}
    if media.kind == "file":
        block: Block = {"type": "document", "source": _document_source(media)}
        if media.name:
            block["title"] = media.name
        return block
    raise cannot(media.path, "it takes no sound")


def _image_source(media: Media) -> Block:
    if not media.url:
        return {"type": "base64", "media_type": media.mime, "data": media.data}
    if media.url.startswith(("https://", "http://")):
        return {"type": "url", "url": media.url}
    raise cannot(media.path, "it is neither a data URI nor an http address")


def _document_source(media: Media) -> Block:
    if media.mime == "application/pdf":
        return {"type": "base64", "media_type": media.mime, "data": media.data}
    if media.mime != "text/plain":
        raise cannot(media.path, "it is neither a PDF nor plain text")
    try:
        plain = b64decode(media.data, validate=True).decode()
    except ValueError as exc:  # base64's and the codec's alike
        raise cannot(media.path, "it is no text in base64") from exc
    return {"type": "text", "media_type": media.mime, "data": plain}


def _filled(blocks: list[Block]) -> list[Block]:
    return [block for block in blocks if block.get("type") != "text" or block.get("text") != ""]


def _id(call_id: str) -> str:
    """Anthropic's ids know fewer characters than those of other providers, whose calls a chat may go on with."""
    return _NO_ID.sub("_", call_id)
