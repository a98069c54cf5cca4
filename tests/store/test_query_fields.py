"""The fields of the `where` language against the tables and the word lists."""

import pytest
from sqlmodel import SQLModel

from tailrace.records import Do, LabelSource, LinkKind, Origin, Outcome, Relation, Status, UsageSource
from tailrace.store.query.fields import CHAIN, COMPLETION, FIELDS, Kind, closest, find

ACTION_UNASKED = "seq id at_us completion version key attempts error"
UNASKED = {
    "chain",
    "parent",
    "params",
    "context",
    "prompt_node",
    "answer_node",
    "answer_shape",
    "answer_values",
    "tags",
}
"""Columns that are no fields: references inside the store, and `tags`, a field for each name."""


def test_every_column_of_a_completion_is_a_field_or_is_known_not_to_be() -> None:
    asked = {field.column.key for name, field in FIELDS.items() if "." not in name}
    columns = set(COMPLETION.columns.keys())
    links = {name for name in columns if name.startswith("link_") and name != "link_kind"}
    assert asked | UNASKED | links == columns
    assert not asked & (UNASKED | links)


def test_fields_of_a_chain_read_the_chain() -> None:
    for name, field in FIELDS.items():
        if field.among is not None:
            continue
        assert field.column is (CHAIN if name.startswith("chain.") else COMPLETION).c[field.column.key or ""]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", Status),
        ("relation", Relation),
        ("origin", Origin),
        ("link_kind", LinkKind),
        ("usage_source", UsageSource),
        ("action.do", Do),
        ("action.outcome", Outcome),
        ("label.x.source", LabelSource),
        ("next.label.x.source", LabelSource),
    ],
)
def test_closed_lists_are_those_of_the_records(name: str, words: type[Status]) -> None:
    field = find(name)
    assert field is not None
    assert field.kind is Kind.WORD
    assert set(field.words) == {word.value for word in words}


@pytest.mark.parametrize("name", ["tags.", 'tags.a"b', "tags.a\\b", "tags.a\nb", "tags.\u202e", "tags.\ud800"])
def test_a_tag_name_that_no_path_can_hold_is_no_field(name: str) -> None:
    assert find(name) is None


def test_every_column_of_feedback_and_actions_is_a_field_or_is_known_not_to_be() -> None:
    known = {"feedback": "seq id at_us project key target completion tags", "action": ACTION_UNASKED}
    for table, unasked in known.items():
        asked = {name.removeprefix(f"{table}.") for name in FIELDS if name.startswith(f"{table}.")}
        assert asked | set(unasked.split()) == set(SQLModel.metadata.tables[table].columns.keys())


@pytest.mark.parametrize(
    "name", ["label", "label.", "label.a.", "label.a.b", "label.a b", "label.a.source.x", "next.a", "next.label", "é"]
)
def test_what_names_no_label_is_no_field(name: str) -> None:
    assert find(name) is None


def test_closest() -> None:
    assert closest("provider_timout", list(Status)) == "provider_timeout"
    assert closest("x" * 10_000, FIELDS) is None
