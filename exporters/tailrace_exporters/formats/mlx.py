"""mlx-lm's chat rows, for `mlx_lm.lora --mask-prompt`, which learns the last message only.

    {"messages": [...], "tools": [...]}     in train.jsonl, valid.jsonl, test.jsonl

Without `--mask-prompt` mlx-lm learns every token, the user's too. It looks at the first row to tell what a file holds,
so all have one shape, and reads one file a split: `shard_rows` does not apply.
"""

from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Format, Line, Problem
from tailrace_exporters.formats.reading import at
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.trl_shape import PROMPTED, TRL_REASONS, TRL_RULES, check_messages, prompted
from tailrace_exporters.rows import Row


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    line: dict[str, Json] = {"messages": prompted(shaper, row)}
    shaper.last_learned()
    tools = shaper.tools()
    if tools is not None:
        line["tools"] = tools
    return Line(line, frozenset(shaper.rules))


def check(line: Json) -> Iterator[Problem]:
    """What mlx-lm asks of a line."""
    yield from check_messages(at(line, "messages"), "/messages", least=2)


FORMAT: Final = Format(
    about="mlx-lm chat rows, for mlx_lm.lora --mask-prompt: the last message is learned",
    project=project,
    rules=TRL_RULES,
    reasons=TRL_REASONS | PROMPTED | {MASK: "something else than the last message is learned"},
    check=check,
    split_names={"validation": "valid", "val": "valid", "dev": "valid"},
    is_sharded=False,
)
