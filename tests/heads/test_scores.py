"""Scores of written-down predictions: pooled and by fold, over seeds, with intervals over what was asked for."""

from dataclasses import replace

import numpy as np
import pytest

from emocache.errors import UsageError
from heads import metrics
from heads.predictions import Predictions
from heads.scores import SpeakerScore, bootstrap_of, by_speaker, score
from tests.heads.toy_runs import CLASSES, Row, guesses


def made(rows: list[Row]) -> Predictions:
    ids, speakers, folds, seeds, truth, predicted = zip(*rows, strict=True)
    return Predictions(
        ids=ids, speakers=speakers, folds=folds, seeds=np.array(seeds), classes=CLASSES,
        truth=np.array([CLASSES.index(one) for one in truth]), predicted=np.array([CLASSES.index(one) for one in predicted]),
    )  # fmt: skip


def ua(rows: list[Row]) -> float:
    return float(np.mean([np.mean([row[5] == name for row in rows if row[4] == name]) for name in {row[4] for row in rows}]))


def test_pooled_and_mean_of_folds_are_both_given_and_differ() -> None:
    rows = guesses(right=0.5, seeds=(0, 1))
    rows = [row for row in rows if row[2] != "Ses3" or row[0].endswith(("-0", "-1", "-2"))]  # one small fold
    found = score(made(rows))
    by_seed = [ua([row for row in rows if row[3] == seed]) for seed in (0, 1)]
    by_fold = [np.mean([ua([r for r in rows if r[2] == fold and r[3] == seed]) for seed in (0, 1)]) for fold in ("Ses1", "Ses2", "Ses3")]
    assert found.ua.mean == found.over_seeds["ua"].mean == pytest.approx(np.mean(by_seed))
    assert found.over_seeds["ua"].std == pytest.approx(np.std(by_seed, ddof=1))
    assert found.over_folds["ua"].mean == pytest.approx(np.mean(by_fold))
    assert (found.over_folds["ua"].low, found.over_folds["ua"].high) == pytest.approx((min(by_fold), max(by_fold)))
    assert found.ua.mean != pytest.approx(found.over_folds["ua"].mean)


def test_a_fold_that_one_seed_alone_has_counts_with_that_seed() -> None:
    rows = [*guesses(right=0.5, seeds=(0,)), *[(*row[:2], "extra", 1, *row[4:]) for row in guesses(right=1.0, seeds=(1,))]]
    assert score(made(rows)).over_folds["wa"].high == 1


def test_recall_and_precision_have_the_classes_that_occur() -> None:
    rows = [("a", "s1", "1", 0, "ang", "ang"), ("b", "s1", "1", 0, "ang", "hap"), ("c", "s2", "1", 0, "sad", "sad")]
    found = score(made(rows))
    assert {name: one.mean for name, one in found.recall.items()} == {"ang": 0.5, "sad": 1}
    assert found.precision == {"ang": 1, "sad": 1}


def test_the_bootstrap_is_over_speakers_unless_asked_or_not_known() -> None:
    predictions = made(guesses(right=0.6))
    assert score(predictions).resampled == "6 speakers"
    assert score(predictions, bootstrap="utterances").resampled == "72 utterances, as asked for: too narrow where speakers differ"
    unknown = replace(predictions, speakers=("",) * len(predictions.speakers))
    assert score(unknown).resampled == "72 utterances, since the speakers are not known: too narrow where speakers differ"
    assert by_speaker(unknown) == {}


def test_speakers_that_differ_have_wider_intervals_than_their_utterances() -> None:
    rows = [(*row[:5], row[4] if int(row[1][1:]) % 2 else CLASSES[(CLASSES.index(row[4]) + 1) % 3]) for row in guesses(right=1)]
    speakers, utterances = (score(made(rows), bootstrap=kind).wa for kind in ("speakers", "utterances"))
    assert speakers.high - speakers.low > 2 * (utterances.high - utterances.low)


def test_speakers_are_scored_one_by_one_lowest_first() -> None:
    rows = [*guesses(right=1.0, speakers=1), *[(f"x{row[0]}", "hard", *row[2:]) for row in guesses(right=0.1, speakers=1)]]
    found = by_speaker(made(rows))
    assert list(found) == ["hard", "s0"]
    assert found["s0"] == SpeakerScore(1.0, 1.0, 12)
    hard = [row for row in rows if row[1] == "hard"]
    assert found["hard"].ua == pytest.approx(np.mean([ua([row for row in hard if row[3] == seed]) for seed in (0, 1)]))


def test_every_score_is_said_in_words() -> None:
    assert metrics.WORDS.keys() == metrics.METRICS.keys()
    assert all(f"{name.upper()} " in (metrics.__doc__ or "") for name in metrics.METRICS)


def test_a_bootstrap_over_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="expected speakers or utterances"):
        bootstrap_of("sessions")
