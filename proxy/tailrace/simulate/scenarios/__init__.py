"""The registry: every `sim/…` model and what it does.

One scenario is one function in this folder and one line here. A key that ends in `-N` is asked for with a number in
its place (`sim/stall-after-3`); a key is looked up as it stands first, so `429` needs no number.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tailrace.settings import SIMULATED
from tailrace.simulate.call import Scenario
from tailrace.simulate.scenarios import answers

PREFIX: Final = f"{SIMULATED}/"

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        # answers in good health
        "echo": Scenario("the last user text again, streamed word by word", answers.plain_echo),
        "replay": Scenario("the next assistant turn of the dialogue that the request continues", answers.replay),
        "tools": Scenario(
            "a call of the first offered tool; after its result, or without tools, a text", answers.tools
        ),
        "tools-N": Scenario("calls of the first N offered tools at once", answers.tools, most=128),
        "reasoning": Scenario("reasoning_content, then an echo", answers.reasoning),
        "refusal": Scenario("a refusal, with null content", answers.refusal),
        "content-filter": Scenario("no text, finish_reason content_filter", answers.content_filter),
        "length": Scenario("half an echo, finish_reason length", answers.length),
        "content-null": Scenario("null content and finish_reason stop", answers.content_null),
        "big-N": Scenario("a text of N KiB", answers.big, most=65_536),
        "chunks-N": Scenario("a text of N words, so N chunks with content", answers.chunks, most=1_000_000),
        "chunk-every-N": Scenario("an echo with N ms before each piece", answers.chunk_every, most=60_000),
        "slow-N": Scenario("an echo after N ms of silence", answers.slow, most=3_600_000),
    },
)


@dataclass(frozen=True, slots=True)
class Found:
    """A scenario, its key, and the number in the name (0 without one)."""

    key: str
    scenario: Scenario
    n: int


def find(model: str) -> Found | None:
    """The scenario of a model's name, with or without `sim/`; None where there is none or its number is too large."""
    name = model.removeprefix(PREFIX)
    if name in SCENARIOS:
        return None if name.endswith("-N") else Found(name, SCENARIOS[name], 0)
    match = re.fullmatch(r"(.+)-(\d{1,10})", name)
    key = f"{match[1]}-N" if match else ""
    if match is None or key not in SCENARIOS or int(match[2]) > SCENARIOS[key].most:
        return None
    return Found(key, SCENARIOS[key], int(match[2]))


def close_to(model: str) -> list[str]:
    """The names most like one that does not exist, likeliest first, with `sim/`."""
    name = re.sub(r"-\d+\Z", "-N", model.removeprefix(PREFIX))
    return [PREFIX + key for key in difflib.get_close_matches(name, SCENARIOS, n=3, cutoff=0.5)]


def scenario_list() -> tuple[tuple[str, str], ...]:
    """Every name, with `sim/` and an `N` where a number goes, and what it does."""
    return tuple((PREFIX + key, scenario.says) for key, scenario in SCENARIOS.items())
