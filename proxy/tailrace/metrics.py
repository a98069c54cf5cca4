"""Every collector; the only importer of prometheus_client.

Labels come from closed lists and from the settings' own names, so that no client can mint a series. In multi-process
mode (`PROMETHEUS_MULTIPROC_DIR`, set and wiped by the supervisor) every process writes its counts into files there, and
whichever worker is scraped answers for all.
"""

import os
from functools import cache
from typing import Final, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from tailrace.records import End

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = tuple(0.01 * 2**n for n in range(16))  # OpenTelemetry GenAI's buckets: 10 ms doubling to 327.68 s
_OVERHEAD_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)

_requests = Counter("tailrace_requests", "Completions ended, by how.", ("endpoint", "provider", "status"))
_refused = Counter("tailrace_refused", "Calls answered with an error of ours before a row was begun.", ("code",))
_in_flight = Gauge("tailrace_requests_in_flight", "Calls running now.", multiprocess_mode="livesum")
_duration = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "From the request's arrival to its end.",
    ("gen_ai_provider_name",),
    buckets=_SECONDS,
)
_first_byte = Histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds", "From the request's arrival to the provider's first byte.",
    ("gen_ai_provider_name",), buckets=_SECONDS,
)  # fmt: skip
_overhead = Histogram(
    "tailrace_overhead_seconds", "Of a call's duration, what was spent in the proxy itself.", buckets=_OVERHEAD_SECONDS
)
_retries = Counter("tailrace_retries", "Attempts that repeat one at the same target.", ("provider",))
_fallbacks = Counter("tailrace_fallbacks", "Calls that went on to another target.", ("alias",))
_cache = Counter("tailrace_cache_lookups", "Answers looked for in an alias's cache.", ("alias", "outcome"))
_copies = Counter("tailrace_shadow_copies", "Copies of calls for shadows.", ("alias", "outcome"))
_pruned = Counter("tailrace_template_requests", "Requests to targets with templates.", ("provider", "outcome"))
_list_failures = Counter("tailrace_model_list_failures", "Providers' lists of models that did not come.", ("provider",))
_unlogged = Counter("tailrace_gap_calls", "Calls, or ends of answers, that the log could not keep.")
_labels = Counter("tailrace_labels", "Labels given, by their source.", ("classifier", "source", "mode", "outcome"))
_label_seconds = Histogram(
    "tailrace_label_seconds", "From the request's arrival at a classifier to its label.", ("classifier", "source"),
    buckets=(0.0001, 0.0005, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
_late = Counter("tailrace_labels_late", "Calls that went on without a label because of its deadline.", ("classifier",))
_lost_labels = Counter("tailrace_labels_unlogged", "Labels and actions that the log could not keep.")
_actions = Counter("tailrace_actions", "What labels did.", ("classifier", "do", "outcome"))
_journal_bytes = Gauge(
    "tailrace_journal_bytes", "Bytes of this process's journal segments.", multiprocess_mode="livesum"
)
_journal_healthy = Gauge("tailrace_journal_healthy", "1 while the journal takes records.", multiprocess_mode="livemin")
_ingested = Counter("tailrace_ingest_rows", "Completions filed in the store.")
_dead_letters = Counter("tailrace_ingest_dead_letters", "Records set aside because they could not be filed.")
_ingest_backlog = Gauge(
    "tailrace_ingest_backlog_bytes", "Journal bytes that the writer has not filed yet.", multiprocess_mode="livemax"
)


class _Series(NamedTuple):
    """The series of one kind of completion, found once: `labels` costs more than counting."""

    requests: Counter
    duration: Histogram
    first_byte: Histogram


@cache  # bounded as the label values are: closed lists, and names from the settings
def _series(endpoint: str, provider: str, status: str) -> _Series:
    return _Series(
        _requests.labels(endpoint, provider, status), _duration.labels(provider), _first_byte.labels(provider)
    )


def refused(code: str) -> None:
    """A call was turned away before it had a row. `code` is one of `errors.Code`."""
    _refused.labels(code).inc()


def completed(endpoint: str, end: End) -> None:
    """A completion ended."""
    series = _series(endpoint, end.last.provider if end.last else "none", end.status)
    series.requests.inc()
    series.duration.observe(end.duration_us / 1e6)
    if end.first_byte_us is not None:
        series.first_byte.observe(end.first_byte_us / 1e6)
    if end.overhead_us is not None:
        _overhead.observe(end.overhead_us / 1e6)


def retried(provider: str) -> None:
    """A call of a provider is tried again."""
    _retries.labels(provider).inc()


def fell_back(alias: str | None) -> None:
    """A call goes to another target than its first; `alias` is a name of the settings."""
    _fallbacks.labels(alias or "none").inc()


def cache_looked_up(alias: str, *, hit: bool) -> None:
    """An alias's cache was asked for an answer."""
    _cache.labels(alias, "hit" if hit else "miss").inc()


def copied(alias: str, *, sent: bool) -> None:
    """A copy of a call was sent to a shadow, or left out because too many were running."""
    _copies.labels(alias, "sent" if sent else "left_out").inc()


def pruned(provider: str, outcome: str) -> None:
    """A request for a target with templates was pruned, or why not; `provider` is a name of the settings."""
    _pruned.labels(provider, outcome).inc()


def model_list_failed(provider: str) -> None:
    """A provider was asked for its models and did not list them; `provider` is a name of the settings."""
    _list_failures.labels(provider).inc()


def labelled(classifier: str, source: str, mode: str, *, failed: bool, seconds: float | None) -> None:
    """A source labelled a text, or failed to; `seconds` None: it was not timed."""
    _labels.labels(classifier, source, mode, "failed" if failed else "labelled").inc()
    if seconds is not None:
        _label_seconds.labels(classifier, source).observe(seconds)


def label_late(classifier: str) -> None:
    """A call went on unlabelled."""
    _late.labels(classifier).inc()


def unlogged_label() -> None:
    """A label or an action was not kept."""
    _lost_labels.inc()


def acted(classifier: str, do: str, outcome: str) -> None:
    """A label's action came to an outcome."""
    _actions.labels(classifier, do, outcome).inc()


def in_flight(calls: int) -> None:
    """Calls running in this process now."""
    _in_flight.set(calls)


def unlogged() -> None:
    """A call, or the end of an answer, was not kept."""
    _unlogged.inc()


def journal(size_bytes: int, *, healthy: bool) -> None:
    """The state of this process's journal."""
    _journal_bytes.set(size_bytes)
    _journal_healthy.set(1 if healthy else 0)


def ingested(rows: int, dead_letters: int, backlog_bytes: int) -> None:
    """The writer filed a batch."""
    _ingested.inc(rows)
    _dead_letters.inc(dead_letters)
    _ingest_backlog.set(backlog_bytes)


def exposition() -> bytes:
    """All collectors of all processes in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated
    return generate_latest(registry)
