"""Webhooks are signed as the standard says, and a retry is known as one."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.classify.webhook import body_of, headers_of, key_of, sign


def test_the_signature_is_the_standards_own_example() -> None:
    # From the test vectors of the Standard Webhooks libraries.
    found = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_plain_secret_signs_with_its_own_bytes() -> None:
    wanted = hmac.new(b"s3cret", b"id.5.body", hashlib.sha256).digest()
    assert sign("s3cret", "id", 5, b"body") == f"v1,{base64.b64encode(wanted).decode()}"
    assert sign("whsec_?", "id", 5, b"body").startswith("v1,")  # no base64: the text's own bytes


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_an_empty_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        headers_of(secret, "id", b"", 1)


def test_the_headers_of_a_call_and_of_its_retry() -> None:
    body = body_of({"label": "reject", "chain": "c"})
    assert body == b'{"chain":"c","label":"reject"}'
    first, again = (headers_of("s", key_of("c", "n", "v"), body, now) for now in (1, 2))
    assert first["webhook-id"] == again["webhook-id"]
    assert first["webhook-timestamp"] == "1"
    assert first["webhook-signature"] != again["webhook-signature"]
    assert all(value.isascii() and value.isprintable() for value in first.values())


PART = st.text("ab.", max_size=3)


@example(("a", "b", ""), ("", "ab", ""))
@given(st.tuples(PART, PART, PART), st.tuples(PART, PART, PART))
def test_one_key_for_one_prompt_and_version(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)
