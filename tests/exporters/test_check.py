"""`[filter] schema`, `max_tokens` and `tokenizer`: what an answer must obey, and how long a row may be."""

import time
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters.check import Check
from tailrace_exporters.pipeline import DROPPED
from tailrace_exporters.recipe import Recipe, parse_recipe
from tailrace_exporters.rows import Dropped, Judgement, Kind, Row, Stage
from tailrace_exporters.schemas import Schemas
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.tokens import Counted, read_tokenizer, tokens_in
from tests.exporters.filing import file_log
from tests.exporters.logged import Call, opened, said, user
from tests.typed import Run

CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "days": {"type": "array", "items": {"minimum": 0}}},
    "required": ["city"],
    "additionalProperties": False,
}


def weather(parameters: Json = CITY) -> list[Json]:
    return [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]


def calling(arguments: str, *, tools: Json = None, name: str = "weather") -> Row:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    made = Call(1, [user("rain?")], said("") | {"content": None, "tool_calls": [call]})
    return Row(made, made.conversation, weather() if tools is None else tools, None, None, (False, True), (made,))


def answering(text: Json, schema: Json = CITY, **message: Json) -> Row:
    made = Call(1, [user("where?")], said("") | {"content": text} | message)
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    return Row(made, made.conversation, None, wanted, None, (False, True), (made,))


def verdict(row: Row, stage: Check | None = None) -> tuple[str, str | None] | None:
    (found,) = (stage or Check(schema=True)).take(row, {})
    if isinstance(found, Dropped):
        assert (found.stage, found.completions) == (Stage.CHECK, row.learned)
        return found.reason, found.pointer
    assert found is row
    return None


PLACE = "/messages/1/tool_calls/0/function"


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (calling('{"city": "Bonn", "days": [1, 2]}'), None),
        (calling('{"city": "bonn"}'), ("arguments_disobey_schema", f"{PLACE}/arguments/city")),
        (calling('{"city": "B", "days": [1, -2]}'), ("arguments_disobey_schema", f"{PLACE}/arguments/days/1")),
        (calling("{}"), ("arguments_disobey_schema", f"{PLACE}/arguments")),
        (calling('{"city": '), ("arguments_no_json", f"{PLACE}/arguments")),
        (calling(""), ("arguments_no_json", f"{PLACE}/arguments")),
        (calling("{}", name="wether"), ("undeclared_tool", f"{PLACE}/name")),
        (calling("{}", tools=[]), ("undeclared_tool", f"{PLACE}/name")),
        (calling("[]", tools=weather(None)), None),
        (calling("{}", tools=weather({"type": "objekt"})), ("broken_schema", "/tools/0/function/parameters")),
        (answering('{"city": "Bonn"}'), None),
        (answering([{"type": "text", "text": '{"city":'}, {"type": "text", "text": ' "Bonn"}'}]), None),
        (answering('{"city": 1}'), ("answer_disobeys_schema", "/messages/1/content/city")),
        (answering("Bonn"), ("answer_no_json", "/messages/1/content")),
        (answering(None, refusal="I will not"), None),
        (answering("{}", {"$ref": "#/nowhere"}), ("broken_schema", "/response_format/json_schema/schema")),
        (replace(answering("[1]"), response_format={"type": "json_object"}), ("answer_no_json", "/messages/1/content")),
        (replace(answering("{"), response_format={"type": "json_object"}), ("answer_no_json", "/messages/1/content")),
        (replace(answering('{"a": 1}'), response_format={"type": "json_object"}), None),
        (replace(answering("Bonn"), response_format={"type": "text"}), None),
        (replace(answering("Bonn"), train=(False, False)), None),
    ],
)
def test_what_is_learned_obeys_its_schema(row: Row, wrong: tuple[str, str] | None) -> None:
    assert verdict(row) == wrong


def test_an_answer_that_is_to_be_avoided_may_be_wrong() -> None:
    row = replace(answering("Bonn"), kind=Kind.JUDGED, judgement=Judgement("thumbs", None, wanted=False))
    assert verdict(row) is None
    assert verdict(replace(row, judgement=Judgement("thumbs", None, wanted=True))) is not None


def test_a_pointer_names_no_key_that_the_schema_does_not() -> None:
    """The ledger stands before the scrubbing: a key of the model's may be a user's address."""
    schema: Json = {"type": "object", "additionalProperties": {"type": "object", "properties": {"n": {"minimum": 1}}}}
    found = Schemas().fault({"bob@x.com": {"n": 0}}, schema)
    assert found is not None
    assert (found.pointer, found.schema) == ("", False)
    schema["properties"] = {"a/b~": {"properties": {"n": {"minimum": 1}}}}
    found = Schemas().fault({"a/b~": {"n": 0}}, schema)
    assert found is not None
    assert found.pointer == "/a~1b~0/n"


