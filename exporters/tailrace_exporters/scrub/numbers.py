"""Which runs of digits are cards, account numbers or telephones: by their own check digits, lengths and prefixes. Pure.

Each has a range that nobody is given, from which pseudonyms are taken, and by which they are known again:
cards 424242… (the test range of Stripe's documentation), account numbers whose bank code begins with five zeros (or
X, where it has letters), telephones that begin with 000.
"""

import re
from typing import Final

TEST_CARD: Final = "424242"
NOBODY: Final = "000"
"""No country code, and no national number after its prefix, begins with it (ITU-T E.164)."""

_CARD_RANGES: Final = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|220[0-4]\d{12}"
)
"""Issuers' prefixes with their lengths (ISO/IEC 7812): Visa, Mastercard, Amex, Diners, Discover, JCB, UnionPay, Mir."""

_IBANS: Final = """
AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 DK:18 DO:28
EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26
IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20 MR:27 MT:31 MU:30 NI:28
NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25
SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30
"""
IBAN_LENGTHS: Final = {entry[:2]: int(entry[3:]) for entry in _IBANS.split()}
"""Characters of an account number by country (SWIFT's IBAN registry)."""

BANK_CHARS: Final = 5
"""Of the part after the check digits, those by which a pseudonym is known."""


def luhn(digits: str) -> int:
    """What the sum of ISO/IEC 7812-1, annex B leaves over by 10; 0 for a valid number."""
    total = 0
    for n, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + n % 2)
        total += value - 9 if value > 9 else value
    return total % 10


def is_card(digits: str) -> bool:
    """Whether an issuer gives out such numbers, and the check digit is right."""
    return _CARD_RANGES.fullmatch(digits) is not None and luhn(digits) == 0


def mod97(iban: str) -> int:
    """What ISO 13616's number leaves over by 97; 1 for a valid one. `iban`: upper case, no spaces."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97


def is_iban(iban: str) -> bool:
    """Whether the country, the length and the check digits are right. `iban`: upper case, no spaces."""
    return IBAN_LENGTHS.get(iban[:2]) == len(iban) and mod97(iban) == 1


def card_in(groups: list[str]) -> tuple[int, int] | None:
    """From which to before which of the groups of digits a card number goes; the longest."""
    for count in range(len(groups), 0, -1):
        for first in range(len(groups) - count + 1):
            if 14 <= sum(map(len, groups[first : first + count])) <= 19 and is_card(
                "".join(groups[first : first + count])
            ):
                return first, first + count
    return None
