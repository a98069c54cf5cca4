"""Finds secrets and personal values in a text. Pure; every pattern runs in linear time (RE2).

Conservative where a value has no check digit and no prefix of its own: what looks like one must also stand as one
(`+` before a telephone, `password =` before a secret). Each pattern's group 1 is the value; what stands before the
group is where it must begin.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Any, Final

import re2

from tailrace_exporters.scrub.kinds import Found, Value, apart
from tailrace_exporters.scrub.numbers import BANK_CHARS, IBAN_LENGTHS, NOBODY, TEST_CARD, card_in, is_iban

_Pattern = Any  # re2 has no types

_CLEAR: Final = r"(?:^|[^A-Za-z0-9])"


def _compiled(pattern: str) -> _Pattern:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes: what is beyond ASCII in UTF-8 are bytes from 80 to FF
    options.log_errors = False
    return re2.compile(pattern.encode("latin-1"), options)


def _any(*patterns: _Pattern) -> _Pattern:
    return _compiled("|".join(f"(?:{pattern.pattern.decode('latin-1')})" for pattern in patterns))


_TOKENS: Final = (
    (Value.ANTHROPIC_KEY, r"sk-ant-[A-Za-z0-9_-]{20,}"),
    (Value.OPENAI_KEY, r"sk-(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20,}"),
    (Value.AWS_KEY, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    (Value.GITHUB_TOKEN, r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"),
    (Value.GITLAB_TOKEN, r"glpat-[A-Za-z0-9_-]{20,}"),
    (
        Value.SLACK_TOKEN,
        r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services(?:/[A-Za-z0-9]+){3}",
    ),
    (Value.GOOGLE_KEY, r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,}"),
    (Value.STRIPE_KEY, r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}"),
    (Value.HF_TOKEN, r"hf_[A-Za-z0-9]{30,}"),
    (Value.TAILRACE_KEY, r"tr-(?:admin-|read-)?[A-Za-z0-9_-]{40,}"),
    (Value.JWT, r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"),
)
_ALL_TOKENS: Final = _compiled(_CLEAR + "(" + "|".join(pattern for _, pattern in _TOKENS) + ")")
_EACH_TOKEN: Final = tuple((kind, _compiled(pattern)) for kind, pattern in _TOKENS)

_PRIVATE_KEY: Final = _compiled(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r'(?:[^"\\]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s]*))'
)
_BEARER: Final = _compiled(r"(?i:\b(?:bearer|authorization\W{1,4}basic))\s+([A-Za-z0-9._~+/-]{16,}=*)")
_URL_PASSWORD: Final = _compiled(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@\"'\\<>]*:([^\s:/@\"'\\<>\[\]]{3,})@")
_ASSIGNED: Final = _compiled(
    r"(?i:(api[_-]?key|apikey|secret|token|passw(?:or)?d|passphrase|pwd|credentials?|(?:private|access|auth|secret)[_-]?key)"
    r"(?:[_-]?(?:key|value|hash|string|id))?)[\"']?\s{0,4}(?:=>|:=|=|:)\s{0,4}[\"']?([A-Za-z0-9+/_=.~$!%^&*-]{8,})"
)
_EMAIL: Final = _compiled(
    r"([^\x00-\x20\"'`<>()\[\]{},;:\\/@|=&?!*#%]+(?:@|%40)"
    r"(?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]*)\.)+[A-Za-z\x80-\xff]{2,})"
)
_IBAN: Final = _compiled(r"(?:^|[^A-Za-z0-9])((?i:[A-Z]{2})[0-9]{2}(?: ?(?i:[A-Z0-9])){11,38})")
_CARD: Final = _compiled(r"(?:^|[^0-9A-Za-z._+])([0-9](?:[ -]?[0-9]){13,25})")
_CALLED: Final = _compiled(r"(?:^|[^0-9A-Za-z_+])(\+(?:[ .\-/]?(?:\([0-9]+\)|[0-9]+)){1,9})")
_NORTH_AMERICAN: Final = _compiled(
    r"(?:^|[^0-9A-Za-z_.+/-])"
    r"((?:1[ .-])?(?:\((?:[2-9][0-9]{2}|000)\) ?|(?:[2-9][0-9]{2}|000)[ .-])[0-9]{3}[ .-][0-9]{4})(?:[^0-9A-Za-z_-]|$)"
)
_CUED: Final = _compiled(
    r"(?i:\b(?:tel|phone|telephone|telefon|mobile|mobil|handy|fax|cell|call|whatsapp)\b)[.:\" ]{0,4}"
    r"(0[0-9]+(?:[ .\-/]{0,2}(?:\([0-9]+\)|[0-9]+)){0,6})"
)
_IPV4: Final = _compiled(r"(?:^|[^0-9A-Za-z_.-])([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:[^0-9A-Za-z_.-]|\.?$|\.\s)")
_IPV6: Final = _compiled(r"(?:^|[^0-9A-Za-z_.:-])([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?:[^0-9A-Za-z_:-]|$)")

_ANY_SECRET: Final = _any(_ALL_TOKENS, _PRIVATE_KEY, _BEARER, _URL_PASSWORD, _ASSIGNED)
_ANY_NUMBER: Final = _any(_IBAN, _CARD, _CALLED, _NORTH_AMERICAN, _CUED)
"""One pass over the text where there is nothing, as in most texts, in place of five."""

_WEAK_WORDS: Final = (b"passw", b"passp", b"pwd")
"""Before a value that a person made up: shorter, and less even, than one that a machine drew."""
_SPACELESS: Final = 0x2E80
"""From here on, scripts that put no space between words: an address may follow one of their words at once."""
_RESERVED: Final = ("example.org", "example.com", "example.net")
"""Nobody's domains (RFC 2606)."""
_NO_DOMAIN: Final = ("png", "jpg", "jpeg", "gif", "svg", "webp", "ico")
"""`logo@2x.png` is a file."""


