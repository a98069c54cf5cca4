"""Lists of models: what providers say, and what each kind of client is told."""

import pytest

from tailrace.records import Json
from tailrace.wire.models import Model, anthropic_list, as_anthropic, as_openai, read_models

MODELS = [Model(f"m{n}", "up") for n in range(5)]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"data": [{"id": "a", "object": "model", "created": 5, "owned_by": "x"}, {"id": 3}, "b", {}]}, ["a"]),
        ({"data": [{"type": "model", "id": "c", "display_name": "C", "created_at": "2025-01-01T00:00:00Z"}]}, ["c"]),
        ({"models": [{"name": "models/g", "displayName": "G"}]}, ["g"]),
        ({"data": []}, []),
        ({"data": {}}, None),
        ([], None),
        (None, None),
    ],
)
def test_read_models(body: Json, ids: list[str] | None) -> None:
    found = read_models(body, "up")
    assert (None if found is None else [model.id for model in found]) == ids


def test_a_model_is_told_in_both_shapes() -> None:
    (model,) = (
        read_models({"data": [{"id": "c", "display_name": "C", "created_at": "2025-01-01T00:00:00Z"}]}, "up") or []
    )
    assert as_openai(model) == {"id": "c", "object": "model", "created": 1735689600, "owned_by": "up"}
    told = {"type": "model", "id": "c", "display_name": "C", "created_at": "2025-01-01T00:00:00Z"}
    assert as_anthropic(model) == told


def test_what_else_an_openai_provider_says_is_passed_on() -> None:
    (model,) = read_models({"data": [{"id": "a", "object": "model", "owned_by": "x", "context_length": 9}]}, "up") or []
    assert as_openai(model) == {"id": "a", "object": "model", "created": 0, "owned_by": "x", "context_length": 9}


@pytest.mark.parametrize("created", [-1, 2**60, "yesterday", None, 1.5, True])
def test_no_date_is_too_odd(created: Json) -> None:
    (model,) = read_models({"data": [{"id": "a", "created": created}]}, "up") or []
    assert as_anthropic(model)["created_at"].startswith("1970-01-01")


@pytest.mark.parametrize(
    ("after", "before", "ids", "more"),
    [
        (None, None, ["m0", "m1"], True),
        ("m1", None, ["m2", "m3"], True),
        ("m3", None, ["m4"], False),
        ("m4", None, [], False),
        (None, "m1", ["m0"], False),
        (None, "m4", ["m2", "m3"], True),
        ("none", None, ["m0", "m1"], True),
    ],
)
def test_pages(after: str | None, before: str | None, ids: list[str], more: bool) -> None:
    page = anthropic_list(MODELS, limit=2, after=after, before=before)
    assert [model["id"] for model in page["data"]] == ids
    assert page["has_more"] is more
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
