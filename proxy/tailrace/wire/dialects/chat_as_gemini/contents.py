"""The turns of a chat as Gemini's contents.

    system, developer    a part of systemInstruction
    user                 text; inlineData for what comes in base64, fileData for an http or gs address
    assistant            role model: text, then functionCall, each with the thought signature it came with
    tool                 functionResponse, named after the call it answers; media as its parts

The answers to parallel calls stand in one content, as Gemini wants them. A function call without its signature, from
another provider or through a client that lost it, gets the one with which Google lets such histories pass.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from tailrace.wire.dialects.carrying import cannot
from tailrace.wire.dialects.chat_as_gemini.models import is_before_3
from tailrace.wire.dialects.chat_turns import Media, Text, Turn, read_turns

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""From Google's page on thought signatures, for histories that Gemini did not write."""

_SCHEMES: Final = ("https://", "http://", "gs://")
_MIMES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
}
"""By a path's ending, for addresses, where chat says no media type."""

Part = dict[str, Any]


def contents_of(asked: dict[str, Any], model: str) -> tuple[list[Part], list[dict[str, Any]]]:
    """The parts of systemInstruction, and contents. Raises Refused."""
    signs = not is_before_3(model)
    names: dict[str, str] = {}
    system: list[Part] = []
    contents: list[dict[str, Any]] = []
    answering = False
    for turn in read_turns(asked):
        names |= {call.id: call.name for call in turn.calls}
        if turn.role == "system":
            system += [_part(part) for part in turn.parts]
        elif turn.role == "tool":
            if not answering:
                contents.append({"role": "user", "parts": []})
            contents[-1]["parts"].append(_response(turn, names))
        elif turn.role == "user":
            contents.append({"role": "user", "parts": [_part(part) for part in turn.parts]})
        else:
            contents.append({"role": "model", "parts": _model_parts(turn, signs=signs)})
        answering = turn.role == "tool" or (turn.role == "system" and answering)
    return system, contents


def _model_parts(turn: Turn, *, signs: bool) -> list[Part]:
    parts = [_part(part) for part in turn.parts if not (turn.calls and isinstance(part, Text) and not part.text)]
    if turn.signature:
        if not parts:
            parts.append({"text": ""})
        parts[-1]["thoughtSignature"] = turn.signature
    for place, call in enumerate(turn.calls):
        part: Part = {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
        signature = call.signature or (NO_SIGNATURE if signs and place == 0 else "")
        if signature:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def _response(turn: Turn, names: dict[str, str]) -> Part:
    name = names.get(turn.call_id) or turn.tool_name
    if not name:
        raise cannot(f"{turn.path}.tool_call_id", "no call before it has this id")
    texts = [part.text for part in turn.parts if isinstance(part, Text)]
    response: dict[str, Any] = {"id": turn.call_id, "name": name, "response": {"output": "\n".join(texts)}}
    media = [_part(part) for part in turn.parts if isinstance(part, Media)]
    if media:
        response["parts"] = media
    return {"functionResponse": response}


def _part(part: Text | Media) -> Part:
    if isinstance(part, Text):
        return {"text": part.text}
    if not part.url:
        if not part.mime:
            raise cannot(part.path, "it does not say of what media type it is")
        return {"inlineData": {"mimeType": part.mime, "data": part.data}}
    if not part.url.startswith(_SCHEMES):
        raise cannot(part.path, "it is neither a data URI nor an http or gs address")
    mime = _mime(part.url)
    return {"fileData": {"fileUri": part.url, "mimeType": mime} if mime else {"fileUri": part.url}}


def _mime(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:  # an address with a broken host; the provider will say so
        return ""
    return _MIMES.get(path.rpartition(".")[2].lower(), "")
