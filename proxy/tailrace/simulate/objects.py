"""What official clients need of an answer to go on, on the paths that hold no completion.

Owns the shapes, by path: one function and one line in `_SHAPES` for each. Nothing is remembered: a file that is asked
for again is not the one that was sent.
Source of the shapes: OpenAI's API reference, as openai-python 3.x types them.
"""

import base64
import re
from collections.abc import Callable
from typing import Final

from tailrace.records import Json
from tailrace.simulate import messages
from tailrace.simulate.answer import Answer, Asked, Stamp, counts_of
from tailrace.simulate.ledger import SimRequest

_PIXEL: Final = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\1\0\0\5\0\1\r\n-\xb4"
    b"\0\0\0\0IEND\xaeB`\x82"
).decode()

Shape = Callable[[SimRequest, Asked, Stamp], dict[str, Json]]


def like(request: SimRequest, asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001
    """What an answer to `request` holds beside the word on what was received."""
    key = (request.method, request.path)
    shape = next((shape for (method, path), shape in _SHAPES.items() if key[0] == method and path.search(key[1])), None)
    return {} if shape is None else shape(request, asked, stamp)


def _file(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    upload = request.upload
    file = None if upload is None else upload.file
    return {
        "id": f"file-sim{stamp.number:020d}",
        "object": "file",
        "bytes": 0 if file is None else file.size_bytes,
        "sha256": request.sha256 if file is None else file.sha256,
        "filename": "" if file is None else file.filename,
        "purpose": None if upload is None else upload.field("purpose"),
        "created_at": stamp.created,
        "status": "processed",
    }


def _transcript(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    file = None if request.upload is None else request.upload.file
    said = "Nothing was heard." if file is None else f"{file.filename}, {file.size_bytes} bytes."
    return {"text": said, "language": "english", "duration": 1.0, "segments": []}


def _images(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    wanted = asked.body.get("n")
    number = wanted if isinstance(wanted, int) and 0 < wanted <= 10 else 1
    return {"created": stamp.created, "data": [{"b64_json": _PIXEL} for _ in range(number)]}


def _moderation(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    given = asked.body.get("input")
    verdict = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.01}}
    results = [verdict for _ in (given if isinstance(given, list) else [given])]
    return {"id": f"modr-sim{stamp.number:020d}", "model": asked.model, "results": results}


def _counted(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    question = messages.read({"max_tokens": 1, **asked.body}, request.path)
    return {"input_tokens": counts_of(question, Answer("")).prompt}


def _listed(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    return {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def _deleted(request: SimRequest, asked: Asked, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - the interface
    return {"id": request.path.rpartition("/")[2], "deleted": True}


def _made(prefix: str, kind: str, status: str) -> Shape:
    """A thing that was asked for, with what was said of it."""
    return lambda _request, asked, stamp: {
        **asked.body,
        "id": f"{prefix}sim{stamp.number:020d}",
        "object": kind,
        "created_at": stamp.created,
        "status": status,
    }


_SHAPES: Final[dict[tuple[str, re.Pattern[str]], Shape]] = {
    ("POST", re.compile(r"/files$")): _file,
    ("POST", re.compile(r"/audio/(transcriptions|translations)$")): _transcript,
    ("POST", re.compile(r"/images/(generations|edits|variations)$")): _images,
    ("POST", re.compile(r"/moderations$")): _moderation,
    ("POST", re.compile(r"/messages/count_tokens$")): _counted,
    ("POST", re.compile(r"/messages/batches$")): _made("msgbatch_", "message_batch", "in_progress"),
    ("POST", re.compile(r"/batches$")): _made("batch_", "batch", "validating"),
    ("POST", re.compile(r"/vector_stores$")): _made("vs_", "vector_store", "completed"),
    ("POST", re.compile(r"/fine_tuning/jobs$")): _made("ftjob-", "fine_tuning.job", "queued"),
    ("POST", re.compile(r"/conversations$")): _made("conv_", "conversation", "completed"),
    ("GET", re.compile(r"/(files|batches|vector_stores|jobs|completions)$")): _listed,
    ("DELETE", re.compile(r"/(files|vector_stores|conversations)/[^/]+$")): _deleted,
}
"""The first that matches counts."""
