"""A completion from the journal → what is filed of it. Pure: no clock, no store, no ids of the store.

What cannot be proven to be rebuilt keeps its bytes beside the parts, request and answer each for itself; the parts are
filled as far as they go all the same, because the columns are for finding it.
"""

from dataclasses import replace
from typing import Final

from tailrace.chains.links import links_of
from tailrace.chains.names import own_names, parent_name
from tailrace.prices import Prices
from tailrace.records import CACHE, Attempt, Closed, UsageSource
from tailrace.wire.endpoints import ENDPOINTS
from tailrace.writer.answer_parts import answer_parts
from tailrace.writer.estimate import estimated
from tailrace.writer.prepared import ANSWER, PROVIDER, REQUEST, AnswerParts, Prepared, Raw
from tailrace.writer.request_parts import request_parts

UNKNOWN: Final = "unknown"
"""How an attempt ended during which the relay died."""
_PARSED: Final = {str(endpoint): wire for endpoint, wire in ENDPOINTS.items()}


def prepare(closed: Closed, prices: Prices | None = None) -> Prepared:
    """`closed`, taken apart and, with `prices`, priced."""
    start = closed.start
    wire = _PARSED.get(start.endpoint)
    request = request_parts(closed.request, start.endpoint, start.project)
    went = bool(start.provider)  # else nobody was asked: it continues nothing, and the call in its stead does
    links = links_of(wire.turns_of(request.parsed) if wire is not None and went else ())
    parent = parent_name(start.endpoint, request.parsed) if went else None
    if parent is not None:
        links = replace(links, parent=parent.link, pair=None, earlier=(), named=True)
    answer = answer_parts(closed, wire, request.parsed, links)
    raws = []
    if request.raw_reason is not None and not _omits(closed, "request"):
        raws.append(Raw(REQUEST, request.raw_reason, closed.request))
    if answer.raw_reason is not None:
        raws.append(Raw(ANSWER, answer.raw_reason, closed.answer))
    if answer.translated is not None:
        raws.append(Raw(PROVIDER, f"translated from {answer.translated}", closed.answer))
    if answer.usage.source == UsageSource.NONE:
        answer = replace(answer, usage=estimated(request, answer))
    cost_usd = None if prices is None else _cost(closed, answer, prices)
    names = own_names(start.endpoint, request.parsed, answer.id) if went else ()
    return Prepared(closed, request, answer, links, _attempts(closed), tuple(raws), cost_usd, parent, names)


def _cost(closed: Closed, answer: AnswerParts, prices: Prices) -> float | None:
    if closed.start.provider == CACHE:
        return 0.0
    if closed.end is None or closed.end.last is None:
        return None
    last = closed.end.last
    return prices.cost_usd(
        answer.usage, provider=last.provider, model=last.model, served=answer.served_model, at_us=closed.start.at_us
    )


def _omits(closed: Closed, side: str) -> bool:
    """The client asked that this body not be logged, so there is none."""
    return closed.start.omits in (side, "both")


def _attempts(closed: Closed) -> tuple[Attempt, ...]:
    """Every call of a provider, in order; how the last one ended is unknown where the relay died."""
    before = tuple(retry.previous for retry in closed.retries)
    if closed.end is not None:
        return before if closed.end.last is None else (*before, closed.end.last)
    if closed.retries:
        last = closed.retries[-1]
        return (*before, Attempt(last.n, last.at_us, last.provider, last.model, UNKNOWN))
    start = closed.start
    return (Attempt(1, start.at_us, start.provider, start.sent_model, UNKNOWN),)
