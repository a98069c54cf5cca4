"""Prepares the packaged dialogues: `python deploy/prepare_star60.py STAR/train.jsonl OUT.jsonl`.

The rule stands in `proxy/tailrace/simulate/data/star60/SOURCE.md`; run again, it gives the same bytes.
"""

import json
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

_ALIKE_IN_THREE = 10
_ALIKE_IN_TWO = 14
_WANTED = 60


def turns_of(dialogue: dict[str, Any]) -> list[dict[str, str]]:
    """Text turns, neighbours of one role joined by a newline, ending with an answer."""
    spoken = (turn for turn in dialogue["turns"] if "text" in turn)
    grouped = groupby(spoken, key=lambda turn: turn["role"])
    turns = [{"role": role, "text": "\n".join(turn["text"] for turn in group)} for role, group in grouped]
    return turns[: len(turns) // 2 * 2]


def choose(dialogues: list[list[dict[str, str]]]) -> list[int]:
    """Places of the chosen dialogues, in file order."""
    chosen = _alike(dialogues, 3, [])[:_ALIKE_IN_THREE]
    chosen += _alike(dialogues, 2, chosen)[:_ALIKE_IN_TWO]
    by_length = sorted(range(len(dialogues)), key=lambda i: (len(dialogues[i]), i))
    for i in (by_length[-1], by_length[0], *range(len(dialogues))):
        if len(chosen) < _WANTED and i not in chosen:
            chosen.append(i)
    return sorted(chosen)


def _alike(dialogues: list[list[dict[str, str]]], n: int, without: list[int]) -> list[int]:
    """Places of the dialogues whose first `n` turns are word for word those of another one."""
    openings = [tuple(turn["text"] for turn in turns[:n]) for turns in dialogues]
    often = Counter(openings)
    return [i for i, opening in enumerate(openings) if often[opening] > 1 and i not in without]


def main(source: str, target: str) -> None:
    """Writes the chosen dialogues of `source` to `target`."""
    read = [json.loads(line) for line in Path(source).read_text("utf-8").split("\n") if line]
    turns = [turns_of(dialogue) for dialogue in read]
    lines = [json.dumps({"id": read[i]["id"], "turns": turns[i]}, ensure_ascii=False) for i in choose(turns)]
    Path(target).write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
