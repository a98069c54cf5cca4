"""What is looked for. A kind is a word of the ledger, of masks and of messages."""

from enum import StrEnum
from typing import Final, NamedTuple


class Value(StrEnum):
    """A kind of value that should not be learned."""

    OPENAI_KEY = "openai_key"
    ANTHROPIC_KEY = "anthropic_key"
    AWS_KEY = "aws_key"
    GITHUB_TOKEN = "github_token"
    GITLAB_TOKEN = "gitlab_token"
    SLACK_TOKEN = "slack_token"
    GOOGLE_KEY = "google_key"
    STRIPE_KEY = "stripe_key"
    HF_TOKEN = "hf_token"
    TAILRACE_KEY = "tailrace_key"
    PRIVATE_KEY = "private_key"
    JWT = "jwt"
    BEARER = "bearer_token"
    URL_PASSWORD = "url_password"
    ASSIGNED = "assigned_secret"
    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    IBAN = "iban"
    ADDRESS = "ip_address"


PERSONAL: Final = frozenset({Value.EMAIL, Value.PHONE, Value.CARD, Value.IBAN, Value.ADDRESS})
"""All others are secrets."""


class Found(NamedTuple):
    """Where a value stands in a text of UTF-8 bytes. A tuple, as `Leaf` is: rows have dozens, and it is made fast."""

    start: int
    end: int
    kind: Value
    ours: bool = False
    """Whether it is a pseudonym: it holds its place against what would be seen inside it, and stays."""

    def overlaps(self, other: "Found") -> bool:
        """Whether the two share a byte."""
        return self.start < other.end and other.start < self.end


def apart(found: list[Found]) -> list[Found]:
    """Of those that overlap, the first in the order given; in the order of the text."""
    kept: list[Found] = []
    for each in found:
        if not any(each.overlaps(other) for other in kept):
            kept.append(each)
    return sorted(kept, key=lambda each: each.start)
