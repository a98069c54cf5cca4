"""Tags in each tool's words."""

from typing import Any

import orjson
import pytest

from tailrace.wire.tags import MAX_TAGS, read_tags
from tailrace.wire.told import read_told


def tags(headers: dict[str, str] | None = None, **body: Any) -> dict[str, str] | None:
    return read_told([(name.encode(), value.encode()) for name, value in (headers or {}).items()], body).tags


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-tailrace-tags": "team=a, env = prod ,vip,,=x"}, {"team": "a", "env": "prod", "vip": "true"}),
        ({"x-tailrace-tags": "query=a=b"}, {"query": "a=b"}),
        ({"x-tailrace-tags": '{"team":"a","n":1}'}, {"team": "a", "n": "1"}),
        ({"x-tailrace-tags": '["a","b",1]'}, {"a": "true", "b": "true"}),
        ({"x-tailrace-tags": '{"team":'}, None),
        ({"x-tailrace-tags": '["a"'}, None),
        ({"x-tailrace-tags": '[]},"":["x"]'}, None),
        ({"x-tailrace-tags": ""}, None),
        ({"helicone-property-env": "prod", "helicone-property-": "x"}, {"env": "prod"}),
        (
            {"helicone-session-path": "/a/b", "helicone-session-name": "Trip"},
            {"session_path": "/a/b", "session_name": "Trip"},
        ),
        ({"x-portkey-metadata": '{"_user":"u","env":"prod"}'}, {"env": "prod"}),
        ({"x-portkey-span-id": "s"}, {"span_id": "s"}),
        ({"x-litellm-tags": "a, b"}, {"a": "true", "b": "true"}),
        ({"x-litellm-tags": "a=b"}, {"a=b": "true"}),
        (
            {"cf-aig-metadata": '{"team":"AI","user":12345,"test":true}'},
            {"team": "AI", "user": "12345", "test": "true"},
        ),
        ({"cf-aig-metadata": '[{"team":"AI"}]'}, None),
    ],
)
def test_headers(headers: dict[str, str], expected: dict[str, str] | None) -> None:
    assert tags(headers) == expected


@pytest.mark.parametrize("field", ["tensorzero::tags", "litellm_metadata", "metadata"])
def test_fields_of_the_body(field: str) -> None:
    fields = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None, "f": {"x": 1}, "g": [1], "h": False, "": "x"}
    assert read_tags({}, {field: fields}) == {"a": "x", "b": "1", "c": "1.5", "d": "true", "h": "false"}
    assert read_tags({}, {field: "x"}) is None


def test_the_ids_of_session_and_user_are_no_tags() -> None:
    assert tags(metadata={"session_id": "s", "user_id": "u", "topic": "x"}) == {"topic": "x"}


def test_whose_word_counts() -> None:
    sources: list[tuple[dict[str, str], dict[str, Any]]] = [
        ({"x-tailrace-tags": "a=0"}, {}),
        ({"helicone-property-a": "1"}, {}),
        ({"x-portkey-metadata": '{"a":2}'}, {}),
        ({"x-litellm-tags": "a"}, {}),
        ({"cf-aig-metadata": '{"a":4}'}, {}),
        ({}, {"tensorzero::tags": {"a": "5"}}),
        ({}, {"litellm_metadata": {"a": "6"}}),
        ({}, {"metadata": {"a": "7", "b": "8"}}),
    ]
    for place in range(len(sources)):
        headers: dict[str, str] = {}
        body: dict[str, Any] = {}
        for more_headers, more_body in sources[place:]:
            headers |= more_headers
            body |= more_body
        expected = "true" if place == 3 else str(place)
        assert tags(headers, **body) == {"a": expected, "b": "8"}


def test_bounds() -> None:
    assert tags(metadata={"n" * 128: "v" * 600, "n" * 129: "v"}) == {"n" * 128: "v" * 512}
    many = tags({"x-tailrace-tags": "first=1"}, metadata={f"n{number}": "x" for number in range(200)})
    assert many is not None
    assert (len(many), many["first"]) == (MAX_TAGS, "1")
    assert tags({"cf-aig-metadata": '{"a":"' + "x" * 20_000 + '"}'}) is None
    assert tags(metadata={"a\x00b": "c\x1bd"}) == {"ab": "cd"}


def test_no_more_is_looked_at_than_could_be_kept() -> None:
    class Counted(dict[str, Any]):
        looked_at = 0

        def items(self) -> Any:
            for item in super().items():
                self.looked_at += 1
                yield item

    fields = Counted({str(number): [] for number in range(100_000)})
    assert read_tags({}, {"metadata": fields}) is None
    assert fields.looked_at <= 2000


def test_headers_that_are_json_of_any_depth() -> None:
    deep = b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"b":1}'
    assert read_tags({b"cf-aig-metadata": deep}, {"metadata": orjson.loads(deep)}) == {"b": "1"}