def find(text: bytes, kinds: frozenset[Value]) -> list[Found]:
    """The values of some kinds in `text` (UTF-8), in its order, none overlapping."""
    found: list[Found] = []
    if _ANY_SECRET.search(text) is not None:
        found += [*_tokens(text), *_assigned(text)]
    if b"@" in text or b"%40" in text:
        found += _emails(text)
    if _ANY_NUMBER.search(text) is not None:
        found += [*_ibans(text), *_cards(text), *_phones(text)]
    if Value.ADDRESS in kinds:
        found += _addresses(text)
    return [each for each in apart(found) if not each.ours and each.kind in kinds] if found else found


def _tokens(text: bytes) -> Iterator[Found]:
    for match in _ALL_TOKENS.finditer(text):
        start, end = match.span(1)
        kind = next(kind for kind, pattern in _EACH_TOKEN if pattern.match(text, start, end))
        yield Found(start, end, kind)
    if b"PRIVATE KEY" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Found(match.start(1), match.end(1), Value.PRIVATE_KEY)


def _assigned(text: bytes) -> Iterator[Found]:
    if b"://" in text:
        for match in _URL_PASSWORD.finditer(text):
            yield Found(match.start(1), match.end(1), Value.URL_PASSWORD)
    for match in _BEARER.finditer(text):
        if _drawn(match[1], least=2.5):
            yield Found(match.start(1), match.end(1), Value.BEARER)
    for match in _ASSIGNED.finditer(text):
        start, end = match.span(2)
        value = match[2].rstrip(b".!")
        weak = match[1].lower().startswith(_WEAK_WORDS)
        if text[end : end + 1] != b"@" and (weak or len(value) >= 16) and _drawn(value, least=2.0 if weak else 3.2):
            yield Found(start, start + len(value), Value.ASSIGNED)


def _drawn(value: bytes, *, least: float) -> bool:
    """Whether it has letters and digits, spread evenly (bits a character: English words have 3, but no digits)."""
    digits = sum(48 <= byte <= 57 for byte in value)
    letters = sum(65 <= byte & 0xDF <= 90 for byte in value)
    if digits < 2 or not letters:
        return False
    size = len(value)
    return -sum(n / size * log2(n / size) for n in Counter(value).values()) >= least


