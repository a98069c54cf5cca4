"""What a task is, what it is asked with, and what is read from an answer. Contracts.

One module in this folder fills in one `Task`, with its prompt in a `.md` file of the same name beside it. All of it is
pure. `build.py` makes the request, `answer.py` reads what came back; both know no task by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from tailrace.records import Json
from tailrace.settings_classifiers import NONE

FOLDER: Final = Path(__file__).parent


class ReadError(StrEnum):
    """Why an answer is no label. The label is `none` then."""

    OFF_LIST = "off_list"  # it names what is no label
    SHAPE = "wrong_shape"  # it is no JSON, or JSON of another kind
    EMPTY = "no_answer"  # nothing was said, or the answer is an error
    REFUSED = "refused"  # the model, or its provider, would not
    CUT = "truncated"  # it came to the limit of its tokens


CORRECTABLE: Final = frozenset(ReadError) - {ReadError.CUT}
"""A second answer would be cut at the same limit; all else a model may do better when it is asked again."""


@dataclass(frozen=True, slots=True)
class Span:
    """An entity. Offsets count characters (code points) of the text that was shown; None: the quote is not in it."""

    label: str
    text: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says. Never holds a label that was not on the list, nor a confidence that no provider gave."""

    labels: tuple[str, ...]  # in the order of the list; (`none`,) where there are no others
    value: Json = None  # of qa the answer; of extraction the attributes that were found
    spans: tuple[Span, ...] = ()
    confidence: float | None = None
    error: ReadError | None = None
    reasoning: str | None = field(default=None, compare=False)
    said: str = field(default="", compare=False)  # with an error: what the model said, cut

    @property
    def label(self) -> str:
        """All labels as one word; a label never holds a comma."""
        return ",".join(self.labels)

    @property
    def correctable(self) -> bool:
        """Whether asking once more (`build.corrected`) may help."""
        return self.error in CORRECTABLE


@dataclass(frozen=True, slots=True)
class Brief:
    """What a classifier asks, with its files read."""

    task: "Task"
    model: str
    labels: Mapping[str, str]  # each with its definition, `none` among them
    named: bool = True  # by the user; False: the task brought them
    question: str = ""
    glossary: Mapping[str, str] = field(default_factory=dict)
    instructions: str = ""
    reasoning: bool = False
    output: Literal["schema", "tool", "text"] = "schema"
    logprobs: bool = True
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of question about a text."""

    name: str
    prompt: str
    properties: Callable[[Brief], dict[str, Any]]
    """The JSON schemas of the answer's properties, all required; `reasoning` is put before them."""
    read: Callable[[Json, Brief, str], Reading]
    """What an answer says of the text that was shown: an object, or the bare text where it is no JSON. Never fails."""
    single: bool = False
    """The property `label` is one of the list, so that its tokens' probabilities are the confidence."""
    folds: bool = True
    """Whether texts that differ in case or space have the same answer, which then may be given again."""


def prompt_of(name: str) -> str:
    """The prompt beside the task's module."""
    return (FOLDER / f"{name}.md").read_text("utf-8").strip()


def nothing(error: ReadError | None = None) -> Reading:
    """No label, and why."""
    return Reading((NONE,), error=error)


def in_order(found: set[str], brief: Brief) -> tuple[str, ...]:
    """The labels of `found` as a reading has them: in the list's order, `none` only alone."""
    return tuple(label for label in brief.labels if label in found and label != NONE) or (NONE,)
