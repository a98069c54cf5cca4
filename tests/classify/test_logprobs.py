"""Confidence is the model's own distribution over the labels, however they are split; and no number where it is not."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.classify.logprobs import label_probabilities

LABELS = ["confirm", "confirm_order", "reject"]


def token(text: str, p: float, others: dict[str, float] | None = None, *, top: bool = True) -> dict[str, Any]:
    told = [{"token": text, "logprob": math.log(p)}] if top else []
    told += [{"token": each, "logprob": math.log(q) if q else -9999.0} for each, q in (others or {}).items()]
    return {"token": text, "logprob": math.log(p), "top_logprobs": told}


def probabilities(*tokens: dict[str, Any], labels: list[str] = LABELS) -> dict[str, float] | None:
    return label_probabilities({"content": list(tokens)}, labels)


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        # A label in one token, in JSON.
        ([token('{"label":"', 1), token("reject", 0.8, {"confirm": 0.1}), token('"}', 1)], 0.8 / 0.9),
        # The quote and a space are part of the token.
        ([token('{"label":', 1), token(' "reject', 0.6, {' "confirm': 0.2, '"confirm': 0.2}), token('"}', 1)], 0.6),
        # The whole answer in one token.
        ([token('{"label": "reject"}', 0.9, {'{"label": "confirm"}': 0.1})], 0.9),
        # Bare words, of another case.
        ([token("Reject", 0.5, {"reject": 0.2, "Con": 0.3})], 0.7),
        ([token(" reject", 0.75, {" confirm": 0.25}), token(".", 0.9)], 0.75),
        # What begins no label is left out.
        ([token('{"label":"', 1), token("rej", 0.4, {"safe": 0.4, "con": 0.1}), token('ect"}', 0.1)], 0.8),
        # -9999 is how some say never.
        ([token('{"label":"', 1), token("reject", 0.5, {"confirm": 0}), token('"', 1)], 1.0),
        # Thoughts before the label hold no label's key, as their quotes are escaped.
        ([token('{"reasoning":"\\"label\\": \\"confirm\\"","label":"', 1), token('reject"}', 0.9, {"con": 0.1})], 0.9),
    ],
)
def test_the_share_of_a_label(tokens: list[dict[str, Any]], wanted: float) -> None:
    found = probabilities(*tokens)
    assert found is not None
    assert found["reject"] == pytest.approx(wanted)
    assert sum(found.values()) == pytest.approx(1)


def test_labels_that_share_first_tokens_part_where_they_part() -> None:
    found = probabilities(
        token('{"label":"', 1), token("confirm", 0.9, {"reject": 0.1}), token('"}', 0.6, {"_order": 0.3, "!": 0.1})
    )
    assert found == pytest.approx({"confirm": 0.9 * 2 / 3, "confirm_order": 0.9 / 3, "reject": 0.1})
    bare = probabilities(token("confirm", 0.9, {"reject": 0.1}))
    assert bare == pytest.approx({"confirm": 0.9, "confirm_order": 0, "reject": 0.1})


def test_a_token_that_was_not_taken_is_shared_among_those_it_begins() -> None:
    found = probabilities(token("re", 0.8, {"con": 0.2}), token("ject", 1))
    assert found == pytest.approx({"confirm": 0.1, "confirm_order": 0.1, "reject": 0.8})


def test_bytes_are_taken_before_text() -> None:
    data = list("é".encode())
    halves = [
        {"token": f"\\x{byte:x}", "bytes": [byte], "logprob": -0.1, "top_logprobs": [
            {"token": f"\\x{byte:x}", "bytes": [byte], "logprob": -0.1}, {"token": "b", "bytes": [98], "logprob": -3}]}
        for byte in data
    ]  # fmt: skip
    found = label_probabilities({"content": halves}, ["é", "b"])
    assert found is not None
    assert found["é"] == pytest.approx(math.exp(-0.1) / (math.exp(-0.1) + math.exp(-3)))


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        {"content": [{"token": "reject", "logprob": 0.0}]},
        {"content": [{"token": "reject", "logprob": 0.0, "top_logprobs": []}]},
        {"content": [{"token": "reject", "logprob": -0.5, "top_logprobs": [{"token": "reject", "logprob": -0.5}]}]},
        {"content": [{"token": "reject", "logprob": None, "top_logprobs": []}]},
        {"content": [{"token": "reject", "logprob": float("nan"), "top_logprobs": []}]},
        {"content": [{"token": "reject", "logprob": 3, "top_logprobs": [{"token": "c", "logprob": 0}]}]},
        {"content": [token("rej", 0.5, {"con": 0.5}) | {"top_logprobs": [{"token": "rej"}]}]},
        {"content": [token("con", 0.5, {"rej": 0.5})]},  # it ends before it is decided
        {"content": [token("safe", 0.5, {"reject": 0.5})]},
        {"content": ["reject"]},
        "reject",
        [],
    ],
)
def test_no_number_where_there_is_none(logprobs: Any) -> None:
    assert label_probabilities(logprobs, LABELS) is None


def test_a_token_alone_that_is_certain_is_certain() -> None:
    assert probabilities(token("reject", 0.9999)) == {"confirm": 0, "confirm_order": 0, "reject": 1}


@st.composite
def distributions(draw: st.DrawFn) -> tuple[list[str], list[float], int, int, str]:
    labels = draw(st.lists(st.text("abc_", min_size=1, max_size=6), min_size=2, max_size=6, unique=True))
    weights = [draw(st.integers(1, 100)) for _ in labels]
    return (
        labels,
        [weight / sum(weights) for weight in weights],
        draw(st.integers(0, len(labels) - 1)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from(['{"label":"', '{"reasoning":"x", "label": "', '{ "label" :\n"'])),
    )


@given(distributions())
def test_the_taken_labels_share_is_exact_in_any_split(case: tuple[list[str], list[float], int, int, str]) -> None:
    """Of a model that says label i with probability p_i, in pieces of `size`, the taken one is told as p_i."""
    labels, prior, taken, size, head = case
    said = {label: f'{json.dumps(label)[1:]}}}' for label in labels}  # fmt: skip

    def piece(label: str, at: int) -> str:
        return said[label][at : at + size]

    tokens, alive = [token(head, 1)], list(range(len(labels)))
    for at in range(0, len(said[labels[taken]]), size):
        mass: dict[str, float] = {}
        for each in alive:
            mass[piece(labels[each], at)] = mass.get(piece(labels[each], at), 0) + prior[each]
        mine = piece(labels[taken], at)
        total = sum(mass.values())
        tokens.append(token(mine, mass.pop(mine) / total, {text: p / total for text, p in mass.items()}))
        alive = [each for each in alive if piece(labels[each], at) == mine]
    found = label_probabilities({"content": tokens}, labels)
    assert found is not None
    assert found[labels[taken]] == pytest.approx(prior[taken])
    assert sum(found.values()) == pytest.approx(1)


JSON = st.recursive(
    st.none() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "token", "logprob", "top_logprobs", "bytes"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_a_provider_may_send_is_a_distribution_or_nothing(logprobs: Any) -> None:
    found = label_probabilities(logprobs, LABELS)
    assert found is None or (list(found) == LABELS and sum(found.values()) == pytest.approx(1))
