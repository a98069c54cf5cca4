"""Values that stand for personal ones: of the same shape, with valid check digits, nobody's, and always the same.

    digest = HMAC-SHA256(key, scope ‖ kind ‖ the value without its spelling)

Case, spaces and separators are spelling: two spellings of a number give one number, each in its own layout. Whoever has
no key cannot tell which value a pseudonym stands for by trying values, which a seed in the recipe would allow. What is
given out lies in ranges that `find` knows as ours, so that no pseudonym is ever a value that someone has.
"""

import base64
import hashlib
import hmac
import ipaddress
from typing import Final

from tailrace_exporters.scrub.kinds import Value
from tailrace_exporters.scrub.numbers import BANK_CHARS, NOBODY, TEST_CARD, luhn, mod97

LEAST_KEY_BYTES: Final = 16
_KEPT: Final = 4096
_ROUNDS: Final = 100_000
"""Of PBKDF2: the fingerprint in a manifest must not make a short key cheap to guess."""


class Pseudonyms:
    """Gives out pseudonyms under one key."""

    def __init__(self, key: bytes) -> None:
        stretched = hashlib.pbkdf2_hmac("sha256", key, b"tailrace scrub 1", _ROUNDS, 48)
        self._key = stretched[:32]
        self.fingerprint = stretched[32:].hex()
        """Tells one key from another, and nothing else of it."""
        self._made: dict[tuple[str, Value, bytes], str] = {}

    def of(self, value: str, kind: Value, scope: bytes) -> str:
        """What stands for `value` within `scope` (up to 64 bytes)."""
        name = (value, kind, scope)
        if name not in self._made:
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[name] = self._new(value, kind, scope)
        return self._made[name]

    def _new(self, value: str, kind: Value, scope: bytes) -> str:
        plain = _plain(value, kind)
        message = b"".join((bytes([len(scope)]), scope, kind.value.encode(), b"\0", plain.encode()))
        digest = hmac.digest(self._key, message, "sha256")
        match kind:
            case Value.EMAIL:
                at = "%40" if "%40" in value else "@"
                return f"user.{base64.b32encode(digest)[:8].decode().lower()}{at}example.org"
            case Value.CARD:
                return _laid_out(value, _card(digest, len(plain)))
            case Value.IBAN:
                return _laid_out(value, _iban(digest, plain))
            case Value.PHONE:
                return _laid_out(value, NOBODY + _digits(digest, len(plain) - len(NOBODY)))
            case _:
                return _address(digest, value)


def _plain(value: str, kind: Value) -> str:
    if kind is Value.EMAIL:
        return value.replace("%40", "@").lower()
    if kind is Value.ADDRESS:
        return ipaddress.ip_address(value).exploded
    return "".join(char for char in value if char.isalnum()).upper()


def _laid_out(value: str, chars: str) -> str:
    """`chars` in the places of the letters and digits of `value`."""
    rest = iter(chars)
    return "".join(next(rest) if char.isalnum() else char for char in value)


def _digits(digest: bytes, count: int) -> str:
    return str(int.from_bytes(digest, "big")).zfill(80)[-count:]


def _card(digest: bytes, size: int) -> str:
    open_ = TEST_CARD + _digits(digest, size - len(TEST_CARD) - 1)
    return open_ + str(-luhn(open_ + "0") % 10)


def _iban(digest: bytes, plain: str) -> str:
    """The country stays; letters stay letters and digits digits, as the country's banks have them."""
    account = "".join(
        ("X" if char.isalpha() else "0")
        if n < BANK_CHARS
        else chr(65 + byte % 26)
        if char.isalpha()
        else chr(48 + byte % 10)
        for n, (char, byte) in enumerate(zip(plain[4:], digest, strict=False))
    )
    return f"{plain[:2]}{98 - mod97(plain[:2] + '00' + account):02}{account}"


def _address(digest: bytes, value: str) -> str:
    """240.0.0.0/4 is nobody's (RFC 1112), 2001:db8::/32 is for documents (RFC 3849)."""
    number = int.from_bytes(digest, "big")
    if ":" in value:
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) | number >> 160))
    return str(ipaddress.IPv4Address((0xF << 28) | (number >> 228) % (0xFFFFFFF)))
