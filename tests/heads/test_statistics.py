"""Statistics of training rows: exact, those of the chosen rows alone, and counted once for all folds."""

from pathlib import Path

import pytest
import torch

from emocache.store import open_cache
from heads import data, statistics
from heads.data import Mapped, PackedTensor
from heads.statistics import Statistics
from tests.heads.toy import extract, packed, utterances

LENGTHS = [3, 7, 5, 20, 2, 9, 4]
FOLDS = [torch.tensor(tested) for tested in ([0, 3], [1, 5], [2, 4, 6])]
POOLS = [torch.cat([tested for tested in FOLDS if tested is not own]) for own in FOLDS]


@pytest.mark.parametrize("chunk", [4, 4096])
def test_moments_are_those_of_the_chosen_rows_alone(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "CHUNK", chunk)
    whole = packed([3, 7, 5, 20, 2])
    found = statistics.moments(whole, torch.tensor([4, 1, 3]))
    rows = torch.cat([whole.values[:, 3:10], whole.values[:, 15:37]], 1).double()
    torch.testing.assert_close(found.mean, rows.mean(1).float())
    torch.testing.assert_close(found.std, rows.std(1, correction=0).float())


def test_moments_hold_where_the_mean_is_far_greater_than_the_deviation() -> None:
    whole = packed([5000], layers=1, dtype=torch.float32)
    far = data.PackedTensor(whole.values + 1000, whole.offsets)
    torch.testing.assert_close(statistics.moments(far, torch.tensor([0])).std, far.values.double().std(1, correction=0).float())


def test_a_constant_dimension_is_left_at_its_scale() -> None:
    whole = packed([9000], dim=2)
    whole.values[1, :, 0] = 0.1
    assert statistics.moments(whole, torch.tensor([0])).std[1, 0] == 1


def test_each_group_is_standardised_with_its_own_statistics_alone() -> None:
    frames = packed([5, 7, 3, 6], dtype=torch.float32)
    shifted = data.PackedTensor(frames.values.clone(), frames.offsets)
    shifted.values[:, 5:12] = shifted.values[:, 5:12] * 9 + 4  # a louder second utterance
    groups = ["a", "b", "a", "c"]
    one, other = (statistics.standardised_by_group(which, groups).values for which in (frames, shifted))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    members = torch.cat([one[:, :5], one[:, 12:15]], dim=1)
    torch.testing.assert_close(members.mean(1), torch.zeros_like(members[:, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(members.std(1, correction=0), torch.ones_like(members[:, 0]), atol=1e-4, rtol=0)


def test_every_fold_gets_what_its_rows_have_alone() -> None:
    whole = packed(LENGTHS)
    shared = Statistics([whole], POOLS)
    for pool in POOLS:
        rows = whole.values[:, whole.rows_of(pool)[0]].double()
        found = shared.of(0, pool)
        torch.testing.assert_close(found.mean, rows.mean(1).float(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(found.std, rows.std(1, correction=0).float(), rtol=1e-6, atol=1e-7)


def test_sums_of_two_halves_are_the_sums_of_the_whole_to_the_last_digits_of_float64() -> None:
    whole = packed(LENGTHS, dtype=torch.float32)
    one, other = (statistics.sums(whole, which) for which in (torch.tensor([0, 3]), torch.tensor([1, 2, 4, 5, 6])))
    rows = torch.cat([one.mean[:, None], other.mean[:, None]], 1)
    both, direct = one + other, (rows[:, 0] * 23 + rows[:, 1] * 27) / 50
    assert both.seen == 50
    torch.testing.assert_close(both.mean, direct, rtol=1e-13, atol=1e-15)
    squares = one.squares + other.squares + 23 * (rows[:, 0] - direct) ** 2 + 27 * (rows[:, 1] - direct) ** 2
    torch.testing.assert_close(both.squares, squares, rtol=1e-13, atol=1e-15)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The utterances that are gone over from now on."""
    seen: list[int] = []
    whole = statistics.sums

    def watched(one: PackedTensor | Mapped, which: torch.Tensor) -> statistics.Sums:
        seen.extend(which.tolist())
        return whole(one, which)

    monkeypatch.setattr(statistics, "sums", watched)
    return seen


def test_all_folds_take_one_pass_and_one_fold_no_more_than_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, shared = counted(monkeypatch), Statistics([packed(LENGTHS)], POOLS)
    shared.of(0, POOLS[0])
    assert sorted(seen) == sorted(POOLS[0].tolist())
    for pool in POOLS:
        shared.of(0, pool)
    assert sorted(seen) == list(range(len(LENGTHS)))


def test_statistics_are_the_same_bits_whichever_folds_are_trained_here() -> None:
    whole = packed(LENGTHS)
    all_of_them, one_alone = Statistics([whole], POOLS), Statistics([whole], POOLS)
    found = [all_of_them.of(0, pool) for pool in POOLS][-1]
    alone = one_alone.of(0, POOLS[-1].flip(0))
    assert torch.equal(found.mean, alone.mean)
    assert torch.equal(found.std, alone.std)


def test_pools_that_have_too_little_in_common_are_gone_over_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_CELLS", 2)
    seen, whole = counted(monkeypatch), packed(LENGTHS)
    found = Statistics([whole], POOLS).of(0, POOLS[1])
    assert sorted(seen) == sorted(POOLS[1].tolist())
    assert torch.equal(found.mean, statistics.moments(whole, POOLS[1]).mean)


def mapped(place: Path) -> tuple[PackedTensor, Mapped]:
    """The rows of a cache in memory, and the same as they are read."""
    members = utterances(speakers=2, takes=3)
    extract(place, members, "enc")
    features, ids = open_cache(place).features("toy", "enc"), tuple(u.id for u in members)
    resident = data.to_tensor(features.load("frames", (0, 1), ids), "toy/enc", ids, torch.device("cpu"))
    return resident, Mapped(features, "frames", (0, 1), ids, resident.offsets, torch.device("cpu"))


def test_rows_that_are_read_have_the_statistics_of_rows_in_memory(tmp_path: Path) -> None:
    which = torch.tensor([0, 2, 3, 7, 8, 9, 11, 15])
    here, there = (statistics.sums(one, which) for one in mapped(tmp_path))
    assert here.seen == there.seen
    torch.testing.assert_close(here.mean, there.mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(here.squares, there.squares, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("row", "bad"), [(0, 0), (14, 2), (15, 3), (49, 6)])
def test_the_utterance_with_a_value_that_is_not_finite_is_found(row: int, bad: int) -> None:
    whole, which = packed(LENGTHS), torch.tensor([6, 5, 4, 3, 2, 1, 0])
    assert statistics.first_not_finite(whole, which) is None
    whole.values[1, row, 2] = float("inf")
    assert statistics.first_not_finite(whole, which) == bad
