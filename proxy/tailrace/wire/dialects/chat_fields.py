"""Fields of a chat request that say one thing in several ways, read once for all dialects."""

from typing import Any, Final

from tailrace.records import Json
from tailrace.wire.dialects.carrying import an_array, an_object, cannot, only

_SCHEMA: Final = frozenset(("name", "description", "schema", "strict"))


def read_limit(asked: dict[str, Any]) -> Json:
    """How many tokens may be written, under either name. Raises Refused where they differ."""
    old, new = asked.get("max_tokens"), asked.get("max_completion_tokens")
    if old is not None and new is not None and old != new:
        raise cannot("max_tokens", "it contradicts max_completion_tokens")
    return old if new is None else new


def read_stop(asked: dict[str, Any]) -> list[Json]:
    """The stop sequences, one or many. Raises Refused."""
    stop = asked.get("stop")
    if stop is None or stop == "":
        return []
    return [stop] if isinstance(stop, str) else an_array(stop, "stop")


def read_format(asked: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The kind of `response_format`, and the schema of a `json_schema` with its description. Raises Refused."""
    path = "response_format"
    said = an_object(asked[path], path)
    kind = said.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise cannot(f"{path}.type", "there is no such format there")
    if kind != "json_schema":
        return kind, None
    wanted = an_object(said.get("json_schema"), f"{path}.json_schema")
    only(wanted, f"{path}.json_schema", _SCHEMA)
    schema = an_object(wanted.get("schema"), f"{path}.json_schema.schema")
    description = wanted.get("description")
    return kind, schema if description is None else {"description": description, **schema}
