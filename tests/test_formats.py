"""Older formats: a cache from before the first release is read as it is, migrated without encoding, and not added to before."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emocache.care.gc import collect
from emocache.care.migrate import STEPS, Step, mark, migrate
from emocache.care.repair import repair
from emocache.care.verify import verify
from emocache.errors import CacheError, NewerFormat
from emocache.store import open_cache
from emocache.store.layout import FORMAT, FORMATS, Paths
from tests.toy_store import CARD, contents, flip, toy, tree, write

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


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    shutil.copytree(FIXTURE, tmp_path / "cache")
    return Paths(tmp_path / "cache/corpus/toy")


def test_a_migrated_set_has_the_same_contents_and_is_as_if_it_were_new(paths: Paths) -> None:
    before = contents(paths)
    assert migrate(paths) == 1
    after = contents(paths)
    assert after.pop("card") == replace(CARD, key=replace(CARD.key, format=1))
    assert after.items() == {key: value for key, value in before.items() if key != "card"}.items()
    assert verify(paths).findings == ()
    assert sorted(path.name for path in paths.array("frames", "0").iterdir()) == ["c.0.0", "c.1.0", "zarr.json"]


def test_a_migrated_set_is_completed_by_an_extraction(paths: Path) -> None:
    migrate(paths)
    data = expected() | {"new": toy([3])["u0"]}
    assert sorted(write(paths.root.parents[1], data, retry=True)) == ["new", "u3"]
    features = open_cache(paths.root.parents[1]).features("corpus", "toy")
    for name, values in data.items():
        np.testing.assert_array_equal(features.read(name, "frames"), values)


def test_migrating_twice_does_nothing_the_second_time(paths: Paths) -> None:
    migrate(paths)
    before = tree(paths.root)
    assert migrate(paths) == 0
    assert tree(paths.root) == before


def test_the_cache_is_marked_once_every_set_in_it_is_migrated(paths: Paths) -> None:
    root = paths.root.parents[1]
    shutil.copytree(paths.root, paths.root.parent / "second")
    migrate(paths)
    assert not mark(root)
    migrate(Paths(paths.root.parent / "second"))
    assert mark(root)
    assert not mark(root)
    assert json.loads((root / "emocache.json").read_text()) == {"format": 1}


def test_a_damaged_set_is_not_migrated(paths: Paths) -> None:
    flip(paths.array("frames", "0") / "c/0/0", 40)
    with pytest.raises(CacheError, match=r"c/0/0: its rows are not those that were committed .*; run `emocache repair corpus/toy` first"):
        migrate(paths)
    assert repair(Paths(paths.root)).report.condemned == {0}
    migrate(paths)
    assert verify(paths).findings == ()
    assert open_cache(paths.root.parents[1]).features("corpus", "toy").held("frames", [0]) == ["u1"]


def test_a_set_goes_through_every_step_that_its_format_needs(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    formats = iter((0, 1, 2))
    monkeypatch.setattr("emocache.care.migrate.FORMAT", 2)
    monkeypatch.setattr("emocache.care.migrate.format_of", lambda paths: next(formats))
    monkeypatch.setattr("emocache.care.migrate.STEPS", {number: Step("", lambda paths, n=number: made.append(n)) for number in (0, 1)})
    assert migrate(paths) == 2
    assert made == [0, 1]


def test_there_is_a_step_from_every_older_format() -> None:
    assert set(STEPS) == set(range(FORMAT))
    assert set(FORMATS) == {*STEPS, FORMAT}


def test_a_newer_format_is_refused_in_one_line(paths: Paths) -> None:
    about = json.loads(paths.card.read_text())
    about["key"]["format"] = 2
    paths.card.write_text(json.dumps(about))
    for call in (migrate, verify, repair, collect):
        with pytest.raises(NewerFormat, match="has format 2, this release of emocache reads 0 and 1; it was made by a newer one"):
            call(paths)
