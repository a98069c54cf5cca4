"""The dialogue file and the answers that continue a conversation."""

from collections import Counter
from pathlib import Path

import pytest

from tailrace.errors import UserError
from tailrace.simulate.answer import Said
from tailrace.simulate.dialogues import Dialogue, Replayer, load, packaged, parse

STAR = packaged()
GOOD = '{"id": 1, "turns": [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]}'


def played(replayer: Replayer, dialogue: Dialogue) -> tuple[str, ...]:
    """The answers that a player of `dialogue` gets, who keeps whichever came."""
    said: list[Said] = []
    for text in dialogue.user_turns:
        said.append(Said("user", text))
        said.append(Said("assistant", replayer.answer(said)))
    return tuple(turn.text for turn in said[1::2])


def test_the_package_brings_sixty_of_all_lengths() -> None:
    lengths = Counter(len(dialogue.answers) for dialogue in STAR)
    assert len(STAR) == len({dialogue.id for dialogue in STAR}) == 60
    assert (min(lengths), max(lengths), len(lengths)) == (3, 18, 11)
    assert all(text.strip() for dialogue in STAR for text in dialogue.turns)


@pytest.mark.parametrize(("turns", "at_least"), [(1, 20), (2, 20), (3, 10), (4, 6)])
def test_many_open_word_for_word_alike(turns: int, at_least: int) -> None:
    openings = Counter(dialogue.turns[:turns] for dialogue in STAR)
    assert sum(n for n in openings.values() if n > 1) >= at_least


@pytest.mark.parametrize("dialogue", STAR, ids=lambda dialogue: dialogue.id)
def test_every_dialogue_is_played_to_its_end(dialogue: Dialogue) -> None:
    replayer = Replayer(STAR)
    answers = played(replayer, dialogue)
    known = {answer for other in STAR for answer in other.answers}
    assert set(answers) <= known, "the sentence for what fits nowhere must not be needed"
    assert played(Replayer(STAR), dialogue) == answers


def test_nearly_every_dialogue_gets_its_own_answers() -> None:
    replayer = Replayer(STAR)
    assert sum(played(replayer, dialogue) == dialogue.answers for dialogue in STAR) >= 57


def test_the_gold_conversation_always_gets_a_gold_answer() -> None:
    replayer = Replayer(STAR)
    for dialogue in STAR:
        for step in range(len(dialogue.answers)):
            prefix = dialogue.turns[: 2 * step + 1]
            allowed = {other.turns[2 * step + 1] for other in STAR if other.turns[: 2 * step + 1] == prefix}
            said = [Said("assistant" if i % 2 else "user", text) for i, text in enumerate(prefix)]
            assert replayer.answer(said) in allowed


def test_a_collision_is_decided_alike_each_time_and_the_loser_goes_on() -> None:
    one = Dialogue("1", ("Hi", "Hello!", "A taxi", "Where to?"))
    two = Dialogue("2", ("Hi", "Good day.", "A party", "Whose?"))
    replayer = Replayer((one, two))
    first = replayer.answer([Said("user", "Hi")])
    assert first in {"Hello!", "Good day."}
    for dialogue in (one, two):
        assert played(replayer, dialogue) == (first, dialogue.answers[1])


def test_system_and_tools_do_not_matter_and_neighbours_are_joined() -> None:
    replayer = Replayer((Dialogue("1", ("a\nb", "c", "d", "e")),))
    said = [
        Said("system", "s"),
        Said("user", "a"),
        Said("user", "b"),
        Said("assistant", "c"),
        Said("tool", "t"),
        Said("user", "d"),
    ]
    assert replayer.answer(said[:3]) == "c"
    assert replayer.answer(said) == "e"


def test_the_longest_common_past_decides() -> None:
    dialogues = (Dialogue("1", ("a", "1a", "yes", "1b")), Dialogue("2", ("b", "2a", "yes", "2b")))
    replayer = Replayer(dialogues)
    assert replayer.answer([Said("user", "b"), Said("assistant", "other words"), Said("user", "yes")]) == "2b"
    assert "not sure" in replayer.answer([Said("user", "never heard")])
    assert "not sure" in replayer.answer([])


def test_a_file_is_read_as_star_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "dialogues.jsonl"
    turns = [
        '{"role": "user", "text": "a"}', '{"role": "assistant", "query": "taxi"}', '{"role": "assistant", "text": "b"}',
        '{"role": "assistant", "text": "c\\u2028"}', '{"role": "user", "text": "bye"}',
    ]  # fmt: skip
    path.write_text(f'{{"id": 1, "domains": [], "turns": [{", ".join(turns)}]}}\n\n{GOOD}\n')
    assert load(path) == (Dialogue("1", ("a", "b\nc\u2028")), Dialogue("1", ("a", "b")))


@pytest.mark.parametrize(
    "line",
    ["[]", "{", "1", '{"turns": []}', '{"id": 1}', '{"id": 1, "turns": [1]}', '{"id": 1, "turns": [{"text": "a"}]}',
     '{"id": 1, "turns": [{"role": "user", "text": 3}, {"role": "user", "text": "a"}]}',
     '{"id": 1, "turns": [{"role": "robot", "text": "a"}]}'],
)  # fmt: skip
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(UserError, match=r"^d\.jsonl:2: expected \{"):
        parse(f"{GOOD}\n{line}\n".encode(), "d.jsonl")


def test_a_file_without_answers_or_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dialogue"):
        parse(b'{"id": 1, "turns": [{"role": "user", "text": "a"}]}', "d.jsonl")
    with pytest.raises(UserError, match=r"none\.jsonl: No such file"):
        load(tmp_path / "none.jsonl")
