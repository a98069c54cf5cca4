"""A request finds the answers that stand in it, and nothing else does."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tailrace.chains.links import MAX_EARLIER, answer_links, answers_in, links_of

Message = dict[str, Any]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


SYSTEM: Message = {"role": "system", "content": "S"}
A, B, C = _user("a"), _user("b"), _user("c")
X, Y = _answer("x"), _answer("y")


def test_the_first_request_has_nothing_to_continue() -> None:
    links = links_of([SYSTEM, A])
    assert (links.parent, links.earlier, links.pair, links.pair_chars, links.step) == (None, (), None, 0, 1)


def test_the_next_request_finds_the_answer() -> None:
    first = answer_links(links_of([A]), X)
    second = links_of([A, X, B])
    assert (second.parent, second.pair, second.step, second.pair_chars) == (first.answer, first.pair, 2, 2)
    third = links_of([A, X, B, Y, C])
    assert third.parent == answer_links(second, Y).answer
    assert third.earlier == (first.answer,)
    assert third.pair == answer_links(second, Y).pair != first.pair


def test_system_messages_do_not_count_wherever_they_stand() -> None:
    developer = {"role": "developer", "content": "now"}
    assert links_of([SYSTEM, A, developer, X, B]) == links_of([A, X, B, SYSTEM])


def test_a_pair_forgets_what_was_before_it_and_a_conversation_does_not() -> None:
    whole, compacted = links_of([A, X, B, Y, C]), links_of([_user("summary"), X, B, Y, C])
    assert whole.pair == compacted.pair
    assert whole.parent != compacted.parent
    assert links_of([_user(" b "), _answer("y"), C]).pair == links_of([B, Y, C]).pair


def test_a_pair_has_all_turns_since_the_answer_before() -> None:
    tool = {"role": "tool", "content": "t"}
    assert links_of([A, X, tool, B, Y]).pair == answer_links(links_of([C, X, tool, B]), Y).pair
    assert links_of([A, X, tool, B, Y]).pair != links_of([A, X, B, Y]).pair


def test_earlier_answers_are_bounded_and_newest_first() -> None:
    messages = [message for n in range(400) for message in (_user(str(n)), _answer(str(n)))]
    links = links_of(messages)
    assert len(links.earlier) == MAX_EARLIER
    assert links.earlier[0] == links_of(messages[:-2]).parent
    assert links.step == 401


def test_turns_cannot_be_shifted_into_one_another() -> None:
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "1"}}]}
    requests = [
        [_user("ab")],
        [A, B],
        [_user("a"), _user("b"), _user("")],
        [_user('a"],["user","b')],
        [A, call],
        [call, A],
    ]
    assert len({links_of(request).prompt for request in requests}) == len(requests)


@given(st.lists(st.sampled_from([SYSTEM, A, B, X, Y]), max_size=8))
def test_every_way_to_count_agrees(messages: list[Message]) -> None:
    links = links_of(messages)
    found = [node for node, _ in answers_in(messages)]
    assert [*links.earlier[::-1], *([links.parent] if links.parent else [])] == found
    assert links.step == 1 + len(found)
    assert answer_links(links, X).answer == links_of([*messages, X]).parent
    assert answer_links(links, X).pair == links_of([*messages, X]).pair
