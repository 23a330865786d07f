"""Older formats: a cache from before the first release is read as it is, and nothing is added to it unmigrated."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emocache.errors import CacheError
from emocache.store import open_cache
from tests.toy_store import CARD, toy, write

FIXTURE = Path(__file__).parent / "format0"
LENGTHS = (5, 130, 40, 1, 64)


def expected() -> dict[str, np.ndarray]:
    """What the fixture was made from: one row does not fit float16, and u3 was made to fail."""
    data = toy(LENGTHS)
    data["u2"][1, 30, 3] = 1e6
    return data


def test_a_cache_of_format_0_is_read(tmp_path: Path) -> None:
    features = open_cache(FIXTURE).features("corpus", "toy")
    assert features.failures == {"u3": "made to fail"}
    for name, values in expected().items():
        if name != "u3":
            np.testing.assert_array_equal(features.read(name, "frames"), values)


def test_nothing_is_added_to_a_feature_set_of_an_older_format(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "cache")
    card = replace(CARD, key=replace(CARD.key, format=0))
    with pytest.raises(CacheError, match="run `emocache migrate corpus/toy` first"):
        write(tmp_path / "cache", {"new": toy([3])["u0"]}, card=card)
