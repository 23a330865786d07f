"""Scores of a confusion matrix [classes, classes] whose rows are the truth and whose columns are the predictions.

WA    share of utterances that are right (accuracy; "weighted" by how often each class occurs)
UA    mean over the classes that occur of the share of that class that is right (balanced accuracy)
WF1   mean of the classes' F1, weighted by how often each occurs
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Bootstrap samples of an interval."""

Counts = NDArray[Any]
"""Confusion counts [..., classes, classes]."""


def confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts [classes, classes] of class numbers [utterances]."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def wa(counts: Counts) -> NDArray[np.float64]:
    """Share of utterances that are right: [..., C, C] -> [...]."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


def ua(counts: Counts) -> NDArray[np.float64]:
    """Mean recall of the classes that occur: [..., C, C] -> [...]."""
    support = counts.sum(-1)
    recall = _ratio(np.diagonal(counts, axis1=-2, axis2=-1), support)
    return _ratio(recall.sum(-1), (support > 0).sum(-1))


def wf1(counts: Counts) -> NDArray[np.float64]:
    """Mean F1 of the classes, weighted by their support; a class that is never predicted right has 0: [..., C, C] -> [...]."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    support = counts.sum(-1)
    f1 = _ratio(2 * right, support + counts.sum(-2))
    return _ratio((f1 * support).sum(-1), support.sum(-1))


def _ratio(above: Any, below: Any) -> NDArray[np.float64]:
    """Quotient of arrays or numbers, 0 where there is nothing to divide by."""
    quotient = np.zeros(np.shape(above))
    np.divide(above, below, out=quotient, where=np.asarray(below) != 0)
    return quotient


METRICS: Mapping[str, Callable[[Counts], NDArray[np.float64]]] = {"ua": ua, "wa": wa, "wf1": wf1}
"""Every score that is reported, by the name it has in files."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A score in 0..1 with the bounds between which 95 % of its bootstrap samples lie."""

    mean: float
    low: float
    high: float


def intervals(counts: Counts, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """The scores of [groups, seeds, classes, classes] with a bootstrap over groups (speakers, or single utterances).

    A score is the mean over seeds of the score of all groups' predictions pooled. Groups are drawn with replacement,
    the same ones for every seed.
    """
    groups, seeds, classes, _ = counts.shape
    times = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=draws)
    flat = counts.reshape(groups, -1).astype(np.float64)
    drawn = (times.astype(np.float64) @ flat).reshape(draws, seeds, classes, classes)
    return {name: _interval(metric(counts.sum(0)).mean(), metric(drawn).mean(-1)) for name, metric in METRICS.items()}


def _interval(score: np.floating[Any], samples: NDArray[np.float64]) -> Interval:
    """A score and the middle 95 % of its samples."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(score), float(low), float(high))


def grouped(
    group: NDArray[np.int64],
    seed: NDArray[np.int64],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    *,
    shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    """Counts [groups, seeds, classes, classes] of predictions, each given by four numbers from 0; `shape`: (groups, seeds, classes)."""
    groups, seeds, classes = shape
    cell = ((group * seeds + seed) * classes + truth) * classes + predicted
    return np.bincount(cell, minlength=groups * seeds * classes**2).reshape(groups, seeds, classes, classes).astype(np.int64)
