"""Folding: each answer learned once, in the conversation that the model really saw."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace_exporters.assemble import NO_ANSWER, NO_REQUEST, REPEATED, conversation, step
from tailrace_exporters.rows import Dropped, Exchange, Row, Train
from tests.exporters.logged import Call, after, closed, echoed, opened, said, user
from tests.exporters.pure import Log, folded, logs


def rows_of(*members: Call, above: dict[int, int | None], train: Train = Train.ALL) -> tuple[list[Row], list[Dropped]]:
    return folded(members, above).rows(train)


def learned_words(row: Row) -> list[str]:
    return [message["content"] for message, learned in zip(row.messages, row.train, strict=True) if learned]


def test_a_conversation_is_one_row_with_each_answer_learned_once() -> None:
    one = opened(1)
    two = after(one, "and?", seq=2, answer="more")
    three = after(two, "so?", seq=3, answer="done")
    rows, dropped = rows_of(one, two, three, above={1: None, 2: 1, 3: 2})
    assert not dropped
    (row,) = rows
    assert list(row.messages) == three.conversation
    assert learned_words(row) == ["answer 1", "more", "done"]
    assert row.learned == (one, two, three)
    assert row.head == three


def test_train_last_learns_only_the_last_answer() -> None:
    one = opened(1)
    two = after(one, "and?", seq=2, answer="more")
    (row,), _ = rows_of(one, two, above={1: None, 2: 1}, train=Train.LAST)
    assert learned_words(row) == ["more"]
    assert row.context == (one,)


def test_the_newest_branch_is_the_main_row_and_its_sibling_learns_only_what_it_adds() -> None:
    one = opened(1)
    left = after(one, "left", seq=2, answer="went left")
    right = after(one, "right", seq=3, answer="went right")
    rows, _ = rows_of(one, left, right, above={1: None, 2: 1, 3: 1})
    assert [learned_words(row) for row in rows] == [["answer 1", "went right"], ["went left"]]
    assert rows[1].context == (one,)


def test_a_retry_with_other_words_is_a_row_and_with_the_same_words_is_none() -> None:
    first = opened(1, "q", "yes")
    again = opened(2, "q", "no")
    same = opened(3, "q", "yes")
    rows, dropped = rows_of(first, again, same, above={1: None, 2: None, 3: None})
    assert [learned_words(row) for row in rows] == [["yes"], ["no"]]
    assert [(drop.reason, drop.completions) for drop in dropped] == [(REPEATED, (first,))]


def test_an_answer_that_compaction_took_out_keeps_a_row_of_its_own() -> None:
    one = opened(1)
    two = after(one, "and?", seq=2, answer="more")
    three = Call(3, [user("summary of before"), echoed(two.answer), user("go on")], said("done"))
    rows, dropped = rows_of(one, two, three, above={1: None, 2: 1, 3: 2})
    assert not dropped
    assert [learned_words(row) for row in rows] == [["done"], ["answer 1", "more"]]
    assert [row.head for row in rows] == [three, two]


def test_answers_that_nobody_recorded_are_not_learned() -> None:
    shots = [user("2+2"), {"role": "assistant", "content": "4"}, user("3+3")]
    (row,), _ = rows_of(Call(1, shots, said("6")), above={1: None})
    assert row.train == (False, False, False, True)


def test_an_answer_is_found_however_the_client_echoes_it() -> None:
    one = opened(1, answer="hi")
    parts = {"role": "assistant", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    two = Call(2, [*one.messages, parts, user("more")], said("there"))
    (row,), _ = rows_of(one, two, above={1: None, 2: 1})
    assert row.train == (False, False, True, False, True)


def test_a_completion_that_cannot_be_read_gives_way_to_the_one_before_it() -> None:
    one = opened(1)
    two = replace(after(one, "and?", seq=2, answer=""), answer=None)
    three = opened(3)
    fold = folded([one, three], {1: None, 3: 1})
    assert [row.head for row in fold.rows(Train.ALL)[0]] == [three, one]
    assert conversation(two.exchange) == NO_ANSWER
    assert conversation(Exchange(None, None)) == NO_REQUEST
    assert conversation(Exchange({"messages": ["text"]}, one.envelope)) == NO_REQUEST
    assert conversation(Exchange(one.request, {"choices": []})) == NO_ANSWER


def test_kept_bytes_are_the_truth_where_they_are_json() -> None:
    one = opened(1)
    raw = closed(one).request.replace(b'"Be brief."', b'"Be exact."')
    found = conversation(Exchange(one.request, one.envelope, request_raw=raw, answer_raw=b"data: {}\n\n"))
    assert not isinstance(found, str)
    assert found.messages[0]["content"] == "Be exact."
    assert found.messages[-1] == one.answer


def test_a_step_is_its_whole_request_and_only_its_answer_is_learned() -> None:
    two = after(opened(1), "and?", seq=2, answer="more")
    row = step(two, two.exchange)
    assert isinstance(row, Row)
    assert list(row.messages) == two.conversation
    assert row.train == (False, False, False, False, True)
    assert isinstance(step(two, Exchange(two.request, None)), Dropped)


@settings(max_examples=150)
@given(logs(), st.sets(st.integers(1, 9)))
def test_every_answer_is_learned_exactly_once(log: Log, unselected: set[int]) -> None:
    """Over any tree of branches, retries and equal words, with any of it not selected."""
    members = {seq: call for seq, (call, _) in log.items() if seq not in unselected}

    def above(seq: int) -> int | None:
        over = log[seq][1]
        while over is not None and over not in members:
            over = log[over][1]
        return over

    rows, dropped = folded(list(members.values()), {seq: above(seq) for seq in members}).rows(Train.ALL)
    learned = [completion for row in rows for completion in row.learned]
    assert sorted(c.link_answer or b"" for c in learned) == sorted({c.link_answer or b"" for c in members.values()})
    told = {c.seq for row in rows for c in (*row.learned, *row.context)} | {
        c.seq for d in dropped for c in d.completions
    }
    assert told == members.keys()
    for row in rows:
        head = members[row.head.seq]
        assert list(row.messages) == head.conversation
        assert learned_words(row) == [members[c.seq].answer["content"] for c in row.learned]
