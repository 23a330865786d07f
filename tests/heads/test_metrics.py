"""Scores against hand computation and scikit-learn, and intervals that know about speakers."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

from heads import metrics

HAND = np.array([[8, 2, 0], [1, 1, 0], [2, 0, 2]])


def intervals(counts: np.ndarray) -> dict[str, metrics.Interval]:
    return metrics.intervals(counts, metrics.resampled(counts))


def test_scores_of_a_confusion_matrix_by_hand() -> None:
    assert metrics.wa(HAND) == pytest.approx(11 / 16)
    assert metrics.ua(HAND) == pytest.approx((0.8 + 0.5 + 0.5) / 3)
    assert metrics.wf1(HAND) == pytest.approx((10 * 16 / 21 + 2 * 2 / 5 + 4 * 4 / 6) / 16)


def test_a_class_that_does_not_occur_is_no_part_of_ua() -> None:
    assert metrics.ua(np.array([[3, 1], [0, 0]])) == pytest.approx(0.75)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    counts = metrics.confusion(truth, predicted, 5)
    np.testing.assert_array_equal(counts, confusion_matrix(truth, predicted, labels=range(5)))
    assert metrics.wa(counts) == pytest.approx(accuracy_score(truth, predicted))
    assert metrics.ua(counts) == pytest.approx(np.mean([np.mean(predicted[truth == c] == c) for c in np.unique(truth)]))
    assert metrics.wf1(counts) == pytest.approx(f1_score(truth, predicted, average="weighted", zero_division=0))


def test_ua_is_balanced_accuracy() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, 80), rng.integers(0, 4, 80)
    assert metrics.ua(metrics.confusion(truth, predicted, 4)) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_many_matrices_are_scored_at_once() -> None:
    stack = np.stack([HAND, HAND.T])[None]
    for metric in metrics.METRICS.values():
        np.testing.assert_allclose(metric(stack), [[metric(HAND), metric(HAND.T)]])


def test_counts_by_group_and_seed_add_up_to_the_confusion_matrix() -> None:
    rng = np.random.default_rng(0)
    group, seed, truth, predicted = (rng.integers(0, n, 200) for n in (7, 2, 3, 3))
    counts = metrics.grouped(group, seed, truth, predicted, shape=(7, 2, 3))
    assert counts.shape == (7, 2, 3, 3)
    np.testing.assert_array_equal(counts.sum((0, 1)), metrics.confusion(truth, predicted, 3))
    chosen = (group == 4) & (seed == 1)
    np.testing.assert_array_equal(counts[4, 1], metrics.confusion(truth[chosen], predicted[chosen], 3))


def test_the_score_is_the_mean_over_seeds_of_pooled_scores() -> None:
    counts = np.stack([np.stack([HAND, HAND.T]), np.stack([HAND.T, HAND.T])])  # [groups, seeds, C, C]
    found = intervals(counts)["ua"]
    assert found.mean == pytest.approx((metrics.ua(HAND + HAND.T) + metrics.ua(2 * HAND.T)) / 2)
    assert found.low <= found.mean <= found.high


def test_groups_that_are_alike_leave_no_doubt() -> None:
    found = intervals(np.broadcast_to(HAND, (10, 1, 3, 3)))["wa"]
    assert (found.low, found.high) == pytest.approx((11 / 16, 11 / 16))


def test_the_interval_of_an_accuracy_is_the_binomial_one() -> None:
    right, wrong = np.diag([1, 0]), np.array([[0, 1], [0, 0]])
    found = intervals(np.array([right] * 300 + [wrong] * 100)[:, None])["wa"]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.01)


def test_speakers_that_differ_widen_the_interval() -> None:
    good, bad = np.diag([20, 0]), np.array([[0, 20], [0, 0]])
    speakers = intervals(np.array([good] * 5 + [bad] * 5)[:, None])["wa"]
    alone = intervals(np.array([np.diag([1, 0])] * 100 + [bad // 20] * 100)[:, None])["wa"]
    assert speakers.high - speakers.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_recall_and_precision_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, 60), rng.integers(0, 5, 60)  # the fifth class is predicted alone, the sixth is nowhere
    counts = metrics.confusion(truth, predicted, 6)
    assert metrics.mf1(counts) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
    options = {"labels": range(6), "average": None, "zero_division": 0}
    np.testing.assert_allclose(metrics.recall(counts), recall_score(truth, predicted, **options))
    np.testing.assert_allclose(metrics.precision(counts), precision_score(truth, predicted, **options))


def test_the_recall_of_a_class_is_given_where_it_occurs() -> None:
    counts = np.broadcast_to(np.array([[3, 1, 0], [0, 0, 0], [1, 0, 1]]), (5, 2, 3, 3))
    found = metrics.recalls(counts, metrics.resampled(counts))
    assert {number: one.mean for number, one in found.items()} == {0: 0.75, 2: 0.5}


def test_draws_without_a_class_say_nothing_of_its_recall() -> None:
    alone, others = np.diag([0, 4]), np.diag([4, 0])
    counts = np.array([alone, *[others] * 3])[:, None]
    assert metrics.recalls(counts, metrics.resampled(counts))[1] == metrics.Interval(1.0, 1.0, 1.0)


def test_the_same_groups_are_drawn_for_every_run() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, (6, 2, 3, 3)), rng.integers(0, 9, (6, 1, 3, 3))
    together = metrics.resampled(np.concatenate([one, other], axis=1))
    np.testing.assert_array_equal(metrics.resampled(one), together[:, :2])
    np.testing.assert_array_equal(metrics.resampled(other), together[:, 2:])
    assert metrics.resampled(one, draws=250).shape == (250, 2, 3, 3)


def test_spread_is_the_sample_standard_deviation_and_the_extremes() -> None:
    found = metrics.spread(np.array([0.5, 0.7, 0.6]))
    assert (found.mean, found.std, found.low, found.high, found.count) == pytest.approx((0.6, 0.1, 0.5, 0.7, 3))
    assert metrics.spread(np.array([0.5])).std is None
