"""Scores of predictions, with intervals and with their spread over seeds and folds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from heads import metrics
from heads.metrics import Interval, Spread
from heads.predictions import Predictions

AGGREGATION = "predictions of all folds pooled and scored for each seed, mean over seeds"
OVER_FOLDS = "each fold scored alone, mean over seeds, then over folds"
Bootstrap = Literal["speakers", "utterances"]
"""What is drawn with replacement for an interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunScore:
    """One fold with one seed. `epoch` is the one that was chosen, of `epochs`; scores are of the fold's test part, in 0..1.

    A combination of two runs has no epochs: 0 of 0, and no validation loss.
    """

    fold: str
    seed: int
    epoch: int
    epochs: int
    validation_loss: float | None
    ua: float
    wa: float
    wf1: float
    mf1: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What all runs together come to (AGGREGATION), with 95 % intervals; `resampled` says over what the bootstrap went.

    `recall` and `precision` have the classes that occur. `over_seeds` is the spread of each pooled score over the seeds,
    `over_folds` that of the folds' own scores (OVER_FOLDS), whose mean is the mean of folds. `confusion` [classes, classes]
    sums all seeds, its rows are the truth; `tested` counts utterances.
    """

    ua: Interval
    wa: Interval
    wf1: Interval
    mf1: Interval
    recall: Mapping[str, Interval]
    precision: Mapping[str, float]
    over_seeds: Mapping[str, Spread]
    over_folds: Mapping[str, Spread]
    confusion: tuple[tuple[int, ...], ...]
    tested: int
    resampled: str
    runs: tuple[RunScore, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SpeakerScore:
    """UA and WA of one speaker, mean over seeds, in 0..1, and how many utterances of theirs were tested."""

    ua: float
    wa: float
    tested: int


def bootstrap_of(text: str) -> Bootstrap:
    """What `--bootstrap` names, or a UsageError that lists what there is."""
    for name in get_args(Bootstrap):
        if name == text:
            return name  # type: ignore[no-any-return]
    raise UsageError(f"--bootstrap {text}: expected {' or '.join(get_args(Bootstrap))}")


def score(predictions: Predictions, *, bootstrap: Bootstrap = "speakers", runs: Sequence[RunScore] = ()) -> Scores:
    """The scores of all folds and seeds of a run."""
    names, over = drawn(predictions, bootstrap)
    counts = counts_of(predictions, names)
    total, folds = counts.sum(0), counts_of(predictions, predictions.folds)
    samples = metrics.resampled(counts)
    found, recall, precision = metrics.intervals(counts, samples), metrics.recalls(counts, samples), metrics.precision(total).mean(0)
    return Scores(
        ua=found["ua"],
        wa=found["wa"],
        wf1=found["wf1"],
        mf1=found["mf1"],
        recall={predictions.classes[number]: value for number, value in recall.items()},
        precision={predictions.classes[number]: float(precision[number]) for number in recall},
        over_seeds={name: metrics.spread(metric(total)) for name, metric in metrics.METRICS.items()},
        over_folds={name: metrics.spread(_by_fold(folds, metric)) for name, metric in metrics.METRICS.items()},
        confusion=tuple(tuple(row) for row in total.sum(0).tolist()),
        tested=len({*predictions.ids}),
        resampled=over,
        runs=tuple(runs),
    )


def counts_of(predictions: Predictions, groups: Sequence[str]) -> NDArray[np.int64]:
    """Confusion counts [groups, seeds, classes, classes]; `groups` names the group of each prediction, and both are sorted."""
    names, group = np.unique(np.array(groups), return_inverse=True)
    seeds, seed = np.unique(predictions.seeds, return_inverse=True)
    shape = (len(names), len(seeds), len(predictions.classes))
    return metrics.grouped(group, seed, predictions.truth, predictions.predicted, shape=shape)


def drawn(predictions: Predictions, bootstrap: Bootstrap) -> tuple[tuple[str, ...], str]:
    """What the bootstrap draws for each prediction: its speaker, or its utterance; and in words what that is and why."""
    count, speakers = f"{len({*predictions.ids})} utterances", {*predictions.speakers}
    if bootstrap == "utterances":
        return predictions.ids, f"{count}, as asked for: too narrow where speakers differ"
    if "" not in speakers and len(speakers) > 1:
        return predictions.speakers, f"{len(speakers)} speakers"
    why = "the speakers are not known" if "" in speakers else "there is one speaker alone"
    return predictions.ids, f"{count}, since {why}: too narrow where speakers differ"


def by_speaker(predictions: Predictions) -> dict[str, SpeakerScore]:
    """The scores of each known speaker, lowest UA first."""
    counts = counts_of(predictions, predictions.speakers)
    said = Counter(speaker for _, speaker in {*zip(predictions.ids, predictions.speakers, strict=True)})
    found = {
        name: SpeakerScore(_mean(metrics.ua(one), one), _mean(metrics.wa(one), one), said[name])
        for name, one in zip(sorted(said), counts, strict=True)
        if name
    }
    return dict(sorted(found.items(), key=lambda item: item[1].ua))


def _by_fold(counts: NDArray[np.int64], metric: Any) -> NDArray[np.float64]:
    """A score of each fold, mean over the seeds that have the fold: [folds, seeds, C, C] -> [folds]."""
    return np.array([_mean(metric(fold), fold) for fold in counts])


def _mean(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Mean of values [seeds] over the seeds that have any of counts [seeds, C, C]."""
    return float(values[counts.sum((-2, -1)) > 0].mean())
