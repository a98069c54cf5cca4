"""The simulated labelling model: what it answers to a question, by gold and by its habit. Pure.

asked ─▶ question ─▶ gold's truth ─▶ (slip) ─▶ filling, each label a choice ─▶ text and tokens ─▶ answer
                 └─▶ orders in the text, for those who obey it      └─▶ off the list
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from tailrace.simulate.answer import Answer, Asked, Scores, ToolCall
from tailrace.simulate.labelling import choices, offlist
from tailrace.simulate.labelling.choices import Choice
from tailrace.simulate.labelling.draws import Draws
from tailrace.simulate.labelling.filling import Filling
from tailrace.simulate.labelling.gold import Gold, Truth
from tailrace.simulate.labelling.habits import Habit, Obeys
from tailrace.simulate.labelling.question import Question, read
from tailrace.simulate.labelling.slips import Slip, slip_of, slipped
from tailrace.simulate.labelling.spelling import STYLES, tokens, written

_ORDER: Final = re.compile(
    r"\b(?:ignore|disregard|forget|instead|output|respond|reply|answer|classify|label|choose|return|print|say)\b",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"[\"'“]([^\"'“”]{1,200})[\"'”]")
_REFUSAL: Final = "I'm sorry, but I can't help with that."


def answered(asked: Asked, number: int, gold: Gold, habit: Habit) -> Answer:
    """The answer to `asked`, the `number`th call."""
    question = read(asked, gold)
    draws = Draws(f"{asked.model}\0{question.context}\0{question.text}" + (f"\0{number}" if habit.fresh else ""))
    truth = gold.find(question.text, question.context) or _made_up(question)
    slip = slip_of(truth, draws) if draws.share("wrong") < habit.wrong else None
    if slip is not None:
        truth = slipped(truth, question, slip, draws)
    chooser = _Chooser(habit, draws, slip, _order(asked, question, habit.obeys))
    filling = Filling(question, truth, chooser)
    if draws.share("off") < habit.off_list and (habit.stubborn or not question.again):
        return _off_list(filling, habit.form or draws.pick("form", offlist.FORMS))
    return _on_list(filling, habit, draws.below("style", STYLES))


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Decides each label of an answer."""

    habit: Habit
    draws: Draws
    slip: Slip | None
    order: str | None

    def __call__(self, gold: str, options: Sequence[str], name: str) -> Choice:
        if self.order is not None:
            return choices.certain(self.order)
        draws = Draws(f"{self.draws.of}\0{name}")
        if self.habit.sharpness is not None:
            return choices.sharp(gold, options, draws, self.habit.sharpness)
        if self.draws.share("first") < self.habit.first:
            return choices.first(gold, options, draws)
        one_label, first_of_many = "/" not in name, name.endswith("/0")
        mistaken = one_label or (first_of_many and self.slip is Slip.MISTAKEN)
        return choices.wrong(gold, options, draws) if self.slip and mistaken else choices.right(gold, options, draws)


def _made_up(question: Question) -> Truth:
    """What is answered about a text that gold does not know: a label that depends on the text alone."""
    return Truth((Draws(question.text).pick("made up", question.options),)) if question.options else Truth()


def _order(asked: Asked, question: Question, obeys: Obeys) -> str | None:
    """What a text tells the model to answer: the label it names last, or what it quotes; None: nothing."""
    if obeys is Obeys.NOBODY:
        return None
    heard = question.text
    if obeys is Obeys.OUTSIDE:
        inside = any(said.role == "system" and question.text in said.text for said in asked.messages)
        heard = question.text if inside and question.text.strip() else question.beside
    if not _ORDER.search(heard):
        return None
    named = [(heard.rfind(label), label) for label in question.options if label in heard]
    quoted = _QUOTED.findall(heard)
    return max(named)[1] if named else quoted[-1] if quoted else None


def _on_list(filling: Filling, habit: Habit, style: int) -> Answer:
    question = filling.question
    if question.schema is None:
        label = filling.label()
        said = orjson.loads(filling.truth.answer)
        parts: list[str | Choice] = [label] if label is not None else [said if isinstance(said, str) else ""]
    else:
        parts = written(filling.value(), style)
    scored = tokens(parts, style)
    text = "".join(token.text for token in scored)
    if question.tool is not None:
        return Answer(None, calls=(ToolCall(question.tool, text),), finish="tool_calls")
    if habit.top is not None:
        scored = tuple(replace(token, others=token.others[: habit.top]) for token in scored)
    return Answer(text, scores=Scores(scored, habit.telling))


def _off_list(filling: Filling, form: int) -> Answer:
    question = filling.question
    if form == offlist.REFUSAL:
        return Answer(None, refusal=_REFUSAL)
    value = filling.value() if question.schema is not None else filling.label()
    label = next(_chosen(value), "nothing")
    if form in offlist.TEXTS:
        due = orjson.dumps(_said(value, None)).decode()
        return Answer(offlist.TEXTS[form](label, offlist.second(label, question.options), due))
    phrase = offlist.PHRASES[form](label)
    if question.schema is None:
        return Answer(phrase)
    text = orjson.dumps(_said(value, phrase)).decode()
    if question.tool is not None:
        return Answer(None, calls=(ToolCall(question.tool, text),), finish="tool_calls")
    return Answer(text)


def _chosen(value: Any) -> Any:
    """The labels in `value`, in order."""
    if isinstance(value, Choice):
        yield value.label
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _chosen(inner)


def _said(value: Any, phrase: str | None) -> Any:
    """`value` with each label as a string; `phrase` in place of every one, where it is given."""
    if isinstance(value, Choice):
        return value.label if phrase is None else phrase
    if isinstance(value, dict):
        return {name: _said(inner, phrase) for name, inner in value.items()}
    return [_said(inner, phrase) for inner in value] if isinstance(value, list) else value
