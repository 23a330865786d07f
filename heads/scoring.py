"""From the predictions of all folds and seeds to scores with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emocache.types import Utterance
from heads import metrics
from heads.material import Material
from heads.metrics import Interval
from heads.splits import Fold
from heads.trainer import Fitted

AGGREGATION = "predictions of all folds pooled and scored for each seed, mean over seeds"


@dataclass(frozen=True, slots=True)
class Run:
    """One fold with one seed, done."""

    fold: Fold
    seed: int
    fitted: Fitted
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunScore:
    """One fold with one seed. `epoch` is the one that was chosen, of `epochs`; scores are of the fold's test part, in 0..1."""

    fold: str
    seed: int
    epoch: int
    epochs: int
    validation_loss: float
    ua: float
    wa: float
    wf1: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What all runs together come to (AGGREGATION), with 95 % intervals; `resampled` says over what the bootstrap went.

    `confusion` [classes, classes] sums all seeds, its rows are the truth; `tested` counts utterances.
    """

    ua: Interval
    wa: Interval
    wf1: Interval
    confusion: tuple[tuple[int, ...], ...]
    tested: int
    resampled: str
    runs: tuple[RunScore, ...]


def scores_of(done: Sequence[Run], material: Material) -> Scores:
    """The scores of all runs of an experiment."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    tested = [by_id[name] for one in done for name in one.fold.test]
    names, resampled = _groups(tested)
    _, group = np.unique(names, return_inverse=True)
    seeds, seed = np.unique(np.concatenate([np.full(len(one.fold.test), one.seed) for one in done]), return_inverse=True)
    truth = np.array([material.class_of(utterance) for utterance in tested])
    predicted = np.concatenate([one.fitted.probabilities.argmax(1) for one in done])
    counts = metrics.grouped(group, seed, truth, predicted, shape=(int(group.max()) + 1, len(seeds), len(material.classes)))
    found = metrics.intervals(counts)
    return Scores(
        ua=found["ua"],
        wa=found["wa"],
        wf1=found["wf1"],
        confusion=tuple(tuple(row) for row in counts.sum((0, 1)).tolist()),
        tested=len({utterance.id for utterance in tested}),
        resampled=resampled,
        runs=tuple(_run_score(one, material, by_id) for one in done),
    )


def prediction_rows(done: Sequence[Run], material: Material) -> Iterator[tuple[object, ...]]:
    """Id, speaker, fold, seed, label, predicted and the probability of each class, of every prediction."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    for one in done:
        for name, scores in zip(one.fold.test, one.fitted.probabilities, strict=True):
            utterance, predicted = by_id[name], material.classes[scores.argmax()]
            known = (name, utterance.speaker or "", one.fold.name, one.seed, utterance.label(material.label), predicted)
            yield (*known, *(f"{p:.6f}" for p in scores))


def _groups(tested: Sequence[Utterance]) -> tuple[list[str], str]:
    """What the bootstrap draws for each tested utterance: its speaker, or where that tells nothing, the utterance itself."""
    speakers = {utterance.speaker or "" for utterance in tested}
    if "" not in speakers and len(speakers) > 1:
        return [utterance.speaker or "" for utterance in tested], f"{len(speakers)} speakers"
    ids = [utterance.id for utterance in tested]
    why = "the speakers are not known" if "" in speakers else "there is one speaker alone"
    return ids, f"{len(set(ids))} utterances, since {why}: too narrow where speakers differ"


def _run_score(one: Run, material: Material, by_id: dict[str, Utterance]) -> RunScore:
    """The scores of one fold with one seed."""
    truth = np.array([material.class_of(by_id[name]) for name in one.fold.test])
    counts = metrics.confusion(truth, one.fitted.probabilities.argmax(1), len(material.classes))
    scores = {name: float(metric(counts)) for name, metric in metrics.METRICS.items()}
    return RunScore(
        fold=one.fold.name,
        seed=one.seed,
        epoch=one.fitted.chosen,
        epochs=len(one.fitted.curve),
        validation_loss=one.fitted.curve[one.fitted.chosen - 1].validation_loss,
        seconds=round(one.seconds, 3),
        **scores,
    )
