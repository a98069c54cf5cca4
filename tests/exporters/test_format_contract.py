"""The contract of the registry over rows of every shape: a projected line passes its own check, for any reader."""

from dataclasses import replace
from typing import Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.formats.base import Format, Line, UnfitError
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.shapes import rows, tampered

PLAIN: Final = {"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]}


def fitting(each: Format, made: Row) -> Row:
    """The row as one of a kind that the format is shown."""
    if made.kind in each.kinds:
        return made
    kind = min(each.kinds)
    if kind is Kind.CONVERSATION:
        return replace(made, kind=kind, judgement=None)
    last = tuple(n == len(made.messages) - 1 for n in range(len(made.messages)))
    told = Judgement("told", None, rejected={"role": "assistant", "content": "R"} if kind is Kind.PREFERENCE else None)
    return replace(made, kind=kind, judgement=told, train=last)


def projected(each: Format, made: Row) -> Line | UnfitError:
    """What the format makes of a row, or why it does not."""
    try:
        return each.project(fitting(each, made))
    except UnfitError as unfit:
        return unfit


@given(rows())
def test_a_projected_line_passes_its_own_check_and_a_refusal_has_a_known_reason(made: Row) -> None:
    before = orjson.dumps([made.messages, made.tools])
    for name, each in FORMATS.items():
        found = projected(each, made)
        if isinstance(found, UnfitError):
            assert found.reason in each.reasons, name
            assert found.pointer.startswith(("/messages", "/tools", "/judgement/rejected", "/train", "/labels")), name
            continue
        value: Json = each.decode(each.encode(found.value))
        assert value == found.value, name
        assert not list(each.check(value)), name
        assert found.rules <= each.rules.keys(), name
    assert orjson.dumps([made.messages, made.tools]) == before


@settings(max_examples=50)
@given(st.sampled_from(sorted(FORMATS)), rows(), st.data())
def test_a_check_takes_anything_and_points_into_it(name: str, made: Row, data: st.DataObject) -> None:
    found = projected(FORMATS[name], made)
    line = PLAIN if isinstance(found, UnfitError) else found.value
    for problem in FORMATS[name].check(data.draw(tampered(line))):
        assert problem.message
        assert problem.pointer == "" or problem.pointer.startswith("/")
