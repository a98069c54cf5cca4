"""What a client tells, in each tool's words, and whose word counts."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire import told as module
from tailrace.wire.told import PRIVATE_FIELDS, Told, read_told

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SDK = {
    "host": "127.0.0.1:4700",
    "accept": "application/json",
    "authorization": "Bearer sk-x",
    "x-stainless-lang": "python",
}


def told(headers: dict[str, str | bytes] | None = None, **body: Any) -> Told:
    named = (headers or {}).items()
    raw = [(name.encode(), value.encode() if isinstance(value, str) else value) for name, value in named]
    return read_told(raw, body)


def test_a_plain_call_tells_nothing() -> None:
    assert told(dict(SDK), model="m", messages=[]) == Told()
    assert told() == Told()


SESSIONS: list[dict[str, Any]] = [
    {"headers": {name: "S"}}
    for name in (
        *("x-tailrace-session", "x-session-id", "helicone-session-id", "x-litellm-session-id"),
        *("x-claude-code-session-id", "session_id", "x-openwebui-chat-id"),
    )
] + [
    {"headers": {"baggage": "a=b, session.id=S;p=q"}},
    {"litellm_session_id": "S"},
    {"tensorzero::episode_id": "S"},
    {"episode_id": "S"},
    {"langfuse_session_id": "S"},
    {"session_id": "S"},
    {"metadata": {"session_id": "S"}},
    {"metadata": {"langfuse_session_id": "S"}},
    {"conversation": "S"},
    {"metadata": {"user_id": "user_1f_account__session_S"}},
]  # in the order of their precedence
USERS: list[dict[str, Any]] = [
    {"headers": {name: "U"}}
    for name in (
        *("x-tailrace-user", "helicone-user-id", "x-litellm-end-user-id", "x-litellm-customer-id"),
        "x-openwebui-user-id",
    )
] + [
    {"headers": {"x-portkey-metadata": '{"_user":"U"}'}},
    {"headers": {"baggage": "user.id=U"}},
    {"safety_identifier": "U"},
    {"user": "U"},
    {"langfuse_user_id": "U"},
    {"metadata": {"user_id": "U"}},
    {"metadata": {"langfuse_user_id": "U"}},
]
TRACES: list[dict[str, Any]] = [
    {"headers": {"traceparent": TRACEPARENT}},
    {"headers": {"x-portkey-trace-id": "T"}},
    {"litellm_trace_id": "T"},
]
IDS: list[dict[str, Any]] = [
    {"headers": {"x-tailrace-external-id": "I"}},
    {"headers": {"x-client-request-id": "I"}},
]


@pytest.mark.parametrize(
    ("field", "sources"), [("session", SESSIONS), ("user", USERS), ("trace", TRACES), ("external_id", IDS)]
)
def test_each_source_and_that_the_ones_before_it_win(field: str, sources: list[dict[str, Any]]) -> None:
    for place, source in enumerate(sources):
        value = getattr(told(**source), field)
        assert value is not None, source
        for later in sources[place + 1 :]:
            both = {
                **_changed(later),
                **source,
                "headers": _changed(later).get("headers", {}) | source.get("headers", {}),
            }
            if "metadata" in source and "metadata" in later:
                both["metadata"] = _changed(later)["metadata"] | source["metadata"]
            assert getattr(told(**both), field) == value, (source, later)


def _changed(source: dict[str, Any]) -> dict[str, Any]:
    """The same source with another value."""
    changed: dict[str, Any] = json.loads(
        re.sub(r"\b[SUTI]\b|_S\b", lambda found: found[0] + "2", json.dumps(source, ensure_ascii=False))
    )
    return changed


def test_every_source_stands_in_the_docstring() -> None:
    documented = module.__doc__ or ""
    names = {name.decode() for name in module._HEADERS} | module._FIELDS
    missing = {name for name in names if name not in documented}
    assert missing == {  # these stand in the docstring of `tags`
        "cf-aig-metadata", "x-tailrace-tags", "x-litellm-tags", "x-portkey-span-id", "helicone-session-path",
        "helicone-session-name", "tensorzero::tags", "litellm_metadata",
    }  # fmt: skip


def test_conversation_and_what_is_no_session() -> None:
    assert told(conversation={"id": "conv_1"}).session == "conv_1"
    assert told(conversation={"x": 1}).session is None
    assert told(previous_response_id="resp_1") == Told()
    assert told(metadata="x").session is None


@pytest.mark.parametrize(
    ("user_id", "user", "session"),
    [
        ("user_1f_account_a-1_session_57a121ec", "user_1f_account_a-1", "57a121ec"),
        ('{"device_id":"d","account_uuid":"a","session_id":"s"}', "a", "s"),
        ('{"device_id":"d","account_uuid":"","session_id":"s"}', "d", "s"),
        ('{"session_id":"s"}', '{"session_id":"s"}', "s"),
        ("{broken", "{broken", None),
        ("someone_session_x", "someone_session_x", None),
        ("user_session_", "user_session_", None),
    ],
)
def test_claude_code_puts_its_session_into_the_user(user_id: str, user: str, session: str | None) -> None:
    found = told(metadata={"user_id": user_id})
    assert (found.user, found.session, found.tags) == (user, session, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 512, "x" * 512),
        ("x" * 513, None),
        (" a\x00b\x1b[31m ", "ab[31m"),
        ("\x00", None),
        ("", None),
        ("é", "é"),
        ("a b", "a b"),
    ],
)
def test_what_an_id_may_be(value: str, expected: str | None) -> None:
    assert told({"x-tailrace-session": value}).session == expected
    assert told(session_id=value).session == expected
    assert told({"x-tailrace-session": value, "x-session-id": "next"}).session == (expected or "next")


def test_bytes_of_any_kind() -> None:
    assert told({"x-session-id": b"\xff\xe9"}).session == "ÿé"
    assert told({"x-session-id": "日本".encode()}).session == "日本"
    assert told(user=7).user is None
    assert told(user=["u"]).user is None


def test_of_two_headers_of_a_name_the_first_counts() -> None:
    assert read_told([(b"x-session-id", b"1"), (b"x-session-id", b"2")], {}).session == "1"


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (TRACEPARENT, True),
        (f" {TRACEPARENT} ", True),
        ("cc" + TRACEPARENT[2:] + "-what-will-be", True),
        ("ff" + TRACEPARENT[2:], False),
        (TRACEPARENT.upper(), False),
        (TRACEPARENT[:-1], False),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", False),
        ("", False),
    ],
)
def test_traceparent(value: str, valid: bool) -> None:
    headers: dict[str, str | bytes] = {"traceparent": value, "x-portkey-trace-id": "other"}
    assert told(headers).trace == ("4bf92f3577b34da6a3ce929d0e0e4736" if valid else "other")


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ("1", 1),
        (" 12 ", 12),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("x", None),
        ("9" * 12, None),
        ("3000000000", None),
        ("²", None),
        ("", None),
    ],
)
def test_step(value: str, step: int | None) -> None:
    assert told({"x-tailrace-step": value}).step == step


@pytest.mark.parametrize(
    ("headers", "omits"),
    [
        ({"helicone-omit-request": "true"}, "request"),
        ({"helicone-omit-response": "TRUE"}, "answer"),
        ({"helicone-omit-request": "true", "helicone-omit-response": "1"}, "both"),
        ({"x-litellm-enable-message-redaction": "true"}, "both"),
        ({"x-litellm-enable-message-redaction": "false"}, None),
        ({"helicone-omit-request": ""}, None),
        ({"x-tailrace-log": "metadata"}, "both"),
        ({"x-tailrace-log": "metdata"}, "both"),
        ({"x-tailrace-log": "full", "x-litellm-enable-message-redaction": "true"}, None),
        ({"x-tailrace-log": "", "helicone-omit-request": "true"}, "request"),
    ],
)
def test_what_is_not_to_be_logged(headers: dict[str, str | bytes], omits: str | None) -> None:
    found = told(headers)
    assert found.omits == omits
    assert (found.omits_request, found.omits_answer) == (omits in ("request", "both"), omits in ("answer", "both"))


def test_fields_that_a_provider_knows_are_not_private() -> None:
    providers_own = {"session_id", "user", "safety_identifier", "metadata", "conversation", "previous_response_id"}
    assert not providers_own & PRIVATE_FIELDS
    assert {"litellm_session_id", "tensorzero::tags", "episode_id"} <= PRIVATE_FIELDS


NAMES = st.sampled_from([*sorted(module._HEADERS), b"helicone-property-x", b"helicone-property-", b"accept"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=600)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=200), inner, max_size=4)),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(NAMES, st.one_of(st.binary(max_size=600), st.sampled_from([b"{", b'{"a":1}', b"[", b"a=b,c"])))),
    st.dictionaries(st.sampled_from(sorted(module._FIELDS)), VALUES, max_size=5),
)
def test_nothing_makes_it_fail_or_say_too_much(headers: list[tuple[bytes, bytes]], body: dict[str, Any]) -> None:
    found = read_told(headers, body)
    for value in (found.session, found.user, found.trace, found.external_id):
        assert value is None or (0 < len(value) <= 512 and not re.search(r"[\x00-\x1f\x7f-\x9f]", value))
    assert found.tags is None or 0 < len(found.tags) <= 64
    for name, text in (found.tags or {}).items():
        assert 0 < len(name) <= 128
        assert len(text) <= 512
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", name + text)
