"""What a trainer makes of a row: its text by a tokenizer's chat template, and which tokens are learned.

What is learned is where the template marks it (`{% generation %}`), as TRL's `assistant_only_loss` has it, or else what
each answer adds to the text before it, as trainers do that compare renderings. Where a template tells the past
otherwise than the present neither holds, and the preview says so. A token that only begins or ends in a learned part is
learned, as with Hugging Face's `return_assistant_tokens_mask` (which, where a part ends with a character of several
tokens, leaves out all but the first of them).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from rich.text import Text

from tailrace.commands.terminal import escaped, many_lines
from tailrace.records import Json
from tailrace_exporters import show
from tailrace_exporters.chat_template import ChatTemplate, Rendered, Span, TemplateRefusesError, read_tokenizer_folder
from tailrace_exporters.formats.base import UnfitError
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.formats.trl_shape import messages
from tailrace_exporters.rows import Row

NO_ANSWER: Final = "learns_no_answer"
BY_MARKS: Final = "learned is what the template marks with {% generation %}"
BY_GROWTH: Final = (
    "learned is what each answer adds; the template has no {% generation %}, which TRL's assistant_only_loss needs"
)
BESIDE_MARKS: Final = (
    "learned is what each answer adds; TRL's assistant_only_loss learns what the template marks with {% generation %}, "
    "which is not one part for each answer"
)


class View:
    """Rows by one tokenizer."""

    def __init__(self, folder: Path, now: datetime) -> None:
        """`folder`: the tokenizer's, on this machine; `now`: for templates that tell the date.

        Raises:
            UserError: there is no tokenizer with a chat template.
        """
        self._template = read_tokenizer_folder(folder, now)

    def rendered(self, row: Row) -> dict[str, Json]:
        """As the function `rendered`."""
        return rendered(row, self._template)

    def lines(self, value: Mapping[str, Json]) -> Iterator[Text]:
        """A canonical row that has what `rendered` gave beside it, for a person."""
        yield show.origin(value)
        yield from lines(value["rendered"])


class _Unclear(Exception):
    """Raised for an answer, by its index, of which the text does not tell where it begins or ends."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def rendered(row: Row, template: ChatTemplate) -> dict[str, Json]:
    """A row as a model reads it.

    `text`; `tokens`, each with the text it covers and whether it is learned; `notes`, what a reader must know;
    `errors`, by which it would be wrong to train on it. Where the row cannot be rendered `text` is None, and the notes
    or errors say why.
    """
    try:
        shaper = Shaper(row)
        conversation, tools = messages(shaper, row), shaper.tools()
        whole = template.render(conversation, tools)
    except UnfitError as unfit:
        why = f"a chat template takes no such row: {unfit.reason} at {unfit.pointer}"
        return _nothing([], [why]) if unfit.reason == NO_ANSWER else _nothing([why], [])
    except TemplateRefusesError as exc:
        return _nothing([f"the template refuses this row: {exc}"], [])
    notes = [f"by rule: {rule}" for rule in sorted(shaper.rules)]
    spans: list[Span] = []
    try:
        spans, how = _learned(row, template, conversation, tools, whole)
        notes.append(how)
    except _Unclear as unclear:
        notes.append(
            f"what is learned depends on the trainer: the template tells messages 0 to {unclear.index} by themselves "
            "otherwise than inside the whole conversation"
        )
    tokens = template.tokens(whole.text)
    notes += _straddling(tokens, spans)
    errors = list(_foreign(template, conversation, tools)) if whole.marked else []
    return {"text": whole.text, "tokens": _tokens(whole.text, tokens, spans), "notes": notes, "errors": errors}


def _nothing(notes: list[str], errors: list[str]) -> dict[str, Json]:
    return {"text": None, "tokens": [], "notes": notes, "errors": errors}


def _foreign(template: ChatTemplate, conversation: Sequence[Json], tools: Json | None) -> Iterator[str]:
    """The messages that are no answers and that the template would have learned."""
    for index, message in enumerate(conversation):
        if message["role"] != "assistant" and template.claims(conversation, tools, index):
            yield f"the template marks words of message {index}, of role {message['role']}, as learned"


def _straddling(tokens: Sequence[Span], spans: Sequence[Span]) -> Iterator[str]:
    """Where what the model goes on from ends inside a token: it will never be in that place when it is asked."""
    starts = {start for start, _ in spans}
    count = sum(any(start < each < end for each in starts) for start, end in tokens)
    if count:
        yield f"{count:,} learned tokens begin before their answer does"


def _learned(
    row: Row, template: ChatTemplate, conversation: Sequence[Json], tools: Json | None, whole: Rendered
) -> tuple[list[Span], str]:
    """What of the text is learned, and by which sign.

    Raises:
        _Unclear: there is none.
    """
    answers = [index for index, each in enumerate(conversation) if each["role"] == "assistant"]
    learned = [index for index in answers if row.train[index]]
    if whole.marked and learned == answers:
        return list(whole.marked), BY_MARKS
    if whole.marked and len(whole.marked) == len(answers):
        return [span for index, span in zip(answers, whole.marked, strict=True) if row.train[index]], BY_MARKS
    spans = [_growth(template, conversation, tools, index, whole.text) for index in learned]
    return spans, BESIDE_MARKS if whole.marked else BY_GROWTH


def _growth(template: ChatTemplate, conversation: Sequence[Json], tools: Json | None, index: int, whole: str) -> Span:
    """Where in `whole` the answer at `index` stands, from where the model would begin to speak.

    Raises:
        _Unclear: the text up to the answer's end is not the beginning of the whole.
    """
    try:
        through = template.render(conversation[: index + 1], tools).text
        before = template.render(conversation[:index], tools).text
        opened = template.render(conversation[:index], tools, opened=True).text
    except TemplateRefusesError as exc:
        raise _Unclear(index) from exc
    start = _shared(opened, whole)  # an opening may hold a <think> that the answer does not
    if not whole.startswith(through) or start < len(before) or start > len(through):
        raise _Unclear(index)
    return start, len(through)


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def _tokens(text: str, tokens: Sequence[Span], learned: Sequence[Span]) -> list[Json]:
    """Each token's text, and whether a part of it is learned; of tokens that share a character the first shows it."""
    found: list[Json] = []
    spans, upto = list(learned), 0
    for start, end in tokens:
        while spans and spans[0][1] <= start:
            del spans[0]
        is_learned = bool(spans) and start < spans[0][1] and end > spans[0][0]
        found.append({"text": text[upto:end], "learned": is_learned})  # with what the tokenizer left out before it
        upto = max(upto, end)
    return found


def lines(value: Mapping[str, Json]) -> Iterator[Text]:
    """What `rendered` gave, for a person: the text in pieces, those that are learned marked and in colour."""
    tokens = value["tokens"]
    if value["text"] is not None:
        learned = sum(token["learned"] for token in tokens)
        yield Text(f"{len(tokens):,} tokens, {learned:,} of them learned", style="dim")
    for is_learned, some in groupby(tokens, key=lambda token: token["learned"]):
        for line in many_lines("".join(token["text"] for token in some).removesuffix("\n")):
            yield Text(f"{'learn' if is_learned else '':5} {line}", style="green" if is_learned else "")
    yield from (Text(f"note: {escaped(note)}", style="dim") for note in value["notes"])
    yield from (Text(f"error: {escaped(error)}", style="red") for error in value["errors"])
