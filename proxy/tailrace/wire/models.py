"""Lists of models, in every shape in which providers give them and clients expect them. Pure.

OpenAI      {"object": "list", "data": [{"id", "object": "model", "created": seconds, "owned_by"}]}
Anthropic   {"data": [{"type": "model", "id", "display_name", "created_at"}], "has_more", "first_id", "last_id"}
Gemini      {"models": [{"name": "models/ID", "displayName"}]}                              read only
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tailrace.records import Json

MAX_PAGE: Final = 1000
_GEMINI_PREFIX: Final = "models/"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a list. `told` is what its provider said of it beside, where it speaks as OpenAI does."""

    id: str
    owner: str
    created_s: int = 0
    name: str = ""  # for people
    told: dict[str, Any] = field(default_factory=dict)


def read_models(body: Json, owner: str) -> list[Model] | None:
    """The models in a provider's list; None where it is none. Entries without an id are left out."""
    if not isinstance(body, dict):
        return None
    entries = body.get("data", body.get("models"))
    if not isinstance(entries, list):
        return None
    return [model for entry in entries if isinstance(entry, dict) and (model := _model(entry, owner)) is not None]


def as_openai(model: Model) -> dict[str, Any]:
    """As OpenAI's clients expect it, with whatever else the provider said."""
    known = {"id": model.id, "object": "model", "created": model.created_s, "owned_by": model.owner}
    return {**model.told, **known}


def as_anthropic(model: Model) -> dict[str, Any]:
    """As Anthropic's clients expect it."""
    created = datetime.fromtimestamp(model.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": model.id, "display_name": model.name or model.id, "created_at": created}


def openai_list(models: Sequence[Model]) -> dict[str, Any]:
    """The whole list: OpenAI's has no pages."""
    return {"object": "list", "data": [as_openai(model) for model in models]}


def anthropic_list(
    models: Sequence[Model], *, limit: int = MAX_PAGE, after: str | None = None, before: str | None = None
) -> dict[str, Any]:
    """The page of at most `limit` models after, or before, the model of that id; from the start where it is unknown."""
    places = {model.id: place for place, model in enumerate(models)}
    first, end = 0, len(models)
    if after in places:
        first = places[after] + 1
        end = min(end, first + limit)
        more = end < len(models)
    elif before in places:
        end = places[before]
        first = max(0, end - limit)
        more = first > 0
    else:
        end = min(end, limit)
        more = end < len(models)
    page = [as_anthropic(model) for model in models[first:end]]
    ids = [entry["id"] for entry in page]
    return {"data": page, "has_more": more, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}


def _model(entry: dict[str, Any], owner: str) -> Model | None:
    id_ = entry.get("id")
    name = entry.get("display_name") or entry.get("displayName")
    if id_ is None and isinstance(entry.get("name"), str):
        id_ = entry["name"].removeprefix(_GEMINI_PREFIX)
    if not isinstance(id_, str) or not id_:
        return None
    owned_by = entry.get("owned_by")
    return Model(
        id=id_,
        owner=owned_by if isinstance(owned_by, str) else owner,
        created_s=_seconds(entry.get("created", entry.get("created_at"))),
        name=name if isinstance(name, str) else "",
        told=entry if entry.get("object") == "model" else {},
    )


def _seconds(value: Json) -> int:
    if isinstance(value, int) and 0 <= value < 2**37:  # what a date can be made of
        return value
    if isinstance(value, str):
        try:
            return max(0, int(datetime.fromisoformat(value).timestamp()))
        except (ValueError, OverflowError):
            return 0
    return 0
