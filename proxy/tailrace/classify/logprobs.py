"""How sure a model was of its label: the probabilities of the label's tokens, normalised over the list. Pure.

The answer's tokens are a path through a tree whose leaves are the labels. At each token of the label the provider tells
the likeliest alternatives. Those that begin another label carry that label's share; those that begin none are left out
(a constrained decoder would never have taken them). Tokens that only finish a label that no other shares say nothing.
So labels may share first tokens, be split in any way, and have quotes, spaces and JSON around them.

Where a provider gives nothing, or only a part of what is needed, there is no number: None.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.records import Json

_KEY: Final = re.compile(rb'"label"\s*:\s*"')
_LEAD: Final = b" \t\r\n\"'`*:{"
_MOST_TOKENS: Final = 20_000
_SURE: Final = 0.999
"""A token alone in its list is all there is from here on."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    probability: float
    others: tuple[tuple[bytes, float], ...]  # the alternatives, itself left out
    told: bool  # the provider told of alternatives, if only of itself


def label_probabilities(logprobs: Json, labels: Sequence[str]) -> dict[str, float] | None:
    """Each label's probability, in sum 1; None where they cannot be had.

    `logprobs` is a choice's, in OpenAI's shape. A token that begins several labels and was not taken is shared equally
    among them. Compared without regard to (ASCII) case.
    """
    tokens = _tokens(logprobs)
    if not tokens or not labels:
        return None
    text = b"".join(token.text for token in tokens)
    keys = list(_KEY.finditer(text))
    if keys:
        begin = keys[-1].end()
        targets = {label: orjson.dumps(label)[1:].lower() for label in labels}  # with the quote that ends it
    else:
        begin = len(text) - len(text.lstrip(_LEAD))
        targets = {label: label.encode("utf-8", "replace").lower() for label in labels}
    return _walk(tokens, begin, targets)


def _walk(tokens: Sequence[_Token], begin: int, targets: dict[str, bytes]) -> dict[str, float] | None:
    shares = dict.fromkeys(targets, 0.0)
    left, said, at = 1.0, b"", 0
    alive = list(targets)  # the labels that what was said so far begins
    for token in tokens:
        start, at = at, at + len(token.text)
        if at <= begin:
            continue
        lead, taken = token.text[: max(begin - start, 0)], token.text[max(begin - start, 0) :]
        if len(alive) > 1:
            branches = _branches(token, lead, taken, said, alive, targets)
            if branches is None:
                return None
            left = _share_out(branches, left, shares)
        said += taken
        alive = [label for label in alive if _fits(said, targets[label])]
        if len(alive) == 1:
            break
        if not alive:
            return None
    else:
        alive = [label for label in alive if said.rstrip(_LEAD + b".") == targets[label]] or alive
    if len(alive) != 1:
        return None
    shares[alive[0]] += left
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items()} if total > 0 else None


def _branches(
    token: _Token, lead: bytes, taken: bytes, said: bytes, alive: list[str], targets: dict[str, bytes]
) -> tuple[float, list[tuple[list[str], float]]] | None:
    """The probability of the token that was taken, and of each other one with the labels that it begins; None where the
    provider told no alternatives though the token decides between labels."""
    ahead = [label for label in alive if _fits(said + taken, targets[label])]
    alone = not token.told or (not token.others and token.probability < _SURE)
    if alone and len(ahead) < len(alive):
        return None
    others = []
    for text, probability in token.others:
        rest = _behind(lead, text, at_start=not said)
        fitting = [label for label in alive if rest and _fits(said + rest, targets[label])]
        if fitting:
            others.append((fitting, probability))
    return token.probability, others


def _share_out(branches: tuple[float, list[tuple[list[str], float]]], left: float, shares: dict[str, float]) -> float:
    """Give what did not go the way of the answer to the labels it would have led to; what is left went that way."""
    taken, others = branches
    total = taken + sum(probability for _, probability in others)
    if total <= 0:
        return left
    for labels, probability in others:
        for label in labels:
            shares[label] += left * probability / total / len(labels)
    return left * taken / total


def _behind(lead: bytes, text: bytes, *, at_start: bool) -> bytes:
    """Of an alternative token, what stands where the label begins: an opening quote or a space may be part of it."""
    if lead and text.startswith(lead):
        return text[len(lead) :]
    return text.lstrip(_LEAD) if at_start else text


def _fits(said: bytes, target: bytes) -> bool:
    return target.startswith(said) or said.startswith(target)


def _tokens(logprobs: Json) -> list[_Token] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or len(content) > _MOST_TOKENS:
        return None
    tokens = []
    for entry in content:
        read = _entry(entry)
        if read is None:
            return None
        text, probability = read
        top = entry.get("top_logprobs")
        others = [_entry(each) for each in top] if isinstance(top, list) else []
        if None in others:
            return None
        apart = tuple((each[0].lower(), each[1]) for each in others if each is not None and each[0] != text)
        tokens.append(_Token(text.lower(), probability, apart, told=bool(others)))
    return tokens


def _entry(entry: Any) -> tuple[bytes, float] | None:
    """A token's bytes and its probability."""
    if not isinstance(entry, dict):
        return None
    token, data, logprob = entry.get("token"), entry.get("bytes"), entry.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    if math.isnan(logprob) or logprob > 1e-3:
        return None
    text = token.encode("utf-8", "replace")
    if isinstance(data, list) and all(type(byte) is int and 0 <= byte < 256 for byte in data):
        text = bytes(data)
    return text, math.exp(min(logprob, 0.0))