@pytest.mark.parametrize("place", ["{file}", "http://127.0.0.1:9/s.json", "file:///etc/hostname", "urn:x", "s.json"])
def test_a_schema_that_points_out_of_itself_is_broken_and_nothing_is_fetched(place: str, tmp_path: Path) -> None:
    """`{file}` is there, and would be a good schema."""
    (tmp_path / "s.json").write_text('{"type": "object"}')
    there = place.replace("{file}", (tmp_path / "s.json").as_uri())
    for schema in ({"$ref": there}, {"$schema": there}, {"$dynamicRef": there}):
        found = Schemas().fault({}, schema)
        assert found is not None, schema
        assert found.schema


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(?=a)(a|aa)+$", "^(?!x)(a*)*\\1b$", "(?:a|a?)+b(?=c)"])
def test_a_pattern_has_a_bound_on_its_steps(pattern: str) -> None:
    began = time.perf_counter()
    assert Schemas().fault("a" * 30_000 + "!", {"pattern": pattern}) is not None
    assert time.perf_counter() - began < 2  # the standard library's engine takes longer than the universe is old


def test_what_nests_too_deep_is_wrong_not_an_error() -> None:
    deep: Json = {}
    for _ in range(400):
        deep = {"properties": {"a": deep}}
    schemas = Schemas()
    assert schemas.fault({}, deep) is not None
    assert schemas.fault(deep, {"enum": [1]}) is not None
    assert schemas.fault({}, {"const": 2**70}) is not None
    assert schemas.fault({}, True) is None


def test_the_last_schemas_are_kept_and_not_more() -> None:
    schemas = Schemas()
    for n in range(600):
        assert schemas.fault(n, {"const": n}) is None
    assert len(schemas._made) == 512
    assert schemas.fault(1, {"const": 0}) is not None


def words(tmp_path: Path) -> Surroundings:
    made = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    return Surroundings(tmp_path, {})


def test_who_counts_tokens(tmp_path: Path) -> None:
    around = words(tmp_path)
    tokenizer = read_tokenizer(around, "tokenizer.json")
    assert set(around.inputs) == {"tokenizer.json"}
    known = calling('{"city": "a b"}')
    assert tokens_in(known, tokenizer) == (15, Counted.PROVIDER)
    guessed = replace(known, head=replace(known.head, usage_source="estimated"))  # type: ignore[type-var]
    assert tokens_in(guessed, None) == (15, Counted.ESTIMATED)
    none = replace(known, head=replace(known.head, input_tokens=None, usage_source="none"))  # type: ignore[type-var]
    size = len(orjson.dumps([none.messages, none.tools]))
    assert tokens_in(none, None) == (-(-size // 4), Counted.ESTIMATED)
    bare = replace(guessed, tools=None)
    # user, rain, ?; assistant, weather, {", city, ":, ", a, b, "}
    assert tokens_in(bare, tokenizer) == (12, Counted.TOKENIZER)


def test_too_long_a_row_is_dropped_with_who_counted(tmp_path: Path) -> None:
    row = calling('{"city": "Bonn"}')
    assert verdict(row, Check(schema=False, max_tokens=15)) is None
    assert verdict(row, Check(schema=True, max_tokens=14)) == ("too_long:provider", None)
    rough = replace(row, head=replace(row.head, usage_source="none", output_tokens=None))  # type: ignore[type-var]
    stage = Check(schema=False, max_tokens=2)
    assert verdict(rough, stage) == ("too_long:estimated", None)
    assert stage.facts() == {"tokens_counted_by": {"provider": 0, "tokenizer": 0, "estimated": 1}}
    tokenizer = read_tokenizer(words(tmp_path), "tokenizer.json")
    assert verdict(rough, Check(schema=False, max_tokens=2, tokenizer=tokenizer)) == ("too_long:tokenizer", None)
    no_json = replace(rough, messages=[{"role": "user", "content": 2**70}, {"role": "assistant", "content": "a"}])
    assert verdict(no_json, Check(schema=False, max_tokens=2)) is None


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"t\.json: is no tokenizer\.json"):
        read_tokenizer(Surroundings(tmp_path, {}), "t.json")
    with pytest.raises(RecipeError, match="tokenizer counts rows for max_tokens; give max_tokens"):
        parse_recipe('[filter]\ntokenizer = "t.json"\n', "r.toml")
    assert Recipe().filter.obeys_schema is False


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(RecipeError, match=r"install tailrace\[tokenizer\]"):
        read_tokenizer(words(tmp_path), "tokenizer.json")


def test_an_export_counts_what_it_checked(tmp_path: Path, tailrace: Run) -> None:
    bad = Call(1, [user("where?")], said("Bonn"), {"response_format": {"type": "json_object"}})
    long = opened(2, output_tokens=500)
    data = file_log(tmp_path / "data", {1: (bad, None), 2: (long, None), 3: (opened(3, usage_source="none"), None)})
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[filter]\nschema = true\nmax_tokens = 100\n")
    assert tailrace("export", recipe, "--out", tmp_path / "out", "--data-dir", data).code == 0
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["tokens_counted_by"] == {"provider": 2, "tokenizer": 0, "estimated": 1}
    (stage,) = (each for each in manifest["stages"] if each["stage"] == "check")
    assert stage["dropped"] == {"answer_no_json": 1, "too_long:provider": 1}
    lines = [orjson.loads(line) for line in (tmp_path / "out" / DROPPED).read_bytes().splitlines()]
    assert [line.get("pointer") for line in lines] == ["/messages/1/content", None]
    assert tailrace("export", "verify", tmp_path / "out", "--data-dir", data).code == 0
