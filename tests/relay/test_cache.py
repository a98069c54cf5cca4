"""Kept answers: the very same request of the same caller, never too old, never more bytes than they may take."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.records import Endpoint
from tailrace.relay.cache import Kept, ResponseCache, cache_key
from tailrace.relay.routing import Plan, Route
from tailrace.settings import Cache, Cooldown, Retry, Timeouts

ROUTE = Route("acme", "m", Timeouts(), drain=False)
PLAN = Plan((ROUTE,), Retry(), Cooldown(), alias="bot")
BODY = b'{"model":"bot","messages":[{"role":"user","content":"Hi"}],"temperature":0}'


def key(body: bytes = BODY, plan: Plan = PLAN, **changes: Any) -> bytes:
    said: dict[str, Any] = {
        "project": "p",
        "caller": "c",
        "endpoint": Endpoint.CHAT,
        "query": b"",
        "headers": [(b"user-agent", b"x"), (b"anthropic-version", b"1")],
    }
    return cache_key(plan, **{**said, **changes}, body=body, parsed=orjson.loads(body))


def kept(size: int, status: int = 200) -> Kept:
    return Kept(status, (), b"x" * size, is_stream=False)


OVERHEAD = kept(0).size_bytes


def test_the_same_json_of_the_same_caller_is_the_same_request() -> None:
    assert len(key()) == 16
    assert key() == key(b'{ "temperature": 0, "messages": [{"content": "Hi", "role": "user"}],\n"model": "bot"}')
    assert key() == key(headers=[(b"anthropic-version", b"1"), (b"user-agent", b"y"), (b"x-stainless-lang", b"z")])
    assert key() == key(plan=replace(PLAN, targets=(ROUTE, replace(ROUTE, model="fallback"))))


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "q"},
        {"caller": "d"},
        {"caller": None},
        {"caller": ""},
        {"endpoint": Endpoint.RESPONSES},
        {"query": b"a=1"},
        {"headers": []},
        {"headers": [(b"anthropic-version", b"2")]},
        {"headers": [(b"anthropic-version", b"1"), (b"openai-beta", b"x")]},
        {"plan": replace(PLAN, alias="other")},
        {"plan": replace(PLAN, alias=None)},
        {"plan": replace(PLAN, targets=(replace(ROUTE, model="n"),))},
        {"plan": replace(PLAN, targets=(replace(ROUTE, provider="other"),))},
        {"body": BODY.replace(b"Hi", b"hi")},
        {"body": BODY.replace(b":0}", b":0.0}")},
        {"body": BODY[:-1] + b',"stream":true}'},
        {"body": BODY[:-1] + b',"stream":false}'},
        {"body": BODY[:-1] + b',"model":"bot"}'},
    ],
    ids=str,
)
def test_what_differs_is_another_request(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_what_parsing_lost_still_differs() -> None:
    large = [BODY[:-1] + b',"seed":%d}' % (2**64 + n) for n in (1, 2)]
    assert orjson.loads(large[0]) == orjson.loads(large[1])
    assert key(large[0]) != key(large[1])
    twice = [b'{"a":%d,"a":3}' % n for n in (1, 2)]
    assert key(twice[0]) != key(twice[1])


def test_nobody_is_not_somebody_without_a_name() -> None:
    assert key(caller=None) != key(caller="")


@given(st.text(max_size=6), st.data())
def test_parts_do_not_run_into_each_other(text: str, data: st.DataObject) -> None:
    """However the same text is cut into provider and model, alias and query."""
    cuts = [sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 3))) for _ in range(2)]
    parts = [(text[:a], text[a:b], text[b:c], text[c:]) for a, b, c in cuts]
    keys = [
        key(
            plan=replace(PLAN, alias=alias, targets=(replace(ROUTE, provider=provider, model=model),)),
            query=query.encode(),
        )
        for alias, provider, model, query in parts
    ]
    assert (keys[0] == keys[1]) == (parts[0] == parts[1])


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_spaces_do_not_matter(members: dict[str, int], random: Any) -> None:
    shuffled = dict(random.sample(list(members.items()), len(members)))
    spaced = orjson.dumps(shuffled, option=orjson.OPT_INDENT_2)
    assert key(orjson.dumps(members)) == key(spaced)


def test_an_answer_is_given_until_it_is_too_old() -> None:
    cache = ResponseCache(Cache(ttl_s=10))
    assert cache.put(b"a", kept(3), 100)
    assert [cache.get(b"a", now) == kept(3) for now in (100, 109.9)] == [True, True]
    assert (cache.get(b"b", 100), cache.get(b"a", 110)) == (None, None)
    assert (len(cache), cache.size_bytes) == (0, 0)
    cache.put(b"a", kept(3), 200)
    cache.put(b"a", kept(4), 205)
    assert cache.get(b"a", 214) == kept(4)
    assert cache.size_bytes == kept(4).size_bytes


def test_the_longest_unused_goes_first() -> None:
    cache = ResponseCache(Cache(max_bytes=3 * (OVERHEAD + 10)))
    for name in (b"a", b"b", b"c"):
        cache.put(name, kept(10), 0)
    cache.get(b"a", 0)
    cache.put(b"d", kept(10), 0)
    assert [cache.get(name, 0) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_a_large_answer_is_not_kept_and_takes_the_place_of_none() -> None:
    cache = ResponseCache(Cache(max_bytes=10_000, max_entry_bytes=OVERHEAD + 10))
    assert cache.put(b"a", kept(10), 0)
    assert not cache.put(b"b", kept(11), 0)
    assert cache.get(b"a", 0)
    assert not cache.put(b"a", kept(11), 0)
    assert cache.get(b"a", 0) is None
    assert not any(cache.put(b"a", kept(1, status), 0) for status in (199, 300, 429, 500))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000), st.integers(0, 20), st.booleans())),
    st.integers(1, 6000),
    st.integers(1, 3000),
)
def test_the_bound_is_never_exceeded(steps: list[tuple[int, int, int, bool]], most: int, most_entry: int) -> None:
    cache = ResponseCache(Cache(ttl_s=15, max_bytes=most, max_entry_bytes=most_entry))
    now, model = 0.0, dict[bytes, tuple[float, Kept]]()
    for number, size, seconds, is_put in steps:
        now += seconds
        name = b"%d" % number
        if is_put:
            model.pop(name, None)
            if cache.put(name, kept(size), now):
                model[name] = (now, kept(size))
            else:
                assert kept(size).size_bytes > min(most, most_entry)
        found = cache.get(name, now)
        if found is not None:
            assert now - model[name][0] < 15
            assert found == model[name][1]
        assert cache.size_bytes <= most
    held = [entry for _, entry in cache._entries.values()]
    assert cache.size_bytes == sum(entry.size_bytes for entry in held)


def test_what_is_recorded_is_the_answer_without_what_was_of_that_call() -> None:
    cache = ResponseCache(Cache())
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"x-tailrace-target", b"acme/m"),
        (b"x-tailrace-id", b"1"),
        (b"x-request-id", b"2"),
        (b"server-timing", b"3"),
        (b"x-ratelimit-remaining-tokens", b"4"),
        (b"anthropic-ratelimit-x", b"5"),
        (b"openai-processing-ms", b"6"),
        (b"content-length", b"7"),
    ]
    recording = cache.record(200, headers, is_stream=True)
    recording.add(b"data: 1\n\n")
    recording.add(b"data: [DONE]\n\n")
    assert recording.kept() == Kept(200, tuple(headers[:2]), b"data: 1\n\ndata: [DONE]\n\n", is_stream=True)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 100))
def test_a_recording_holds_no_more_than_an_entry_may(sizes: list[int], limit: int) -> None:
    recording = ResponseCache(Cache(max_entry_bytes=OVERHEAD + limit)).record(200, [], is_stream=False)
    for size in sizes:
        recording.add(b"x" * size)
        assert sum(len(piece) for piece in recording._pieces) <= limit
    found = recording.kept()
    assert (found is not None) == (sum(sizes) <= limit)
    assert found is None or len(found.body) == sum(sizes)


def test_where_not_even_a_head_has_room_nothing_is_recorded() -> None:
    recording = ResponseCache(Cache(max_entry_bytes=1)).record(200, [], is_stream=False)
    recording.add(b"x")
    assert recording.kept() is None
