"""Who is let in: by the snapshot, until it is stale; nobody else once there is a key."""

import os
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from tailrace.errors import Code, Refused
from tailrace.keys import SNAPSHOT, Key, KeyKind, OnRevoke, new_token, snapshot, token_hash
from tailrace.relay.callers import Callers
from tailrace.relay.keyring import Keyring, open_keyring
from tailrace.relay.outbound import Header, caller_credential
from tailrace.settings import Keys

NOW_S: Final = 1_800_000_000.0
NOW_US: Final = int(NOW_S) * 10**6
TOKENS: Final = {kind: new_token(kind, bytes([number]) * 32).encode() for number, kind in enumerate(KeyKind)}
ADMIN: Final = "a" * 40


def key(kind: KeyKind = KeyKind.CLIENT, **more: object) -> Key:
    said = {"id": f"key_{kind}", "hash": token_hash(TOKENS[kind]), "kind": kind, "name": kind, "created_us": 1}
    return Key(**(said | more))  # type: ignore[arg-type]


def publish(folder: Path, *keys: Key, age_s: float = 0.0) -> None:
    partial = folder / "partial"
    partial.write_bytes(snapshot(keys, NOW_US))
    os.utime(partial, (NOW_S - age_s, NOW_S - age_s))
    partial.replace(folder / SNAPSHOT)


def ring(folder: Path, *keys: Key, age_s: float = 0.0, admin: str | None = None) -> Keyring:
    if keys:
        publish(folder, *keys, age_s=age_s)
    settings = Keys(admin=None if admin is None else SecretStr(admin), stale_s=60)
    return open_keyring(folder, settings, lambda: NOW_S)


def bearer(token: bytes) -> list[Header]:
    return [(b"authorization", b"Bearer " + token)]


def refused(found: pytest.ExceptionInfo[Refused]) -> tuple[str, int]:
    return found.value.code, found.value.status


def test_without_keys_everyone_is_let_in_under_a_hash_of_their_own_key(tmp_path: Path) -> None:
    callers = Callers(bytes(32), ring(tmp_path))
    caller = callers.who(bearer(b"sk-their-own"), NOW_US)
    assert (caller.key, caller.project) == (None, "default")
    assert caller.name is not None
    assert callers.who([], NOW_US).name is None


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"])
def test_a_key_opens_v1_whichever_client_brings_it(tmp_path: Path, name: bytes) -> None:
    callers = Callers(bytes(32), ring(tmp_path, key(project="shop")))
    caller = callers.who([(b"x", b"y"), (name, TOKENS[KeyKind.CLIENT])], NOW_US)
    assert (caller.name, caller.project) == ("key_client", "shop")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        bearer(b"sk-their-own"),
        bearer(b"tr-nonsense"),
        bearer(TOKENS[KeyKind.CLIENT][:-1]),
        bearer(TOKENS[KeyKind.ADMIN]),
        bearer(token_hash(TOKENS[KeyKind.CLIENT]).hex().encode()),
        bearer(b""),
    ],
)
def test_nobody_else_is_once_there_is_a_key(tmp_path: Path, headers: list[Header]) -> None:
    callers = Callers(bytes(32), ring(tmp_path, key(), key(KeyKind.ADMIN)))
    with pytest.raises(Refused) as found:
        callers.who(headers, NOW_US)
    assert refused(found) == (Code.NO_KEY, 401)


def test_all_keys_revoked_opens_nothing(tmp_path: Path) -> None:
    callers = Callers(bytes(32), ring(tmp_path, key(revoked_us=5)))
    for headers in ([], bearer(TOKENS[KeyKind.CLIENT])):
        with pytest.raises(Refused):
            callers.who(headers, NOW_US)


def test_an_expired_key_opens_nothing(tmp_path: Path) -> None:
    callers = Callers(bytes(32), ring(tmp_path, key(expires_us=NOW_US)))
    assert callers.who(bearer(TOKENS[KeyKind.CLIENT]), NOW_US - 1).name == "key_client"
    with pytest.raises(Refused):
        callers.who(bearer(TOKENS[KeyKind.CLIENT]), NOW_US)


