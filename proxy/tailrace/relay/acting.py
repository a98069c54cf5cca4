"""What an action does to a call, and what is logged and told of it. Pure: a call comes in, a call goes out.

route  another model is asked for         reply    the answer is there, no provider is asked
note   words before the user's turn       tag      one more tag on the completion
webhook  nothing here: the labeller calls it, from the log
"""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

import orjson

from tailrace.classify.actions import Act
from tailrace.classify.cascade import Said
from tailrace.records import Do
from tailrace.relay.accept import Accepted
from tailrace.relay.outbound import Header
from tailrace.wire.fixed import ANSWERED, Fixed, fixed_answer
from tailrace.wire.noting import CannotNote, with_note
from tailrace.wire.request import read_request

LABEL_HEADER: Final = b"x-tailrace-label"
_MOST_HEADER_CHARS: Final = 512
_NO_PLACE: Final = "no_place"
"""The error of an action that this endpoint has no place for."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A call after the stage."""

    accepted: Accepted
    reply: Fixed | None = None  # the answer, instead of a provider's
    headers: tuple[Header, ...] = ()  # of the answer


def carried_out(staged: Staged, act: Act) -> tuple[Staged, str | None]:
    """The call with the action on it, and why it could not be."""
    accepted, action = staged.accepted, act.action
    match Do(action.do):
        case Do.ROUTE:
            return replace(staged, accepted=replace(accepted, routed=action.target)), None
        case Do.TAG:
            assert act.tag is not None
            name, value = act.tag
            told = replace(accepted.told, tags={**(accepted.told.tags or {}), name: value})
            return replace(staged, accepted=replace(accepted, told=told)), None
        case Do.NOTE:
            return _noted(staged, action.text or "")
        case Do.REPLY:
            if accepted.endpoint not in ANSWERED:
                return staged, _NO_PLACE
            reply = fixed_answer(
                accepted.endpoint, accepted.request.parsed, action.text or "",
                id_=str(accepted.arrival.id), created_s=accepted.arrival.at_us // 1_000_000,
            )  # fmt: skip
            return replace(staged, reply=reply), None
        case Do.WEBHOOK:
            return staged, None


def _noted(staged: Staged, note: str) -> tuple[Staged, str | None]:
    accepted = staged.accepted
    try:
        body = with_note(accepted.endpoint, accepted.body, accepted.request.parsed, note)
    except CannotNote:
        return staged, _NO_PLACE
    request = replace(read_request(body, accepted.wire), step=accepted.request.step)
    original = accepted.body if accepted.original is None else accepted.original
    return replace(staged, accepted=replace(accepted, body=body, request=request, original=original)), None


def label_header(name: str, said: Said) -> Header:
    """`x-tailrace-label: NAME=LABEL;source=…;confidence=…`, what is no plain text percent-encoded (RFC 3986)."""
    label = said.value if isinstance(said.value, str) else ",".join(said.value) if isinstance(said.value, tuple) else ""
    if not label:
        label = "none" if said.value is None else orjson.dumps(said.value).decode()
    text = f"{name}={quote(label[:_MOST_HEADER_CHARS], safe=' ,:+/()')[:_MOST_HEADER_CHARS]};source={said.source}"
    if said.confidence is not None:
        text += f";confidence={said.confidence:.4f}"
    if said.error is not None:
        text += f";error={said.error}"
    return LABEL_HEADER, text.encode()
