"""The file comes back as it was written; what a person may get wrong in it is told with its place."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given

from tailrace.templates.file import TemplatesError, file_of, parse_templates, read_templates
from tailrace.templates.template import Template
from tests.templates.test_match import ASK, DRAWN, LONG, SHORT


@given(DRAWN)
def test_what_is_written_is_read(drawn: Template) -> None:
    if any(left.slots or left.tag for left in drawn.left[-1]):
        assert parse_templates(file_of([drawn], {drawn.id: {"requests": 3}})).all == (drawn,)


def changed(**changes: Any) -> bytes:
    content = orjson.loads(file_of([ASK], {ASK.id: {}}))
    content["templates"][0] |= changes
    return orjson.dumps(content)


def messages(*texts: Any, role: str = "user", **more: Any) -> bytes:
    return changed(id=None, messages=[{"role": role, "texts": [list(texts)], **more}])


def test_names_and_tags_are_a_persons_to_change() -> None:
    (found,) = parse_templates(changed(name="questions", tag="Q")).all
    assert (found.id, found.name, found.tag) == (ASK.id, "questions", "Q")


def test_static_text_in_pieces_is_one_and_the_tag_is_the_name_where_none_is_given() -> None:
    content = orjson.loads(messages("Say ", "", "this: ", {"slot": "what"}))
    del content["templates"][0]["tag"]
    (found,) = parse_templates(orjson.dumps(content)).all
    assert found.frames[0].texts[0][0] == "Say this: "
    assert found.tag == found.name == "ask"


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"[", "is no JSON"),
        (b"[]", "input should be an object"),
        (b"{}", "/tailrace_templates: field required"),
        (b'{"tailrace_templates": 2, "templates": []}', "/tailrace_templates: input should be 1"),
        (changed(nam="x"), "/templates/0/nam: extra inputs"),
        (changed(name=""), "/templates/0/name: string should have at least 1"),
        (changed(name="a\nb"), "/templates/0/name: has a character"),
        (changed(tag="a\x1b"), "/templates/0/tag: has a character"),
        (changed(id="0" * 12), f"/templates/0/id: this static text is {ASK.id}"),
        (changed(messages=[]), "/templates/0/messages: tuple should have at least 1"),
        (messages("a", role="tool"), "/templates/0/messages/0/role: input should be"),
        (messages({"slot": "a"}, "", {"slot": "b"}), "/templates/0/messages/0/texts/0: two slots side by side"),
        (messages({"slot": "a: b"}), '/templates/0/messages/0/texts: "a: b" is no name'),
        (messages("a", role="assistant"), "the assistant's, which is never touched"),
        (messages("a", role="assistant", keep=True), "end with the assistant's turn"),
    ],
)
def test_what_is_wrong_is_told(data: bytes, wrong: str) -> None:
    with pytest.raises(TemplatesError, match="(?s).*" + wrong):
        parse_templates(data)


def test_templates_are_told_apart() -> None:
    twice = orjson.loads(file_of([LONG, SHORT], {LONG.id: {}, SHORT.id: {}}))
    twice["templates"][1]["name"] = "long"
    with pytest.raises(TemplatesError, match='/templates/1/name: another template is called "long"'):
        parse_templates(orjson.dumps(twice))
    twice["templates"][1] = twice["templates"][0] | {"name": "other"}
    with pytest.raises(TemplatesError, match='/templates/1: is the same as "long"'):
        parse_templates(orjson.dumps(twice))


def test_nothing_may_be_left_of_no_last_message() -> None:
    content = orjson.loads(file_of([ASK], {ASK.id: {}}))
    content["templates"][0] |= {"id": None, "messages": [*content["templates"][0]["messages"][:1]]}
    content["templates"][0]["messages"].append({"role": "user", "texts": [["Begin."]]})
    with pytest.raises(TemplatesError, match='nothing would be left of it; give it "keep": true'):
        parse_templates(orjson.dumps(content))
    content["templates"][0]["messages"][1]["keep"] = True
    assert len(parse_templates(orjson.dumps(content)).all) == 1


def test_a_file_that_is_not_there_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(TemplatesError, match=r"cannot be read .*tailrace export templates"):
        read_templates(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(TemplatesError, match=r"bad\.json: is no JSON"):
        read_templates(tmp_path / "bad.json")
