"""Packed tensors: batches by index arithmetic, and the statistics of training rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emocache.errors import CacheError
from emocache.store import Packed
from heads import data, statistics
from tests.heads.toy import packed


def test_a_batch_holds_the_rows_of_its_utterances_in_their_order() -> None:
    whole = packed([3, 1, 5, 2])
    taken = whole.take(torch.tensor([2, 0, 2]))
    assert taken.offsets.tolist() == [0, 5, 8, 13]
    assert torch.equal(taken.values, torch.cat([whole.values[:, 4:9], whole.values[:, :3], whole.values[:, 4:9]], 1))
    assert taken.values.dtype == torch.float16


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


def test_an_utterance_without_rows_is_refused_by_name() -> None:
    empty = Packed(np.zeros((1, 4, 2), np.float16), np.array([0, 3, 3, 4]))
    with pytest.raises(CacheError, match="toy/enc: 1 utterances have no rows, first b"):
        data.to_tensor(empty, "toy/enc", ["a", "b", "c"], torch.device("cpu"))


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


@pytest.mark.parametrize(("limit", "free"), [("4000", 4000 - 1500 + 500), ("1000", 0), ("max", 1 << 62)])
def test_a_limit_of_the_batch_system_counts_as_what_is_free(tmp_path: Path, limit: str, free: int) -> None:
    assert data._allowed_bytes(tmp_path) == 1 << 62
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("1500\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 500\n")
    assert data._allowed_bytes(tmp_path) == free
