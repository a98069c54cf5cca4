"""From one-vs-rest scores to confidences. Pure; the relay and the labeller must agree to the last bit that matters."""

from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


def confidences(scores: Scores, temperature: float = 1.0, multilabel: bool = False) -> Scores:
    """Each label's share: the sigmoid of its score, divided by their sum where exactly one label is true."""
    share: Any = 1 / (1 + np.exp(np.clip(-scores / np.float32(temperature), -60, 60)))
    if not multilabel:
        share /= share.sum(axis=-1, keepdims=True)
    return np.asarray(share, np.float32)


def certainty(share: Scores) -> npt.NDArray[np.float32]:
    """Multi-label: the chance that every label is told right, were they independent: ∏ max(p, 1 - p)."""
    return np.asarray(np.maximum(share, 1 - share).prod(axis=-1), np.float32)
