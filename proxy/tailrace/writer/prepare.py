"""A completion from the journal → what is filed of it. Pure: no clock, no store, no ids of the store.

What cannot be proven to be rebuilt keeps its bytes beside the parts, request and answer each for itself; the parts are
filled as far as they go all the same, because the columns are for finding it.
"""

from typing import Final

from tailrace.chains.links import links_of
from tailrace.records import Attempt, Closed
from tailrace.writer.answer_parts import answer_parts
from tailrace.writer.prepared import ANSWER, REQUEST, Prepared, Raw
from tailrace.writer.request_parts import request_parts

UNKNOWN: Final = "unknown"
"""How an attempt ended during which the relay died."""


def prepare(closed: Closed) -> Prepared:
    """`closed`, taken apart."""
    request = request_parts(closed.request, closed.start.project)
    links = links_of([message for message in request.messages if type(message) is dict])
    answer = answer_parts(closed, links)
    raws = []
    if request.raw_reason is not None:
        raws.append(Raw(REQUEST, request.raw_reason, closed.request))
    if answer.raw_reason is not None:
        raws.append(Raw(ANSWER, answer.raw_reason, closed.answer))
    return Prepared(closed, request, answer, links, _attempts(closed), tuple(raws))


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
