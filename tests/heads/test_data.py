"""Packed tensors: batches by index arithmetic, and what memory is left."""

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache.errors import CacheError
from emocache.store import Packed
from heads import data, memory
from tests.heads.toy import packed


def test_a_batch_holds_the_rows_of_its_utterances_in_their_order() -> None:
    whole = packed([3, 1, 5, 2])
    taken = whole.take(torch.tensor([2, 0, 2]))
    assert taken.offsets.tolist() == [0, 5, 8, 13]
    assert torch.equal(taken.values, torch.cat([whole.values[:, 4:9], whole.values[:, :3], whole.values[:, 4:9]], 1))
    assert taken.values.dtype == torch.float16


def test_an_utterance_without_rows_is_refused_by_name() -> None:
    empty = Packed(np.zeros((1, 4, 2), np.float16), np.array([0, 3, 3, 4]))
    with pytest.raises(CacheError, match="toy/enc: 1 utterances have no rows, first b"):
        data.to_tensor(empty, "toy/enc", ["a", "b", "c"], torch.device("cpu"))


@pytest.mark.parametrize(("limit", "free"), [("4000", 4000 - 1500 + 500), ("1000", 0), ("max", 1 << 62)])
def test_a_limit_of_the_batch_system_counts_as_what_is_free(tmp_path: Path, limit: str, free: int) -> None:
    assert memory._allowed_bytes(tmp_path) == 1 << 62
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("1500\n")
    (tmp_path / "memory.stat").write_text("anon 1000\ninactive_file 500\n")
    assert memory._allowed_bytes(tmp_path) == free


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_is_freed_stays_with_the_process_once_that_is_asked_for() -> None:
    again = "import numpy as np, resource\nfrom heads import memory\n{}\nfor _ in range(20): np.ones(1 << 23)\n"
    again += "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    taken, kept = (
        int(subprocess.run([sys.executable, "-c", again.format(line)], capture_output=True, text=True, check=True).stdout)
        for line in ("", "memory.keep_freed()")
    )
    assert kept < taken
