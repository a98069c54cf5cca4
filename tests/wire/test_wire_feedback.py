"""Feedback is read or refused, never a surprise further on."""

import orjson
import pytest

from tailrace.errors import Refused
from tailrace.journal.entries import decode_feedback, encode_feedback
from tailrace.records import Feedback
from tailrace.wire.feedback import read_feedback


def read(body: bytes, *, project: str = "p", key: str | None = "k", idempotency: str | None = None) -> Feedback:
    return read_feedback(body, at_us=1, project=project, key=key, idempotency=idempotency)


def test_what_is_said_is_kept() -> None:
    said = {
        "id": "x", "score": 1, "thumb": "down", "text": "no", "correction": "Yes.", "source": "judge",
        "tags": {"a": "b"},
    }  # fmt: skip
    found = read(orjson.dumps(said))
    assert (found.target, found.score, found.thumb, found.text) == ("x", 1.0, "down", "no")
    assert (found.correction, found.source, found.tags) == (
        {"role": "assistant", "content": "Yes."}, "judge", {"a": "b"}
    )  # fmt: skip
    assert decode_feedback(encode_feedback(found)) == found


def test_the_same_again_has_the_same_id_and_nobody_else_s() -> None:
    one = b'{"id":"x","thumb":"up"}'
    assert read(one).id == read(b'{ "thumb": "up", "id": "x" }').id
    others = [read(one, project="q"), read(one, key=None), read(one, idempotency="i"), read(b'{"id":"y","thumb":"up"}')]
    assert len({found.id for found in [read(one), *others]}) == 5
    assert read(one, idempotency="i").id == read(b'{"id":"z","score":0}', idempotency="i").id


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "JSON object"),
        (b'{"id":"x"}', "says nothing"),
        (b'{"thumb":"up"}', "`id`"),
        (b'{"id":"","thumb":"up"}', "`id`"),
        (b'{"id":"x","thumb":"up","scor":1}', "`scor`"),
        (b'{"id":"x","thumb":["up"]}', "`thumb`"),
        (b'{"id":"x","score":true}', "`score`"),
        (b'{"id":"x","score":"1"}', "`score`"),
        (b'{"id":"x","text":1}', "`text`"),
        (b'{"id":"x","thumb":"up","source":7}', "`source`"),
        (b'{"id":"x","correction":{"role":"user"}}', "`correction`"),
        (b'{"id":"x","thumb":"up","tags":{"a":1}}', "`tags`"),
        (b'{"id":"x","thumb":"up","tags":[]}', "`tags`"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, word: str) -> None:
    with pytest.raises(Refused, match=word):
        read(body)


def deep(depth: int) -> bytes:
    return b'{"id":"x","correction":{"content":' + b"[" * depth + b"]" * depth + b"}}"


@pytest.mark.parametrize("idempotency", [None, "i"])
def test_what_is_taken_can_be_written_however_deep(idempotency: str | None) -> None:
    taken = read(deep(251), idempotency=idempotency)
    assert decode_feedback(encode_feedback(taken)) == taken
    for depth in range(252, 260):
        with pytest.raises(Refused, match="nested too deep"):
            read(deep(depth), idempotency=idempotency)
