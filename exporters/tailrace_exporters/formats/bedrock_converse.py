"""Bedrock's rows for Amazon Nova: the Converse shape, strictly in turns, with words that may not occur.

    {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "S"}],
     "messages": [{"role": "user", "content": [{"text": "U"}]}, {"role": "assistant", "content": [{"text": "A"}]}]}

Every answer is learned. Nova's fine-tuning takes no tools; images only from S3, by their address. Sources: AWS's
`nova_ft_dataset_validator.py` (aws-samples/amazon-bedrock-samples) and the guide to Nova's supervised fine-tuning.
"""

import re
from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, images
from tailrace_exporters.formats.base import Format, Limits, Line, Problem, UnfitError, settled
from tailrace_exporters.formats.bedrock_claude import TURN_REASONS, back, plain_turns, turns
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.rows import Row

SCHEMA: Final = "bedrock-conversation-2024"
FORBIDDEN: Final = (
    *("System:", "SYSTEM:", "User:", "USER:", "Bot:", "BOT:", "Assistant:", "ASSISTANT:", "Thought:"),
    *("[EOS]", "<image>", "<video>"),
)
"""The validator's list."""
_WORDS: Final = "forbidden_words"
_IMAGE: Final = re.compile(r"s3://[\w\-/.]+\.(png|jpeg|jpg|gif)")
_FORMATS: Final = ("png", "jpeg", "gif")  # what Nova 1 and Nova 2 both take
_MOST_IMAGES: Final = 10

_READ: Final = Dialect(
    vendor="Bedrock",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={"user": ("text", "image_url")},
    top=("messages",),
    weights=False,
)


def project(row: Row) -> Line:
    """A row as one line of the file."""
    line, leading = plain_turns(row, _READ)
    messages = line.value["messages"]
    value: dict[str, Json] = {"schemaVersion": SCHEMA}
    if leading:
        value["system"] = [{"text": message["content"]} for message in messages[:leading]]
    value["messages"] = [
        {"role": message["role"], "content": _blocks(message["content"], f"/messages/{index}/content")}
        for index, message in enumerate(messages)
        if index >= leading
    ]
    return settled(Line(value, line.rules), check(value), lambda pointer: _origin(pointer, leading))


def check(line: Json) -> Iterator[Problem]:
    """What Bedrock would refuse about a line."""
    if type(line) is not dict or line.get("schemaVersion") != SCHEMA:
        yield Problem("/schemaVersion", f"is {SCHEMA}", chat_rules.SHAPE)
        return
    yield from chat_rules.unknown_keys(line, ("schemaVersion", "system", "messages"), "")
    system = line.get("system", [])
    if type(system) is not list:
        yield Problem("/system", "a list of texts", chat_rules.SHAPE)
        return
    yield from _contents(system, ("text",), "/system")
    messages = line.get("messages")
    if type(messages) is not list or not messages:
        yield Problem("/messages", "a line has a list of messages", chat_rules.SHAPE)
        return
    yield from turns(messages)
    for index, message in enumerate(messages):
        if type(message) is dict:
            yield from _message(message, f"/messages/{index}")


def _message(message: dict[str, Json], at: str) -> Iterator[Problem]:
    yield from chat_rules.unknown_keys(message, ("role", "content"), at)
    content = message.get("content")
    if type(content) is not list or not content:
        yield Problem(f"{at}/content", "a list of blocks", chat_rules.SHAPE)
        return
    kinds = ("text", "image") if message.get("role") == "user" else ("text",)
    yield from _contents(content, kinds, f"{at}/content")
    if not any(type(block) is dict and (block.get("text") or block.get("image")) for block in content):
        yield Problem(f"{at}/content", "there is nothing in it", "empty_text")
    pictures = sum(type(block) is dict and "image" in block for block in content)
    if pictures > _MOST_IMAGES:
        yield Problem(f"{at}/content", f"{pictures} images; Nova takes {_MOST_IMAGES}", images.TOO_MANY)


def _contents(blocks: list[Json], kinds: tuple[str, ...], at: str) -> Iterator[Problem]:
    for index, block in enumerate(blocks):
        if type(block) is not dict or len(block) != 1 or next(iter(block)) not in kinds:
            yield Problem(f"{at}/{index}", f"one member: {' or '.join(kinds)}", "unknown_part")
        elif "text" in block:
            yield from _text(block["text"], f"{at}/{index}/text")
        elif not _image(block["image"]):
            yield Problem(
                f"{at}/{index}/image", f"an image of S3, of format {', '.join(_FORMATS)}, by its address", images.UNFIT
            )


def _text(text: Json, at: str) -> Iterator[Problem]:
    if type(text) is not str:
        yield Problem(at, "is text", chat_rules.SHAPE)
        return
    found = [word for word in FORBIDDEN if word in text]
    if found:
        yield Problem(at, f"Nova takes no text with {', '.join(found)}", _WORDS)


def _image(image: Json) -> bool:
    if type(image) is not dict or set(image) != {"format", "source"} or image["format"] not in _FORMATS:
        return False
    source = image["source"]
    place = source.get("s3Location") if type(source) is dict and len(source) == 1 else None
    uri = place.get("uri") if type(place) is dict and set(place) <= {"uri", "bucketOwner"} else None
    return type(uri) is str and re.fullmatch(r"s3://[\w\-/.]+", uri) is not None


def _blocks(content: Json, pointer: str) -> list[Json]:
    if type(content) is str:
        return [{"text": content}]
    return [_block(part, f"{pointer}/{n}") for n, part in enumerate(content or [])]


def _block(part: dict[str, Json], pointer: str) -> Json:
    if part["type"] == "text":
        return {"text": part["text"]}
    image = part["image_url"]
    url = image.get("url") if type(image) is dict else None
    found = _IMAGE.fullmatch(url) if type(url) is str else None
    if found is None:
        raise UnfitError(images.UNFIT, f"{pointer}/image_url")
    kind = "jpeg" if found[1] == "jpg" else found[1]
    return {"image": {"format": kind, "source": {"s3Location": {"uri": url}}}}


def _origin(pointer: str, leading: int) -> str:
    """A block of `system` is a message of the row; a message's text was its whole content, or a part of it."""
    if pointer.startswith("/system/"):
        return f"/messages/{pointer.split('/')[2]}/content"
    return back("/".join(pointer.split("/")[:4]), leading)


FORMAT: Final = Format(
    about="Bedrock fine-tuning and distillation of Amazon Nova (JSONL), without tools",
    project=project,
    rules=chat.TEXT_RULES,
    reasons=TURN_REASONS | images.REASONS | {_WORDS: f"a text has one of {', '.join(FORBIDDEN)}"},
    limits=Limits(least_rows=8, most_rows=20_000),
    check=check,
)
