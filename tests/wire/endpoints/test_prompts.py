"""What the relay learns of requests that are no conversation."""

from typing import Any

import pytest

from tailrace.wire.endpoint import Read
from tailrace.wire.endpoints import completions, embeddings


@pytest.mark.parametrize(
    ("prompt", "beginning"),
    [
        ("Hello", "Hello"),
        ("x" * 2000, "x" * 512),
        (["Hello", "you"], "Hello you"),
        ([1, 22, 333], "1 22 333"),
        ([[1, 22], [333]], "1 22 333"),
        ([1] * 100, " ".join(["1"] * 16)),
        (["x" * 600, "y"], "x" * 512),
        (None, ""),
        ([], ""),
        ([None, {}, True], "  "),
        ({"x": 1}, ""),
        (7, ""),
    ],
)
def test_how_a_prompt_begins(prompt: Any, beginning: str) -> None:
    assert completions.read({"prompt": prompt}) == Read(1, beginning)
    assert embeddings.read({"input": prompt}) == Read(1, beginning)


def test_whether_a_completion_leaves_its_usage_open() -> None:
    assert completions.read({"stream": True}).usage_open
    assert not completions.read({"stream": True, "stream_options": {"include_usage": False}}).usage_open
    assert not embeddings.read({"stream": True}).usage_open
