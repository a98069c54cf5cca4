"""Requests made from templates are recognised, and come back from what was recognised; hostile ones cost no more."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Json
from tailrace.templates.match import MAX_TEXT_CHARS, Match, Templates, render
from tailrace.templates.template import Frame, Pattern, Slot, Template

WORDS = st.sampled_from(["Question: ", "\n", "a", "b", "ab", "{q}", "{{", "\\", '"slot"', "Answer", "é", "問", ""])
TEXTS = st.lists(WORDS, max_size=6).map("".join)


def q(*segments: str) -> Pattern:
    """A pattern from segments, where `{name}` is a slot."""
    return tuple(Slot(each[1:-1]) if each[:1] == "{" else each for each in segments)


def template(name: str, *frames: tuple[str, *tuple[Pattern, ...]]) -> Template:
    return Template(name, tuple(Frame(role, tuple(texts), keep=role == "assistant") for role, *texts in frames), name)


def say(role: str, content: Json) -> dict[str, Json]:
    return {"role": role, "content": content}


ASK = template("ask", ("system", q("You answer for ", "{company}", ".")), ("user", q("Q: ", "{question}", "\nA:")))
LONG = template("long", ("user", q("Sum up:\n", "{text}", "\nUse at most ", "{n}", " words.")))
SHORT = template("short", ("user", q("Sum up:\n", "{text}")))
KNOWN = Templates([SHORT, ASK, LONG])
SYSTEM = say("system", "You answer for ACME.")


def test_slots_are_what_stands_between_the_static_text() -> None:
    assert KNOWN.match([SYSTEM, say("user", "Q: Who?\nA:")]) == Match(ASK, {"company": "ACME", "question": "Who?"})


@pytest.mark.parametrize(
    ("text", "name", "slots"),
    [
        ("Sum up:\nThe tale.", "short", {"text": "The tale."}),
        ("Sum up:\nThe tale.\nUse at most 9 words.", "long", {"text": "The tale.", "n": "9"}),
        ("Sum up:\n", "short", {"text": ""}),
    ],
)
def test_of_a_template_and_its_beginning_the_longer_one_is_meant(text: str, name: str, slots: dict[str, str]) -> None:
    match = KNOWN.match([say("user", text)])
    assert match is not None
    assert (match.template.name, match.slots) == (name, slots)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [say("user", "Sum it up:\nThe tale.")],
        [say("developer", "You answer for ACME."), say("user", "Q: Who?\nA:")],
        [SYSTEM, say("user", "Q: Who?\nA: ")],
        [SYSTEM],
        [say("system", None), say("user", "Q: Who?\nA:")],
        [say("system", [{"type": "text", "text": 5}, 7]), say("user", "Q: Who?\nA:")],
        [say("user", "Q: Who?\nA:"), SYSTEM],
        [say("user", ""), {"role": ["system"]}],
    ],
)
def test_what_is_made_from_no_template_is_none_of_them(messages: list[Json]) -> None:
    assert KNOWN.match(messages) is None


def test_static_texts_do_not_overlap() -> None:
    known = Templates([template("x", ("user", q("abab", "{slot}", "baba")))])
    assert known.match([say("user", "abababa")]) is None
    assert known.match([say("user", "ababbaba")]) is not None


def test_a_name_that_stands_twice_means_the_same_words() -> None:
    known = Templates([template("x", ("system", q("For ", "{c}", ".")), ("user", q("{c}", " asks ", "{q}")))])
    match = known.match([say("system", "For ACME."), say("user", "ACME asks why")])
    assert match is not None
    assert match.slots == {"c": "ACME", "q": "why"}
    assert known.match([say("system", "For ACME."), say("user", "ABC asks why")]) is None


def test_later_turns_that_are_made_like_the_last_message_are_found() -> None:
    before = [SYSTEM, say("user", "Q: Who?\nA:"), say("assistant", "Q: me\nA:")]
    messages = [*before, say("user", "by the way"), say("user", "Q: Why?\nA:")]
    match = KNOWN.match(messages)
    assert match is not None
    assert match.later == ((4, {"question": "Why?"}),)
    assert render(match, messages) == messages


def test_images_are_of_no_account() -> None:
    known = Templates([template("x", ("user", q("Look at ", "{what}"), q("Say why.")))])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    parts = [image, {"type": "text", "text": "Look at this"}, image, {"type": "text", "text": "Say why."}]
    match = known.match([say("user", parts)])
    assert match is not None
    assert match.slots == {"what": "this"}
    assert render(match, [say("user", parts)]) == [say("user", parts)]


def between(drawn: tuple[list[str], list[str], bool, bool]) -> Pattern:
    """Static text and slots in turns, beginning and ending with either."""
    statics, slots, first, last = drawn
    found: list[Any] = [each for pair in zip(statics, map(Slot, slots), strict=False) for each in pair]
    found = found if last else found[:-1]
    return tuple(found[1:] if first and len(found) > 1 else found)


PATTERNS = st.tuples(
    st.lists(TEXTS.filter(bool), min_size=1, max_size=3), st.permutations(["a", "b", "c"]), st.booleans(), st.booleans()
).map(between)
DRAWN = st.lists(st.tuples(st.sampled_from(["system", "user"]), PATTERNS), min_size=1, max_size=3).map(
    lambda drawn: template("drawn", *drawn)
)


@given(st.lists(DRAWN, min_size=1, max_size=4), st.dictionaries(st.sampled_from("abc"), TEXTS), TEXTS)
def test_what_was_recognised_comes_back(known: list[Template], words: dict[str, str], later: str) -> None:
    chosen = known[0]
    made = render(
        Match(chosen, {name: words.get(name, "") for name in "abc"}), [say(f.role, "") for f in chosen.frames]
    )
    messages = [*made, say("assistant", later), say(chosen.frames[-1].role, later), made[-1]]
    match = Templates(known).match(messages)
    if match is not None:
        assert render(match, messages) == messages
        assert match.template.static_chars >= chosen.static_chars
    else:  # words that hold what ends their slot are split elsewhere, which a name that stands twice does not bear
        assert len(chosen.slots) < sum(len([*frame.slots]) for frame in chosen.frames)


@pytest.mark.parametrize("period", ["a", "ab", "a" * 40 + "b", "Q: \n"])
def test_repetition_costs_no_more_than_any_text(period: str) -> None:
    almost = (period * 9)[:99] + "~"
    pattern = q("{a}", *(each for n in range(8) for each in (almost, f"{{{n}}}")))
    known = Templates([template("x", ("user", pattern))])
    text = (period * MAX_TEXT_CHARS)[:MAX_TEXT_CHARS]
    begun = time.perf_counter()
    assert known.match([say("user", text)]) is None
    assert time.perf_counter() - begun < 0.5


def test_a_huge_text_belongs_to_no_template() -> None:
    room = MAX_TEXT_CHARS - len("Sum up:\n")
    assert KNOWN.match([say("user", "Sum up:\n" + "x" * room)]) is not None
    assert KNOWN.match([say("user", "Sum up:\n" + "x" * (room + 1))]) is None
