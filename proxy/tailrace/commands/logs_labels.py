"""Labels and actions beside completions, for people and for machines. Pure, but for `load`.

What the classifiers said is shown where the user's turn is that they said it of; of several labels of one classifier
the one that counts, and the others in the history that `logs show` has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncConnection

from tailrace.commands.speech import dumped
from tailrace.commands.terminal import iso_utc, lasting, local_time, one_line
from tailrace.records import Action, Json, Label, LabelMode, LabelValue
from tailrace.store import labels as stored
from tailrace.store.read import Filed

_LABEL_PLAIN: Final = ("label", "confidence", "source", "version", "mode", "error", "note", "who")
_ACTION_PLAIN: Final = (
    "do",
    "target",
    "outcome",
    "dry_run",
    "label",
    "classifier",
    "version",
    "attempts",
    "error",
    "key",
)


@dataclass(frozen=True, slots=True)
class Beside:
    """The labels that count, by classifier, and the actions of some completions."""

    labels: Mapping[bytes, Mapping[str, Label]]
    actions: Mapping[bytes, Sequence[Action]]

    def as_json(self, completion: bytes) -> dict[str, Json]:
        """Those of one completion, for machines."""
        counting = self.labels.get(completion, {})
        return {
            "labels": {name: label_fields(label) for name, label in counting.items()},
            "actions": [action_fields(action) for action in self.actions.get(completion, ())],
        }

    def lines(self, completion: bytes) -> Iterator[Text]:
        """Those of one completion, a line each."""
        for name, label in self.labels.get(completion, {}).items():
            yield Text(one_line(f"{name} = {told(label)}"), "green")
        for action in self.actions.get(completion, ()):
            yield Text(one_line(did(action)), "yellow")


async def load(connection: AsyncConnection, rows: Iterable[Filed]) -> Beside:
    """What stands beside `rows`."""
    ids = [row.id for row in rows]
    return Beside(await stored.counting(connection, ids), await stored.actions(connection, ids))


def label_fields(label: Label) -> dict[str, Json]:
    """A label; what is unknown is null."""
    return {
        **{name: getattr(label, name) for name in _LABEL_PLAIN},
        "at": iso_utc(label.at_us),
        "latency_ms": None if label.latency_us is None else label.latency_us / 1000,
    }


def action_fields(action: Action) -> dict[str, Json]:
    """An action, as far as it has come."""
    return {**{name: getattr(action, name) for name in _ACTION_PLAIN}, "at": iso_utc(action.at_us)}


def said_of(label: LabelValue) -> str:
    """A label in words."""
    if isinstance(label, str):
        return label
    return ", ".join(label) if isinstance(label, tuple) else dumped(label).decode()


def told(label: Label) -> str:
    """A label with what is known of it: `confirm (0.93, student)`."""
    words = "none" if label.label is None else said_of(label.label)
    sure = None if label.confidence is None else f"{label.confidence:.2g}"
    mode = None if label.mode == LabelMode.LIVE else label.mode
    facts = (sure, f"{label.source} {label.who or ''}".rstrip(), mode, label.error, label.note)
    return f"{words} ({', '.join(fact for fact in facts if fact)})"


def did(action: Action) -> str:
    """An action, as far as it has come: `route retention-bot: done, for reply_intent = reject`."""
    tries = f" after {action.attempts} attempts" if action.attempts > 1 else ""
    how = "dry run" if action.dry_run else f"{action.outcome}{tries}"
    facts = (how, action.error, f"for {action.classifier} = {action.label}")
    return f"{action.do} {action.target or ''}".rstrip() + ": " + ", ".join(fact for fact in facts if fact)


def history(labels: Sequence[Label], actions: Sequence[Action]) -> Iterator[Text]:
    """All labels of a completion in order, and its actions."""
    for label in labels:
        took = "" if label.latency_us is None else f" {lasting(label.latency_us)}"
        line = f"{label.classifier} {label.version} = {told(label)}{took}"
        yield Text(f"{local_time(label.at_us)}  {one_line(line)}")
    for action in actions:
        yield Text(f"{local_time(action.at_us)}  {one_line(did(action))}")
