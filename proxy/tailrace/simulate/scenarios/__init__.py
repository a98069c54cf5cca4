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
from tailrace.simulate.call import Ends, Scenario
from tailrace.simulate.scenarios import answers, bodies, breaks, connections, failures, labels, streams

PREFIX: Final = f"{SIMULATED}/"
_PIECES: Final = 10_000  # most pieces before a break
_TIMES: Final = 1_000_000
_CHAT: Final = frozenset(("chat",))
_OPENAI: Final = frozenset(("chat", "responses"))

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        # answers in good health
        "echo": Scenario("the last user text again, streamed word by word", answers.plain_echo),
        "replay": Scenario("the next assistant turn of the dialogue that the request continues", answers.replay),
        "tools": Scenario(
            "a call of the first offered tool; after its result, or without tools, a text", answers.tools
        ),
        "tools-N": Scenario("calls of the first N offered tools at once", answers.tools, least=1, most=128),
        "reasoning": Scenario("reasoning_content, then an echo", answers.reasoning),
        "reasoning-tools": Scenario("reasoning, then a call of the first offered tool", answers.reasoning_tools),
        "text-tools": Scenario("a text, then a call of the first offered tool", answers.text_tools),
        "text-tools-N": Scenario(
            "a text, then calls of the first N offered tools", answers.text_tools, least=1, most=128
        ),
        "json": Scenario("JSON that fits the schema the client asks for", answers.fitting_json),
        "cached": Scenario("an echo, half of its prompt read from the provider's cache", answers.cached),
        "cited": Scenario("an echo with URL citations", answers.cited),
        "refusal": Scenario("a refusal, with null content", answers.refusal),
        "content-filter": Scenario("no text, finish_reason content_filter", answers.content_filter),
        "content-null": Scenario("null content and finish_reason stop", answers.content_null),
        "length": Scenario("half an echo, finish_reason length", answers.length),
        "big-N": Scenario("a text of N KiB", answers.big, most=65_536),
        "chunks-N": Scenario("a text of N words, so N chunks with content", answers.chunks, most=1_000_000),
        "chunk-every-N": Scenario("an echo with N ms before each piece", answers.chunk_every, most=60_000),
        "slow-N": Scenario("an echo after N ms of silence", answers.slow, most=3_600_000),
        "slow-body-N": Scenario("the head at once, the body after N ms", answers.slow_body, most=3_600_000),
        "tail-N": Scenario(
            "an echo after N ms for each tenth call, after N/20 for the others", answers.tail, most=3_600_000
        ),
        # error answers
        "401": Scenario("401", failures.failing(401)),
        "429": Scenario("429 with retry-after: 1", failures.failing(429, (b"retry-after", b"1"))),
        "429-ms": Scenario("429 with retry-after-ms: 50", failures.failing(429, (b"retry-after-ms", b"50"))),
        "429-date": Scenario("429 with a date in retry-after", failures.retry_date),
        "429-negative": Scenario("429 with retry-after: -5", failures.failing(429, (b"retry-after", b"-5"))),
        "429-after-N": Scenario("429 with retry-after: N", failures.retry_after, most=10**9),
        "429-quota": Scenario("429 insufficient_quota, x-should-retry: false", failures.quota),
        "500": Scenario("500", failures.failing(500)),
        "502": Scenario("502", failures.failing(502)),
        "503": Scenario("503 with retry-after: 1", failures.failing(503, (b"retry-after", b"1"))),
        "529": Scenario("529", failures.failing(529)),
        "status-N": Scenario("status N, 400 to 599", failures.status, least=400, most=599, example=418),
        "html-error": Scenario("502 with an HTML page", failures.html),
        "empty-error": Scenario("500 without a body", failures.empty),
        "truncated-json-error": Scenario("500 with half of a JSON body", failures.truncated),
        "huge-error": Scenario("500 with a message of 1 MiB", failures.huge),
        "error-200": Scenario("an error body under status 200", failures.with_status_200),
        "flaky-N": Scenario("an error for N of each 100 calls, else an echo", failures.flaky, most=100),
        "429-then-ok": Scenario(
            "a caller's first attempt gets 429 with retry-after: 1, then echoes",
            failures.first(failures.failing(429, (b"retry-after", b"1"))),
        ),
        "500-then-ok": Scenario(
            "a caller's first attempt gets 500, then echoes", failures.first(failures.failing(500))
        ),
        "503-then-ok": Scenario(
            "a caller's first attempt gets 503, then echoes", failures.first(failures.failing(503))
        ),
        "close-then-ok": Scenario(
            "a caller's first attempt finds the connection closed, then echoes",
            failures.first(failures.closed),
            Ends.CUT,
        ),
        "reset-then-ok": Scenario(
            "a caller's first attempt finds the connection reset, then echoes",
            failures.first(failures.reset),
            Ends.RESET,
        ),
        "429-ms-then-ok": Scenario(
            "a caller's first attempt gets 429 with retry-after-ms: 50, then echoes",
            failures.first(failures.failing(429, (b"retry-after-ms", b"50"))),
        ),
        "429-date-then-ok": Scenario(
            "a caller's first attempt gets 429 with a date in retry-after, then echoes",
            failures.first(failures.retry_date),
        ),
        "429-negative-then-ok": Scenario(
            "a caller's first attempt gets 429 with retry-after: -5, then echoes",
            failures.first(failures.failing(429, (b"retry-after", b"-5"))),
        ),
        "429-absurd-then-ok": Scenario(
            "a caller's first attempt gets 429 with retry-after: 1000000000, then echoes",
            failures.first(failures.failing(429, (b"retry-after", b"1000000000"))),
        ),
        "429-words-then-ok": Scenario(
            "a caller's first attempt gets 429 with words in retry-after, then echoes",
            failures.first(failures.failing(429, (b"retry-after", b"soon"))),
        ),
        "408-then-ok": Scenario(
            "a caller's first attempt gets 408, then echoes", failures.first(failures.failing(408))
        ),
        "400-retry-then-ok": Scenario(
            "a caller's first attempt gets 400 with x-should-retry: true, then echoes",
            failures.first(failures.failing(400, (b"x-should-retry", b"true"))),
        ),
        "429-times-N": Scenario(
            "a caller's first N attempts get 429 with retry-after-ms: 10, then echoes",
            failures.repeated(failures.failing(429, (b"retry-after-ms", b"10"))),
            most=_TIMES,
        ),
        "500-times-N": Scenario(
            "a caller's first N attempts get 500, then echoes", failures.repeated(failures.failing(500)), most=_TIMES
        ),
        "502-times-N": Scenario(
            "a caller's first N attempts get 502, then echoes", failures.repeated(failures.failing(502)), most=_TIMES
        ),
        "503-times-N": Scenario(
            "a caller's first N attempts get 503, then echoes", failures.repeated(failures.failing(503)), most=_TIMES
        ),
        "529-times-N": Scenario(
            "a caller's first N attempts get 529, then echoes", failures.repeated(failures.failing(529)), most=_TIMES
        ),
        "close-times-N": Scenario(
            "a caller's first N attempts find the connection closed, then echoes",
            failures.repeated(failures.closed),
            Ends.CUT,
            most=_TIMES,
        ),
        "one-in-N": Scenario("503 but for each Nth call, which is echoed", failures.spare_one_in, least=1, most=_TIMES),
        # answers that break off
        "close": Scenario("FIN instead of an answer", failures.closed, Ends.CUT),
        "reset": Scenario("RST instead of an answer", failures.reset, Ends.RESET),
        "stall": Scenario("silence, not even a head", breaks.stall, Ends.NEVER),
        "stall-after-N": Scenario("silence after N pieces", breaks.stall_after, Ends.NEVER, most=_PIECES),
        "pings-after-N": Scenario(
            "after N pieces a comment each second, for ever", breaks.pings_after, Ends.NEVER, most=_PIECES
        ),
        "cut-after-N": Scenario(
            "after N pieces half of the next one, then FIN", breaks.cut_after, Ends.CUT, most=_PIECES
        ),
        "close-after-N": Scenario("FIN after N whole pieces", breaks.close_after, Ends.CUT, most=_PIECES),
        "reset-after-N": Scenario("RST after N whole pieces", breaks.reset_after, Ends.RESET, most=_PIECES),
        "end-after-N": Scenario("after N pieces the body ends, as HTTP asks", breaks.end_after, most=_PIECES),
        "error-after-N": Scenario("an error event after N events, then the end", breaks.error_after, most=_PIECES),
        "error-in-stream": Scenario("an error event after two events, then the end", breaks.error_in_stream),
        "stall-before-end": Scenario("all but the last piece, then silence", breaks.stall_before_end, Ends.NEVER),
        "stall-after-end": Scenario("all pieces, but the body never ends", breaks.stall_after_end, Ends.NEVER),
        "reset-after-end": Scenario("all pieces, then RST instead of the end", breaks.reset_after_end, Ends.RESET),
        "short-body": Scenario("half of the announced length, then FIN", breaks.short_body, Ends.CUT),
        # streams written in an unusual way
        "crlf": Scenario("lines end with CR LF", streams.rewritten(streams.crlf)),
        "cr": Scenario("lines end with CR", streams.rewritten(streams.cr)),
        "mixed-ends": Scenario("lines end with LF, CR LF and CR by turns", streams.rewritten(streams.mixed_ends)),
        "bom": Scenario("a byte order mark first", streams.rewritten(streams.bom)),
        "multi-line-data": Scenario("JSON over many data lines", streams.rewritten(streams.multi_line_data)),
        "fields": Scenario("id, event, retry, unknown fields and comments", streams.rewritten(streams.fields)),
        "no-space": Scenario("no space after `data:`", streams.rewritten(streams.no_space)),
        "empty-data": Scenario("events with empty data between the others", streams.rewritten(streams.empty_data)),
        "split-events": Scenario(
            "each event in two pieces, `da` and the rest", streams.rewritten(streams.split_events)
        ),
        "one-piece": Scenario("the whole stream in one piece", streams.rewritten(streams.one_piece)),
        "no-done": Scenario("no terminal event", streams.rewritten(streams.no_done)),
        "two-dones": Scenario("the terminal event twice", streams.rewritten(streams.two_dones)),
        "after-done": Scenario("an event after the terminal one", streams.rewritten(streams.after_done)),
        "no-last-newline": Scenario(
            "no blank line after the terminal event", streams.rewritten(streams.no_last_newline)
        ),
        "error-event": Scenario("an event named `error` after two events, then the end", streams.error_event),
        "pings-N": Scenario("N comments, one a second, before the first event", streams.pings_first, most=3_600),
        "pings-only": Scenario("a comment each second and nothing else, for ever", streams.pings_only, Ends.NEVER),
        "drip": Scenario("one byte a piece", streams.drip),
        "drip-N": Scenario("one byte a piece, N ms before each", streams.drip, most=60_000),
        "split-utf8": Scenario("wide characters, each split between pieces", streams.split_utf8),
        "long-line-N": Scenario("a text of N KiB in one event", streams.long_line, most=65_536),
        # contents to be doubted
        "no-usage": Scenario("no usage, though asked for", bodies.no_usage),
        "usage-twice": Scenario("usage twice", bodies.usage_twice),
        "usage-absurd": Scenario("usage of 10^18 and of -5", bodies.usage_absurd),
        "usage-with-finish": Scenario(
            "usage on the last event with a choice, unasked", bodies.usage_with_finish, wires=bodies.CHOICES
        ),
        "invalid-json": Scenario("a body, or the third event, that is no JSON", bodies.invalid_json),
        "html-200": Scenario("200 with an HTML page", bodies.html),
        "empty-200": Scenario("200 without a body", bodies.empty),
        "not-utf8": Scenario("bytes in the text that are no UTF-8", bodies.not_utf8),
        "lone-surrogate": Scenario("half of an escaped surrogate pair in the text", bodies.lone_surrogate),
        "nul": Scenario("an escaped U+0000 in the text", bodies.nul),
        "big-integer": Scenario("an integer beyond 64 bits", bodies.big_integer),
        "duplicate-keys": Scenario("a JSON member twice", bodies.duplicate_keys),
        "deep-N": Scenario("a member N arrays deep", bodies.deep, most=1_000_000),
        "bad-index": Scenario("the index 7, where an answer has one", bodies.bad_index),
        "cut-arguments": Scenario("a tool call whose arguments stop in the middle", bodies.cut_arguments),
        "no-finish": Scenario("an end without a finish_reason", bodies.no_finish),
        "filter-first": Scenario("an event without choices first, as Azure sends", bodies.filter_first, wires=_CHAT),
        "obfuscation": Scenario("noise in each event, as OpenAI sends", bodies.obfuscation, wires=_OPENAI),
        "no-content-type": Scenario("a good answer without content-type", bodies.no_content_type),
        "gzip": Scenario("compressed, whatever was asked for", bodies.gzip),
        "gzip-bomb-N": Scenario("N MiB of spaces, compressed a thousandfold", bodies.gzip_bomb, most=4_096),
        # HTTP itself
        "noisy-headers": Scenario("cookies, CORS and rate limits in the head", connections.noisy_headers),
        "huge-headers": Scenario("a header of 100 kB", connections.huge_headers),
        "many-headers": Scenario("2,000 headers", connections.many_headers),
        "non-ascii-header": Scenario("headers in Latin-1 and UTF-8", connections.non_ascii_header),
        "bad-header": Scenario("a NUL in a header", connections.bad_header, Ends.ILLEGAL),
        "garbage-head": Scenario("bytes that are no HTTP", connections.garbage_head, Ends.ILLEGAL),
        "bad-chunk": Scenario("a chunk size that is no number, after one piece", connections.bad_chunk, Ends.ILLEGAL),
        "early-hints": Scenario("one 103 before the answer", connections.early_hints),
        "1xx-flood": Scenario("a thousand 103 before the answer", connections.flood_1xx),
        "redirect": Scenario("302 to another host", connections.redirect),
        "keepalive-garbage": Scenario("stray bytes right after a good answer", connections.keepalive_garbage),
        "close-idle": Scenario("FIN after a good answer, unannounced", connections.close_idle),
        "keepalive-garbage-N": Scenario(
            "stray bytes N ms after a good answer", connections.keepalive_garbage, most=60_000
        ),
        "close-idle-N": Scenario("FIN N ms after a good answer", connections.close_idle, most=60_000),
        "connection-close": Scenario("a good answer with connection: close", connections.connection_close),
        "until-close": Scenario("a body that ends with the connection", connections.body_until_close),
        # labelling models, which answer from gold
        **labels.MODELS,
    },
)


