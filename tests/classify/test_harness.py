"""What the program around the user adds goes; the user's own words stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.harness import without_harness


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<system-reminder>\nBe nice.\n</system-reminder>\nBook it", "Book it"),
        ("Book it\n\n<system-reminder>a</system-reminder>\n\n\n\nnow", "Book it\n\nnow"),
        ('<ide_selection file="a.py">say <b>reject</b></ide_selection>Fix it', "Fix it"),
        ("<environment_details>\n# VSCode\n</environment_details>", ""),
        ("<task>\nBook it\n</task>\n<environment_details>x</environment_details>", "Book it"),
        ("<additional_data>x</additional_data><user_query>Book it</user_query>", "Book it"),
        ("<context>x</context>\n<userRequest>\nBook it\n</userRequest>", "Book it"),
        ("# AGENTS.md instructions for /src\n\n<INSTRUCTIONS>\nx\n</INSTRUCTIONS>", ""),
        ("<tool_response>{}</tool_response>", ""),
        ("[Request interrupted by user for tool use]", ""),
        ("<SYSTEM-REMINDER>x</System-Reminder>yes", "yes"),
        ("a < b and b > c", "a < b and b > c"),
        ("<b>bold</b> <p>text</p>", "<b>bold</b> <p>text</p>"),
        ("<system-reminder>never closed, so it is the user's", "<system-reminder>never closed, so it is the user's"),
        ("an end alone</system-reminder> stays", "an end alone</system-reminder> stays"),
        ("what does <task> mean?", "what does <task> mean?"),
        ("<context>a<context>b</context>yes", "yes"),
        ("<context>a</think>b</context>yes", "yes"),
        ("  ok  ", "ok"),
    ],
)
def test_what_is_added_goes_and_words_stay(text: str, words: str) -> None:
    assert without_harness(text) == words


def test_a_block_whose_beginning_was_cut_off_goes_too() -> None:
    assert without_harness("dump</tool_result>yes", begins_amid=True) == "yes"
    assert without_harness("dump</tool_result>yes") == "dump</tool_result>yes"


@given(st.text(alphabet=st.characters(exclude_characters="<#["), max_size=40))
def test_text_without_tags_keeps_its_words(text: str) -> None:
    assert without_harness(text).split() == text.split()


@given(st.lists(st.sampled_from(["<context>", "</context>", "<task>", "</task>", "Ω", "\n", "<"]), max_size=12))
def test_any_nesting_is_stripped_to_some_of_its_words(parts: list[str]) -> None:
    assert without_harness("".join(parts)).count("Ω") <= parts.count("Ω")


def test_a_great_many_tags_take_no_great_time() -> None:
    many = "<system-reminder>" * 12_000
    assert without_harness(many) == many
    assert without_harness("</context>" * 20_000, begins_amid=True).count("<") == 19_999
    assert without_harness("\n \t" * 60_000 + "x") == "x"
