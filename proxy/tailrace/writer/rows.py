"""A prepared and linked completion → its rows. Pure: the order of a tuple is that of its table's columns."""

from typing import Final
from uuid import UUID

import orjson

from tailrace.records import TEMPLATE_TAG, Attempt, End, Status
from tailrace.store.codec import Codec
from tailrace.writer.asking import Row
from tailrace.writer.candidates import stored_pair
from tailrace.writer.identities import Placed
from tailrace.writer.link import Linked
from tailrace.writer.prepared import Prepared
from tailrace.writer.text import column_number, column_text

OPENAI: Final = "openai"
"""The dialect of most providers: NULL in its column."""
_MAX_TAGS_CHARS: Final = 16_384


def completion_row(seq: int, item: Prepared, placed: Placed, linked: Linked, *, children: int, codec: Codec) -> Row:
    """The row of `completion`."""
    start, answer = item.closed.start, item.answer
    first = item.first_choice
    links = (
        linked.chain,
        linked.parent,
        linked.relation,
        linked.kind,
        children,
        first.links.answer if first else None,
        linked.awaits,
        stored_pair(first.links.pair) if first else None,
    )
    parts = (
        placed.params,
        placed.context,
        placed.prompt_node,
        placed.choices[0][1] if first else None,
        placed.envelope,
        None if answer.values is None else codec.pack(answer.values),
        answer.id,
    )
    tags = _tags(start.tags, item.closed.end)
    told = (column_text(start.session), column_text(start.user), tags, column_text(start.config))
    return (
        seq, item.closed.id.bytes, start.at_us, *_outcome(item), linked.step, *links, *parts, *_usage(item), *told,
        *_more(item),
    )  # fmt: skip


def _more(item: Prepared) -> Row:
    """From `cache_write_tokens` on: the columns of migration 2."""
    start, usage = item.closed.start, item.answer.usage
    retries = item.closed.retries
    dialect = retries[-1].dialect if retries else start.dialect
    return (
        column_number(usage.cache_write_tokens),
        column_number(usage.output_audio_tokens),
        None if dialect == OPENAI else column_text(dialect),
        None if start.source is None else UUID(start.source).bytes,
        column_text(start.external_id),
        column_text(start.trace),
        start.omits,
    )


def _outcome(item: Prepared) -> Row:
    """From `duration_us` to `attempts`."""
    start, end, answer = item.closed.start, item.closed.end, item.answer
    last = item.attempts[-1] if item.attempts else None
    return (
        end.duration_us if end else None,
        end.first_byte_us if end else None,
        end.overhead_us if end else None,
        start.project,
        column_text(start.key),
        column_text(start.endpoint),
        start.origin,
        column_text(last.provider if last else start.provider),
        column_text(start.model),
        answer.served_model,
        end.status if end else Status.INTERRUPTED,
        column_text(end.error) if end else None,
        end.http_status if end else None,
        answer.finish_reason,
        start.stream,
        len(item.attempts),
    )


def _usage(item: Prepared) -> Row:
    """From `request_id` to `cost_usd`."""
    end, usage = item.closed.end, item.answer.usage
    return (
        column_text(end.provider_request_id) if end else None,
        column_number(usage.input_tokens),
        column_number(usage.output_tokens),
        column_number(usage.cached_tokens),
        column_number(usage.reasoning_tokens),
        column_number(usage.audio_tokens),
        usage.source,
        item.cost_usd,
    )


def choice_rows(seq: int, item: Prepared, placed: Placed) -> list[Row]:
    """The rows of `choice`: all choices with a message but the first."""
    return [
        (seq, index, node, choice.finish_reason, choice.links.answer)
        for (index, node), choice in zip(placed.choices, item.answer.choices, strict=True)
        if index > 0
    ]


def attempt_rows(seq: int, item: Prepared) -> list[Row]:
    """The rows of `attempt`."""
    return [_attempt_row(seq, attempt) for attempt in item.attempts]


def raw_rows(seq: int, item: Prepared, codec: Codec) -> list[Row]:
    """The rows of `raw`."""
    return [(seq, raw.side, raw.reason, codec.pack(raw.body)) for raw in item.raws]


def _attempt_row(seq: int, attempt: Attempt) -> Row:
    return (
        seq,
        attempt.n,
        attempt.at_us,
        column_text(attempt.provider),
        column_text(attempt.model),
        attempt.outcome,
        attempt.http_status,
        column_text(attempt.error),
        attempt.duration_us,
        column_text(attempt.detail),
    )


def _tags(tags: dict[str, str] | None, end: End | None) -> str | None:
    """Tags as JSON; NUL is escaped there, and what is too long to be a tag is left out whole."""
    if end is not None and end.template is not None:
        tags = {**(tags or {}), TEMPLATE_TAG: end.template}
    if not tags:
        return None
    text = orjson.dumps(tags, option=orjson.OPT_SORT_KEYS).decode()
    return text if len(text) <= _MAX_TAGS_CHARS else None
