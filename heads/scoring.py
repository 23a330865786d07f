"""From what was trained to predictions and their scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emocache.types import Utterance
from heads import metrics, scores
from heads.material import Material
from heads.predictions import Predictions, digits
from heads.scores import RunScore, Scores
from heads.splits import Fold
from heads.trainer import Fitted


@dataclass(frozen=True, slots=True)
class Run:
    """One fold with one seed, done; `made_with` names the device and the versions that computed it."""

    fold: Fold
    seed: int
    fitted: Fitted
    seconds: float
    made_with: Mapping[str, str]


def scores_of(done: Sequence[Run], material: Material) -> Scores:
    """The scores of all runs of an experiment."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    return scores.score(predictions_of(done, material), runs=[_run_score(one, material, by_id) for one in done])


def predictions_of(done: Sequence[Run], material: Material) -> Predictions:
    """The predictions of all runs, run by run."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    tested = [by_id[name] for one in done for name in one.fold.test]
    return Predictions(
        ids=tuple(utterance.id for utterance in tested),
        speakers=tuple(utterance.speaker or "" for utterance in tested),
        folds=tuple(one.fold.name for one in done for _ in one.fold.test),
        seeds=np.concatenate([np.full(len(one.fold.test), one.seed, dtype=np.int64) for one in done]),
        truth=np.array([material.class_of(utterance) for utterance in tested], dtype=np.int64),
        predicted=np.concatenate([one.fitted.probabilities.argmax(1) for one in done]).astype(np.int64),
        classes=material.classes,
    )


def prediction_rows(done: Sequence[Run], material: Material) -> Iterator[tuple[object, ...]]:
    """Id, speaker, fold, seed, label, predicted and the probability of each class, of every prediction."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    for one in done:
        for name, shares in zip(one.fold.test, one.fitted.probabilities, strict=True):
            utterance, predicted = by_id[name], material.classes[shares.argmax()]
            known = (name, utterance.speaker or "", one.fold.name, one.seed, utterance.label(material.label), predicted)
            yield (*known, *digits(shares))


def _run_score(one: Run, material: Material, by_id: dict[str, Utterance]) -> RunScore:
    """The scores of one fold with one seed."""
    truth = np.array([material.class_of(by_id[name]) for name in one.fold.test])
    counts = metrics.confusion(truth, one.fitted.probabilities.argmax(1), len(material.classes))
    found = {name: float(metric(counts)) for name, metric in metrics.METRICS.items()}
    return RunScore(
        fold=one.fold.name,
        seed=one.seed,
        epoch=one.fitted.chosen,
        epochs=len(one.fitted.curve),
        validation_loss=one.fitted.curve[one.fitted.chosen - 1].validation_loss,
        seconds=round(one.seconds, 3),
        **found,
    )
