"""Keys as values: tokens, what they are looked up by, and the snapshot that the relays read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.keys import (
    Key,
    KeyKind,
    NoKey,
    OnRevoke,
    is_token,
    key_json,
    key_of,
    new_token,
    read_snapshot,
    snapshot,
    token_hash,
)

TEXT = st.text(min_size=1, max_size=9)
COUNT = st.none() | st.integers(1, 2**40)
USD = st.none() | st.floats(0, 1e6)
KEYS = st.builds(
    Key,
    id=TEXT,
    hash=st.binary(min_size=32, max_size=32),
    kind=st.sampled_from(KeyKind),
    name=TEXT,
    created_us=st.integers(0, 2**50),
    project=TEXT,
    expires_us=COUNT,
    revoked_us=COUNT,
    models=st.lists(TEXT, max_size=3).map(tuple),
    endpoints=st.lists(TEXT, max_size=3).map(tuple),
    requests_per_min=COUNT,
    tokens_per_min=COUNT,
    concurrency=COUNT,
    usd_per_day=USD,
    usd_per_month=USD,
    on_revoke=st.sampled_from(OnRevoke),
)


@given(st.lists(KEYS, max_size=4, unique_by=lambda key: key.hash))
def test_a_snapshot_comes_back_as_it_was(keys: list[Key]) -> None:
    assert read_snapshot(snapshot(keys, 5)) == {key.hash: key for key in keys}


@given(KEYS)
def test_what_a_newer_version_says_beside_it_is_passed_over(key: Key) -> None:
    assert key_of(key_json(key) | {"new": 1}) == key


@pytest.mark.parametrize("kind", KeyKind)
def test_a_token_says_what_it_is_and_is_kept_as_a_hash(kind: KeyKind) -> None:
    token = new_token(kind, bytes(range(32)))
    assert token.startswith("tr-")
    assert is_token(token.encode())
    assert token_hash(token.encode()) == hashlib.sha256(token.encode()).digest()
    assert new_token(kind, bytes(32)) != token


def test_a_key_is_open_until_it_expires_or_is_revoked() -> None:
    key = Key(id="k", hash=bytes(32), kind=KeyKind.CLIENT, name="n", created_us=1, expires_us=10)
    assert key.is_open(9)
    assert not key.is_open(10)
    assert not Key(id="k", hash=bytes(32), kind=KeyKind.CLIENT, name="n", created_us=1, revoked_us=5).is_open(1)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"version": 1}', b'{"version": 2, "keys": []}', b'{"version":1,"keys":[3]}']
)
def test_what_is_no_snapshot_is_not_taken_for_an_empty_one(raw: bytes) -> None:
    with pytest.raises(NoKey):
        read_snapshot(raw)
