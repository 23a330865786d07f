"""Scores of a confusion matrix [classes, classes] whose rows are the truth and whose columns are the predictions.

WA         share of utterances that are right (accuracy; "weighted" by how often each class occurs)
UA         mean over the classes that occur of the share of that class that is right (balanced accuracy)
WF1        mean of the classes' F1, weighted by how often each occurs
MF1        plain mean of the F1 of the classes that occur or are predicted
recall     of a class: the share of its utterances that are right
precision  of a class: the share of the predictions of it that are right, 0 where it is never predicted
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Bootstrap samples of an interval."""
DRAWS_AT_ONCE = 100
"""Bootstrap samples that are in memory together: with many groups, all of them would not fit."""

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
    return _ratio(recall(counts).sum(-1), (counts.sum(-1) > 0).sum(-1))


def wf1(counts: Counts) -> NDArray[np.float64]:
    """Mean F1 of the classes, weighted by their support: [..., C, C] -> [...]."""
    support = counts.sum(-1)
    return _ratio((_f1(counts) * support).sum(-1), support.sum(-1))


def mf1(counts: Counts) -> NDArray[np.float64]:
    """Mean F1 of the classes that occur or are predicted: [..., C, C] -> [...]."""
    return _ratio(_f1(counts).sum(-1), (counts.sum(-1) + counts.sum(-2) > 0).sum(-1))


def recall(counts: Counts) -> NDArray[np.float64]:
    """Share of each class that is right, 0 for a class that does not occur: [..., C, C] -> [..., C]."""
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1))


def precision(counts: Counts) -> NDArray[np.float64]:
    """Share of the predictions of each class that are right, 0 for a class that is never predicted: [..., C, C] -> [..., C]."""
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-2))


def _f1(counts: Counts) -> NDArray[np.float64]:
    """F1 of each class; one that is never predicted right has 0: [..., C, C] -> [..., C]."""
    return _ratio(2 * np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1) + counts.sum(-2))


def _ratio(above: Any, below: Any) -> NDArray[np.float64]:
    """Quotient of arrays or numbers, 0 where there is nothing to divide by."""
    quotient = np.zeros(np.shape(above))
    np.divide(above, below, out=quotient, where=np.asarray(below) != 0)
    return quotient


METRICS: Mapping[str, Callable[[Counts], NDArray[np.float64]]] = {"ua": ua, "wa": wa, "wf1": wf1, "mf1": mf1}
"""Every score that is reported, by the name it has in files."""
WORDS = {"ua": "mean recall of the classes", "wa": "accuracy", "wf1": "weighted F1", "mf1": "macro F1"}
"""What a score is, in a word or two."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A score in 0..1 (or a difference of two) with the bounds between which 95 % of its bootstrap samples lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation (n - 1; None for a single value) and extremes of a score over `count` seeds or folds."""

    mean: float
    std: float | None
    low: float
    high: float
    count: int


def spread(values: NDArray[np.float64]) -> Spread:
    """The spread of a score [values]."""
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    return Spread(float(values.mean()), std, float(values.min()), float(values.max()), len(values))


def resampled(counts: Counts, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Counts [groups, seeds, classes, classes] summed over groups drawn with replacement: [draws, seeds, classes, classes].

    The groups that are drawn depend on their number, `draws` and `seed` alone: two runs on the same groups share them.
    """
    groups = len(counts)
    rng = np.random.default_rng(seed)
    flat, drawn = counts.reshape(groups, -1).astype(np.float64), []
    for begin in range(0, draws, DRAWS_AT_ONCE):
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=min(DRAWS_AT_ONCE, draws - begin))
        drawn.append(times.astype(np.float64) @ flat)
    return np.concatenate(drawn).reshape(draws, *counts.shape[1:])


def intervals(counts: Counts, drawn: Counts) -> dict[str, Interval]:
    """The scores of [groups, seeds, classes, classes], with bounds from what was `drawn` of them (`resampled`).

    A score is the mean over seeds of the score of all groups' predictions pooled.
    """
    total = counts.sum(0)
    return {name: interval(metric(total).mean(), metric(drawn).mean(-1)) for name, metric in METRICS.items()}


def recalls(counts: Counts, drawn: Counts) -> dict[int, Interval]:
    """The recall of each class that occurs, by its number, as in `intervals`.

    A draw of groups that holds no utterance of the class says nothing of it and is left out.
    """
    total = counts.sum(0)
    values, samples, occurs = recall(total).mean(0), recall(drawn).mean(1), drawn.sum((1, 3)) > 0
    present = np.flatnonzero(total.sum((0, 2)))
    return {int(number): interval(values[number], samples[occurs[:, number], number]) for number in present}


def interval(score: np.floating[Any], samples: NDArray[np.float64]) -> Interval:
    """A score and the middle 95 % of its samples [draws]."""
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
