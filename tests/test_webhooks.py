"""The receiver that tests of webhooks rely on: what it lets pass, and each way in which it fails."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from tests.webhooks import Deed, Received, Redirect, Reply, flaw_of, receiver

SECRET = "whsec_" + base64.b64encode(b"a key of tests").decode()
BODY = b'{"label":"reject"}'


def headers(
    body: bytes = BODY, *, key: bytes = b"a key of tests", at: int | None = None, named: str = "msg_1"
) -> dict[str, str]:
    stamp = str(int(time.time()) if at is None else at)
    signed = base64.b64encode(hmac.new(key, f"{named}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": named, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signed}"}


def post(url: str, told: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(url, content=BODY, headers=headers() if told is None else told, timeout=10)


def test_the_standards_own_example_holds() -> None:
    """The vector of Standard Webhooks' specification, so that this is not our reading alone."""
    told = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert flaw_of(secret, told, b'{"test": 2432232314}', 1614265330) is None
    assert flaw_of(secret, told, b'{"test": 2432232315}', 1614265330) == "the signature does not fit"
    assert flaw_of(secret, told, b'{"test": 2432232314}', 1614265330 + 301) == "the timestamp is not of now"


def test_a_signed_call_is_taken() -> None:
    with receiver(SECRET) as here:
        assert post(here.url).status_code == 204
        (call,) = here.wait(1)
    assert isinstance(call, Received)
    assert (call.path, call.id, call.values, call.flaw) == ("/hook", "msg_1", {"label": "reject"}, None)
    assert here.ids == ["msg_1"]


@pytest.mark.parametrize(
    ("told", "flaw"),
    [
        (dict, "no webhook-id"),
        (lambda: headers(key=b"another"), "the signature does not fit"),
        (lambda: headers(b"{}"), "the signature does not fit"),
        (lambda: headers(at=1), "the timestamp is not of now"),
        (lambda: headers() | {"webhook-id": "msg_2"}, "the signature does not fit"),
        (lambda: headers() | {"webhook-signature": "v1,no base64"}, "the signature does not fit"),
        (
            lambda: {**headers(), "webhook-signature": "v2" + headers()["webhook-signature"][2:]},
            "the signature does not fit",
        ),
    ],
)
def test_a_call_that_is_not_signed_well_is_refused(told: Callable[[], dict[str, str]], flaw: str) -> None:
    with receiver(SECRET) as here:
        assert post(here.url, told()).status_code == 401
    assert here.calls[0].flaw == flaw


def test_replies_are_played_in_order_and_the_last_goes_on() -> None:
    with receiver(SECRET, 500, Redirect("http://elsewhere.invalid/"), 200) as here:
        assert [post(here.url).status_code for _ in range(4)] == [500, 307, 200, 200]
        assert post(here.then(503).url).status_code == 503
    assert len(here.calls) == 5


@pytest.mark.parametrize(
    ("deed", "error"),
    [(Deed.DROP, httpx.RemoteProtocolError), (Deed.RESET, httpx.ReadError), (Deed.HALF, httpx.RemoteProtocolError)],
)
def test_it_breaks_off(deed: Reply, error: type[Exception]) -> None:
    with receiver(SECRET, deed, 204) as here:
        with pytest.raises(error):
            post(here.url)
        assert post(here.url).status_code == 204
    assert [call.reply for call in here.calls] == [deed, 204]


def test_it_hangs_until_it_is_released_and_takes_others_meanwhile() -> None:
    ends: list[type[Exception]] = []

    def call() -> None:
        try:
            post(here.url)
        except httpx.HTTPError as exc:
            ends.append(type(exc))

    with receiver(SECRET, Deed.HANG, 204) as here:
        hanging = threading.Thread(target=call)
        hanging.start()
        here.wait(1)
        assert post(here.url).status_code == 204
        assert hanging.is_alive()
        assert not ends
        here.release()
        hanging.join()
    assert ends == [httpx.RemoteProtocolError]