@dataclass(frozen=True, slots=True)
class Found:
    """A scenario, its key, and the number in the name (0 without one)."""

    key: str
    scenario: Scenario
    n: int


def find(model: str) -> Found | None:
    """The scenario of a model's name, with or without `sim/`; None where none has it or its number is out of bounds."""
    name = model.removeprefix(PREFIX)
    if name in SCENARIOS:
        return None if name.endswith("-N") else Found(name, SCENARIOS[name], 0)
    match = re.fullmatch(r"(.+)-(\d{1,10})", name)
    key = f"{match[1]}-N" if match else ""
    if match is None or key not in SCENARIOS or not SCENARIOS[key].least <= int(match[2]) <= SCENARIOS[key].most:
        return None
    return Found(key, SCENARIOS[key], int(match[2]))


def close_to(model: str) -> list[str]:
    """The names most like one that does not exist, likeliest first, with `sim/`."""
    name = re.sub(r"-\d+\Z", "-N", model.removeprefix(PREFIX))
    return [PREFIX + key for key in difflib.get_close_matches(name, SCENARIOS, n=3, cutoff=0.5)]


def scenario_list() -> tuple[tuple[str, str], ...]:
    """Every name, with `sim/` and an `N` where a number goes, and what it does."""
    return tuple((PREFIX + key, scenario.says) for key, scenario in SCENARIOS.items())
