"""Notes: in their place, nothing else touched, refused where that cannot be."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Endpoint
from tailrace.wire.noting import NOTED, CannotNote, with_note

USER = {"role": "user", "content": "q"}


def noted(endpoint: Endpoint, parsed: dict[str, Any]) -> Any:
    return orjson.loads(with_note(endpoint, orjson.dumps(parsed), parsed, "N"))


def test_chat_has_it_before_the_trailing_turn_of_the_user() -> None:
    said = {"role": "assistant", "content": "a"}
    system = {"role": "system", "content": "N"}
    asked = {"model": "m", "messages": [USER, said, USER, USER], "n": 2}
    assert noted(Endpoint.CHAT, asked) == asked | {"messages": [USER, said, system, USER, USER]}
    assert noted(Endpoint.CHAT, {"messages": []}) == {"messages": [system]}


def test_responses_take_text_as_a_users_message() -> None:
    developer = {"role": "developer", "content": "N"}
    assert noted(Endpoint.RESPONSES, {"input": "q"}) == {"input": [developer, USER]}
    output = {"type": "function_call_output", "call_id": "c", "output": "o"}
    assert noted(Endpoint.RESPONSES, {"input": [USER, output]}) == {"input": [USER, output, developer]}


@pytest.mark.parametrize(
    ("system", "then"),
    [
        (None, "N"),
        ("", "N"),
        ("s", "s\n\nN"),
        ([{"type": "text", "text": "s"}], [{"type": "text", "text": "s"}, {"type": "text", "text": "N"}]),
    ],
)
def test_messages_end_their_system_prompt_with_it(system: Any, then: Any) -> None:
    asked = {"messages": [USER]} | ({} if system is None else {"system": system})
    assert noted(Endpoint.MESSAGES, asked) == {"messages": [USER], "system": then}


def test_what_has_no_place_is_refused() -> None:
    with pytest.raises(CannotNote, match="no messages"):
        noted(Endpoint.COMPLETIONS, {"prompt": "q"})
    with pytest.raises(CannotNote, match="no list"):
        noted(Endpoint.CHAT, {"messages": "q"})


def test_a_body_that_would_change_is_refused() -> None:
    body = b'{"messages":[],"seed":1,"seed":2}'
    with pytest.raises(CannotNote, match="anew"):
        with_note(Endpoint.CHAT, body, orjson.loads(body), "N")


@given(st.sampled_from(sorted(NOTED)), st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=4))
def test_other_fields_stay(endpoint: Endpoint, fields: dict[str, int]) -> None:
    own = {"messages": [USER], "input": "q"}
    after = noted(endpoint, fields | own)
    assert {name: after[name] for name in fields if name not in own and name != "system"} == {
        name: value for name, value in fields.items() if name not in own and name != "system"
    }
