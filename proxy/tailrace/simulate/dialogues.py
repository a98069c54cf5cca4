"""Recorded dialogues, and the answers that continue them.

Owns the dialogue file's form and the lookup. Pure but for reading the file. A file is JSONL, one dialogue a line:
`{"id": …, "turns": [{"role": "user" | "assistant", "text": …}, …]}`; turns without text (STAR's queries) are skipped,
neighbours of one role are joined by a newline, and a last user turn without an answer is dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Final

import orjson

from tailrace.errors import UserError
from tailrace.records import Json
from tailrace.simulate.answer import Said

_NOTHING_FITS: Final = "I am not sure I understand. Could you say that in other words?"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`turns` are texts: user, assistant, user, assistant, …; an even number of them, at least two."""

    id: str
    turns: tuple[str, ...]

    @property
    def user_turns(self) -> tuple[str, ...]:
        """What the user says, in order."""
        return self.turns[::2]

    @property
    def answers(self) -> tuple[str, ...]:
        """What the assistant says, in order."""
        return self.turns[1::2]


def packaged() -> tuple[Dialogue, ...]:
    """The 60 dialogues of STAR that come with the package (`data/star60/SOURCE.md` says which)."""
    raw = files("tailrace.simulate").joinpath("data", "star60", "dialogues.jsonl").read_bytes()
    return parse(raw, "data/star60/dialogues.jsonl")


def load(path: Path) -> tuple[Dialogue, ...]:
    """The dialogues of a file. Raises UserError, with file and line, for one that cannot be read."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as exc:
        raise UserError(f"{path}: {exc.strerror}; expected a JSONL file of dialogues") from exc


def parse(raw: bytes, name: str) -> tuple[Dialogue, ...]:
    """The dialogues in `raw`; those without a single answer are left out. Raises UserError with `name` and the line."""
    found = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            dialogue = _dialogue(orjson.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            expected = '{"id": …, "turns": [{"role": "user" or "assistant", "text": …}, …]}'
            raise UserError(f"{name}:{number}: expected {expected}") from exc
        if dialogue.turns:
            found.append(dialogue)
    if not found:
        raise UserError(f"{name}: no dialogue with an answer in it")
    return tuple(found)


def _dialogue(shape: Json) -> Dialogue:
    spoken = [Said(turn["role"], turn["text"]) for turn in shape["turns"] if turn.get("text") is not None]
    if not all(turn.role in {"user", "assistant"} and isinstance(turn.text, str) for turn in spoken):
        raise ValueError("a turn")
    said = joined(spoken)
    if said and said[0].role == "assistant":
        del said[0]
    del said[len(said) // 2 * 2 :]
    return Dialogue(str(shape["id"]), tuple(turn.text for turn in said))


def joined(said: Iterable[Said]) -> list[Said]:
    """`said`, neighbours of one role made one by a newline."""
    out: list[Said] = []
    for turn in said:
        if out and out[-1].role == turn.role:
            out[-1] = Said(turn.role, f"{out[-1].text}\n{turn.text}")
        else:
            out.append(turn)
    return out


class Replayer:
    """Answers from dialogues, without knowing which one is played.

    First by the whole conversation so far, user and assistant turns. Where several dialogues go on differently, the
    conversation's hash picks one, so the same conversation always gets the same answer. A player whose dialogue was
    not picked goes on with its own user turns; that conversation is in no dialogue, and the answer is then that of the
    dialogue whose user turns agree the longest way back. So every dialogue can be played to its end.
    """

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        self._next: dict[bytes, list[str]] = {}
        self._by_users: dict[bytes, list[str]] = {}
        for dialogue in dialogues:
            self._learn(dialogue)

    def answer(self, messages: Sequence[Said]) -> str:
        """The answer to `messages`, of which only user and assistant turns count; a polite sentence where none fits."""
        said = joined(message for message in messages if message.role in {"user", "assistant"})
        spoken = tuple(turn.text for turn in said if turn.text)
        whole = _key(spoken)
        if whole in self._next:
            return _pick(self._next[whole], whole)
        users = [turn.text for turn in said if turn.role == "user"]
        for start in range(len(users)):
            key = _key(users[start:])
            if key in self._by_users:
                return _pick(self._by_users[key], whole)
        return _NOTHING_FITS

    def _learn(self, dialogue: Dialogue) -> None:
        users = dialogue.user_turns
        for step, answer in enumerate(dialogue.answers):
            _add(self._next, _key(dialogue.turns[: 2 * step + 1]), answer)
            for start in range(step + 1):
                _add(self._by_users, _key(users[start : step + 1]), answer)


def _key(turns: Sequence[str]) -> bytes:
    """A hash of `turns` in order; each is hashed by itself, so no text can imitate a border."""
    return reduce(lambda key, turn: _hash(key + _hash(turn.encode("utf-8", "surrogatepass"))), turns, b"")


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _add(known: dict[bytes, list[str]], key: bytes, answer: str) -> None:
    answers = known.setdefault(key, [])
    if answer not in answers:
        answers.append(answer)


def _pick(answers: Sequence[str], key: bytes) -> str:
    return answers[int.from_bytes(key, "big") % len(answers)]
