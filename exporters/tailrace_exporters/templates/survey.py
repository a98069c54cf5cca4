"""All requests of a log, read for their templates: pass by pass, until one finds nothing more. Pure but for the reader.

    pass 1   a sample of the openings ─▶ templates, and which answers are examples
    pass 2   a sample of what fits none of these ─▶ rarer templates …
    the last one finds nothing new, and has counted what each template is worth

Memory does not grow with the log: a sample, a bounded table of answers, three words a slot.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tailrace.records import Json
from tailrace.templates.match import Templates
from tailrace.templates.prune import CountText, prune
from tailrace.templates.template import Template
from tailrace_exporters.templates.opening import Leads, opening_of
from tailrace_exporters.templates.recover import recover
from tailrace_exporters.templates.sample import Sample

MOST_PASSES: Final = 4
EXAMPLES: Final = 3
"""Words that are shown of a slot."""
_EXAMPLE_CHARS: Final = 200

Conversation = Sequence[Json]
Read = Callable[[], AsyncIterator[Sequence[Conversation]]]
"""Reads the requests of the log from the beginning, in batches."""


@dataclass(slots=True)
class Tally:
    """What was seen of one template."""

    requests: int = 0
    saved_tokens: int = 0
    words: dict[str, list[str]] = field(default_factory=dict)

    def add(self, slots: Mapping[str, str], saved_tokens: int) -> None:
        """One more request made from it."""
        self.requests += 1
        self.saved_tokens += saved_tokens
        for name, words in slots.items():
            seen = self.words.setdefault(name, [])
            if len(seen) < EXAMPLES and (shown := words[:_EXAMPLE_CHARS]) not in seen:
                seen.append(shown)


@dataclass(frozen=True, slots=True)
class Survey:
    """The templates of a log, those first that save the most, and what each is worth."""

    templates: tuple[Template, ...]
    tallies: Mapping[str, Tally]
    """By template id."""
    requests: int
    unknown: int
    """Requests that fit no template."""


async def survey(read: Read, count: CountText) -> Survey:
    """The templates of the requests that `read` gives; `count` counts tokens."""
    leads, examples = Leads(), frozenset[bytes]()
    found: list[Template] = []
    for n in range(MOST_PASSES + 1):
        done = _Pass(found, examples, count)
        async for batch in read():
            for messages in batch:
                done.add(messages)
                if n == 0:
                    leads.add(messages)
        new = recover(done.sample.openings(), found) if n < MOST_PASSES else []
        more = leads.examples() - examples
        if not new and not more:
            break
        examples |= more
        found += new
    worth = [each for each in found if done.tallies[each.id].requests]
    worth.sort(key=lambda each: (-done.tallies[each.id].saved_tokens, each.id))
    return Survey(tuple(worth), done.tallies, done.requests, done.unknown)


class _Pass:
    """One reading of the log."""

    def __init__(self, found: Sequence[Template], examples: frozenset[bytes], count: CountText) -> None:
        self.sample = Sample()
        self.tallies = {template.id: Tally() for template in found}
        self.requests = self.unknown = 0
        self._known = Templates(found)
        self._examples = examples
        self._count = count

    def add(self, messages: Conversation) -> None:
        """One more request."""
        self.requests += 1
        pruned = prune(messages, self._known, self._count)
        if pruned is not None:
            self.tallies[pruned.template_id].add(pruned.slots, pruned.saved_tokens)
            return
        self.unknown += 1
        opening = opening_of(messages, self._examples)
        if opening is not None:
            self.sample.add(opening)