def _emails(text: bytes) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        start, end = match.span(1)
        local, _, domain = match[1].decode(errors="replace").replace("%40", "@", 1).partition("@")
        kept = _local(local)
        top = _top(domain)
        name = domain[: len(domain) - len(domain.rpartition(".")[2])] + top
        if not kept or len(top) < 2 or top.lower() in _NO_DOMAIN or (local == "git"):
            continue
        start += len(local[: len(local) - len(kept)].encode())
        end -= len(domain[len(name) :].encode())
        yield Found(start, end, Value.EMAIL, ours=name.lower().endswith(_RESERVED))


def _local(local: str) -> str:
    """What of it is a mailbox's name: without the marks before it, or the words of a script without spaces."""
    while local and not (local[0].isalnum() or local[0] in "_+"):
        local = local[1:]
    cut = max((n + 1 for n, char in enumerate(local) if ord(char) >= _SPACELESS), default=0)
    return local[cut:] or local


def _top(domain: str) -> str:
    """The last label, without what follows it: `com` of `com。`, and of `com吗`."""
    label = domain.rpartition(".")[2]
    if label[:1].isascii():
        return "".join(char for n, char in enumerate(label) if label[: n + 1].isascii())
    while label and not label[-1].isalpha():
        label = label[:-1]
    return label


def _ibans(text: bytes) -> Iterator[Found]:
    at = 0
    while (match := _IBAN.search(text, at)) is not None:
        start, end = match.span(1)
        at = start + 1
        size = IBAN_LENGTHS.get(match[1][:2].decode().upper(), 0)
        stop = _after(text, start, end, size)
        if not size or stop is None or text[stop : stop + 1].isalnum():
            continue
        plain = text[start:stop].replace(b" ", b"").decode().upper()
        if is_iban(plain):
            yield Found(start, stop, Value.IBAN, ours=not plain[4 : 4 + BANK_CHARS].strip("0X"))
            at = stop


def _after(text: bytes, start: int, end: int, size: int) -> int | None:
    """Where the first `size` characters from `start` that are no space end; None where there are fewer before `end`."""
    for at in range(start, end):
        size -= text[at] != 0x20
        if not size:
            return at + 1
    return None


def _cards(text: bytes) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        start = match.start(1)
        groups = match[1].decode().replace("-", " ").split(" ")
        if text[match.end(1) : match.end(1) + 1].isalnum():
            continue
        found = card_in(groups)
        if found is not None:
            first = sum(len(group) + 1 for group in groups[: found[0]])
            size = sum(len(group) + 1 for group in groups[found[0] : found[1]]) - 1
            ours = "".join(groups[found[0] : found[1]]).startswith(TEST_CARD)
            yield Found(start + first, start + first + size, Value.CARD, ours=ours)


def _phones(text: bytes) -> Iterator[Found]:
    for pattern, least in ((_CALLED, 8), (_CUED, 7), (_NORTH_AMERICAN, 10)):
        for match in pattern.finditer(text):
            start, end = match.span(1)
            end = _fitting(text, start, end)
            digits = _digits(text[start:end])
            if len(digits) < least or (text[start:end] == b"+" + digits.encode() and len(digits) < 10):
                continue
            yield Found(start, end, Value.PHONE, ours=digits.startswith(NOBODY))


def _fitting(text: bytes, start: int, end: int) -> int:
    """Before which group of digits more than 15 would stand, the most of a telephone's (E.164)."""
    while len(_digits(text[start:end])) > 15:
        cut = max(text.rfind(mark, start, end) for mark in (b" ", b"-", b".", b"/", b"("))
        if cut <= start:
            return start
        end = cut
        while text[end - 1] in b" -./(":
            end -= 1
    return end


def _digits(text: bytes) -> str:
    return "".join(char for char in text.decode() if char.isdigit())


def _addresses(text: bytes) -> Iterator[Found]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match[1].decode())
            except ValueError:
                continue
            if address.is_global:
                yield Found(match.start(1), match.end(1), Value.ADDRESS)