def test_known_keys_work_for_a_bounded_time_when_nobody_stands_behind_them(tmp_path: Path) -> None:
    found = ring(tmp_path, key(), age_s=59)
    assert found.client(bearer(TOKENS[KeyKind.CLIENT]), NOW_US).id == "key_client"
    publish(tmp_path, key(), age_s=61)
    found.refresh()
    with pytest.raises(Refused) as why:
        found.client(bearer(TOKENS[KeyKind.CLIENT]), NOW_US)
    assert refused(why) == (Code.KEYS_UNKNOWN, 503)
    os.utime(tmp_path / SNAPSHOT, (NOW_S, NOW_S))
    found.refresh()
    assert found.client(bearer(TOKENS[KeyKind.CLIENT]), NOW_US).id == "key_client"


@pytest.mark.parametrize("damage", ["gone", "torn", "of a later version"])
def test_a_snapshot_that_cannot_be_read_changes_nothing(tmp_path: Path, damage: str) -> None:
    found = ring(tmp_path, key())
    path = tmp_path / SNAPSHOT
    raw = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(raw[:-4] if damage == "torn" else raw.replace(b'"version":1', b'"version":9'))
    assert found.refresh() == []
    assert found.is_on
    assert set(found.keys) == {token_hash(TOKENS[KeyKind.CLIENT])}


def test_a_refresh_tells_which_keys_were_revoked(tmp_path: Path) -> None:
    found = ring(tmp_path, key(), key(KeyKind.READ))
    gone = key(revoked_us=NOW_US, on_revoke=OnRevoke.CUT)
    publish(tmp_path, gone, key(KeyKind.READ))
    assert found.refresh() == [gone]
    assert found.refresh() == []


def test_the_api_is_for_admin_and_read_keys(tmp_path: Path) -> None:
    found = ring(tmp_path, *(key(kind) for kind in KeyKind), admin=ADMIN)
    for kind in (KeyKind.ADMIN, KeyKind.READ):
        assert found.administrator(bearer(TOKENS[kind]), NOW_US, writes=False) == f"key_{kind}"
    assert found.administrator(bearer(TOKENS[KeyKind.ADMIN]), NOW_US, writes=True) == "key_admin"
    assert found.administrator(bearer(ADMIN.encode()), NOW_US, writes=True) == "settings"
    with pytest.raises(Refused) as why:
        found.administrator(bearer(TOKENS[KeyKind.READ]), NOW_US, writes=True)
    assert refused(why) == (Code.FORBIDDEN, 403)
    for headers in ([], bearer(TOKENS[KeyKind.CLIENT]), bearer(ADMIN[:-1].encode())):
        with pytest.raises(Refused) as why:
            found.administrator(headers, NOW_US, writes=False)
        assert refused(why) == (Code.NO_KEY, 401)


def test_the_settings_own_admin_key_turns_keys_on(tmp_path: Path) -> None:
    found = ring(tmp_path, admin=ADMIN)
    assert found.is_on
    found.adopt(Keys())
    assert not found.is_on


def test_a_key_is_for_its_models_and_endpoints(tmp_path: Path) -> None:
    limited = key(models=("gpt-5*", "bot"), endpoints=("chat.completions",))
    caller = Callers(bytes(32), ring(tmp_path, limited)).who(bearer(TOKENS[KeyKind.CLIENT]), NOW_US)
    caller.must_be_allowed("chat.completions", "gpt-5-mini")
    for endpoint, model in (("embeddings", "bot"), ("chat.completions", "gpt-4"), ("chat.completions", "")):
        with pytest.raises(Refused) as why:
            caller.must_be_allowed(endpoint, model)
        assert refused(why) == (Code.KEY_FORBIDS, 403)


def test_no_provider_is_shown_a_key_of_ours() -> None:
    ours, theirs = TOKENS[KeyKind.CLIENT], b"sk-their-own"
    assert caller_credential(bearer(ours)) is None
    assert caller_credential([(b"authorization", ours)]) is None
    assert caller_credential([*bearer(ours), (b"x-api-key", theirs)]) == (b"x-api-key", theirs)
