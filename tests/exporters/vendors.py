"""What the tests of the vendors' formats share: rows made into lines, refusals, what a check finds."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import Line, UnfitError
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.logged import said, user
from tests.exporters.test_formats import CALLING, RESULT, row

SYSTEM: Final = {"role": "system", "content": "S"}
CHAT: Final = ("openai-chat", "azure-chat", "together", "fireworks", "mistral")
IN_TURNS: Final = ("vertex-gemini", "bedrock-converse", "bedrock-claude")
STEPS: Final = [user("rain?"), CALLING, RESULT, said("It rains.")]


def made(name: str, messages: Sequence[Json], **fields: Any) -> Line:
    return FORMATS[name].project(row(messages, **fields))


def refused(name: str, messages: Sequence[Json], **fields: Any) -> tuple[str, str]:
    with pytest.raises(UnfitError) as caught:
        made(name, messages, **fields)
    assert caught.value.reason in FORMATS[name].reasons
    return caught.value.reason, caught.value.pointer


def found(name: str, line: Json) -> list[tuple[str, str]]:
    """Pointers and reasons of what a check finds."""
    return [(problem.pointer, problem.reason) for problem in FORMATS[name].check(line)]


def picture(url: str, text: str = "what?") -> Json:
    return {
        "role": "user",
        "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}],
    }


def png(size_bytes: int = 3) -> str:
    return "data:image/png;base64," + base64.b64encode(bytes(size_bytes)).decode()


def preference(messages: Sequence[Json], rejected: Json, **fields: Any) -> Row:
    last = len(messages) - 1
    return replace(
        row(messages, learn=[last], **fields), kind=Kind.PREFERENCE, judgement=Judgement("told", 0.9, rejected=rejected)
    )
