"""Rules vote: all of a rule's conditions, then the majority, then the order; and a bad rule leaves by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.rules import MIN_JUDGED, RuleSet, Tally, Vote, upper_bound
from tailrace.settings_classifiers import Rule

YES = Rule(label="confirm", any=(r"(?i)^(yes|yep|sure|ok(ay)?)[.! ]*$",))


@pytest.mark.parametrize(
    ("rule", "text", "before", "fires"),
    [
        (YES, "OKAY!!", None, True),
        (YES, "ok then", None, False),
        (Rule(label="x", all=("a", "b")), "b a", None, True),
        (Rule(label="x", all=("a", "b")), "a", None, False),
        (Rule(label="x", any=("a", "b")), "b", None, True),
        (Rule(label="x", any=("a",), not_=("but",)), "a but", None, False),
        (Rule(label="x", any=("a",), all=("b",)), "a", None, False),
        (Rule(label="x", exact=("No thanks",)), "  no  THANKS!", None, True),
        (Rule(label="x", exact=("No thanks",)), "no thanks, bye", None, False),
        (Rule(label="x", exact=("?",)), "?", None, True),
        (Rule(label="x", exact=("?",)), "!", None, False),
        (Rule(label="x", any=("a",), role="assistant"), "a", "assistant", True),
        (Rule(label="x", any=("a",), role="assistant"), "a", None, False),
        (Rule(label="x", any=("a",), role="assistant"), "a", "tool", False),
        (Rule(label="x", any=("é+",)), "caféé", None, True),
        (Rule(label="x", any=("a",)), "a\ud800", None, True),
    ],
)
def test_a_rule_fires_when_all_its_conditions_hold(rule: Rule, text: str, before: str | None, fires: bool) -> None:
    assert RuleSet([rule]).vote(text, before=before) == (Vote(rule.label, (0,)) if fires else Vote(None))


def test_the_majority_wins_and_then_the_first_rule() -> None:
    rules = RuleSet(
        [Rule(label=label, any=(word,)) for label, word in [("a", "x"), ("b", "y"), ("b", "z"), ("c", "w")]]
    )
    assert rules.vote("x y z") == Vote("b", (0, 1, 2), True)
    assert rules.vote("w y") == Vote("b", (1, 3), True)
    assert rules.vote("y z") == Vote("b", (1, 2), False)
    assert rules.vote("x y z", without={1, 2}) == Vote("a", (0,))
    assert rules.vote("") == Vote(None)


@given(st.text(max_size=30))
def test_any_text_gets_a_rules_label_or_none(text: str) -> None:
    assert RuleSet([YES, Rule(label="b", exact=("no",))]).vote(text).label in {"confirm", "b", None}


def test_coverage_overlap_conflict_and_accuracy_are_counted() -> None:
    tally = Tally(("a", "b", "b"))
    for vote in (Vote("a", (0,)), Vote("b", (1, 2)), Vote("b", (0, 1, 2), True), Vote(None)):
        tally.add(vote)
    assert (tally.seen, tally.covered, tally.conflicts) == (4, 3, 1)
    assert [(each.fired, each.overlaps, each.conflicts) for each in tally.rules] == [(2, 1, 1), (2, 2, 1), (2, 2, 1)]
    tally.judge((0, 1), "a")
    assert [each.accuracy for each in tally.rules] == [1.0, 0.0, None]


def test_a_rule_that_is_surely_below_the_bound_disables_itself_and_says_why() -> None:
    tally = Tally(("a", "b"))
    for n in range(MIN_JUDGED - 1):
        tally.judge((0, 1), "a" if n % 2 else "b")
    assert tally.disabled(0.8) == {}  # not yet enough
    for _ in range(11):
        tally.judge((0, 1), "b")
    assert tally.disabled(0.8) == {
        0: "rule 1 (a) was right in 9 of 30 votes: at most 48% with 95 % confidence, below rule_accuracy = 0.8"
    }


def test_the_bound_is_wilsons() -> None:
    assert upper_bound(9, 30) == pytest.approx(0.4787, abs=2e-3)  # Newcombe 1998: .145–.479 … of 30
    assert upper_bound(30, 30) == 1
    assert 0 < upper_bound(0, 30) < 0.12
