"""Verify: whatever is damaged is found and named, everything at once, and what is sound is not suspected."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emocache.care.findings import Report
from emocache.care.verify import verify
from emocache.store.layout import Paths
from emocache.store.plan import write_removal
from emocache.store.seal import sealed
from emocache.store.writer import FeatureWriter
from tests.toy_store import CARD, flip, items, toy, write

ALL = {"frames": [0, 1], "utterance": [0]}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A feature set with everything in it: two passes, two generations, a wide layer, a failure, a removed utterance."""
    data = toy()
    data["u2"][1, 200, 3] = 1e6
    write(tmp_path, data, {"frames": [0, 1]}, fail="u3")
    write(tmp_path, data, {"utterance": [0]})
    more = {**data, "new": toy([700])["u0"]}
    write(tmp_path, more, ALL, todo=items(more))
    paths = Paths(tmp_path / "corpus/toy")
    write_removal(paths, 2, ["u0"])
    return paths


def found(report: Report) -> dict[str, str]:
    """File -> what is wrong with it."""
    return {report.where(finding): finding.what for finding in report.findings}


def test_a_sound_set_has_no_findings_whatever_it_went_through(paths: Paths) -> None:
    report = verify(paths)
    assert (report.findings, report.units) == ((), 3)
    assert report.size == sum(path.stat().st_size for path in paths.zarr.rglob("c.*"))


def test_a_set_of_format_0_has_no_findings() -> None:
    assert verify(Paths(Path(__file__).parent / "format0/corpus/toy")).findings == ()


@pytest.mark.parametrize("place", [0.0, 0.1, 0.37, 0.5, 0.63, 0.9, 1.0])
@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("features.zarr/frames/0/c.1.0", {1}),
        ("features.zarr/frames/1.float32/c.0.0", {0}),
        ("features.zarr/utterance/0/c.2.0", {2}),
        ("plan/0/ids.npy", {0, 1, 2}),
        ("plan/0/digests.npy", {0, 1, 2}),
        ("plan/1/units.npy", {2}),
        ("plan/1/sha256.json", {2}),
        ("plan/0/frames/start.npy", {0, 1}),
        ("plan/1/frames/length.npy", {2}),
        ("plan/0/utterance/shard.npy", {0, 1}),
        ("plan/2/ids.npy", set()),
        ("card.json", {0, 1, 2}),
    ],
)
def test_one_flipped_bit_anywhere_is_found_and_named(paths: Paths, name: str, units: set[int], place: float) -> None:
    path = paths.root / name
    flip(path, min(int(place * path.stat().st_size), path.stat().st_size - 1))
    report = verify(paths)
    assert name in found(report)
    assert report.condemned == units


@pytest.mark.parametrize("place", [0.0, 0.1, 0.37, 0.5, 0.63, 0.9, 1.0])
def test_one_flipped_bit_in_a_commit_entry_is_found(paths: Paths, place: float) -> None:
    for path in paths.root.glob("commits/*/*.json"):
        before = path.read_bytes()
        flip(path, min(int(place * len(before)), len(before) - 1))
        report = verify(paths)
        assert report.where(report.findings[0]) == str(path.relative_to(paths.root))
        assert report.condemned == {int(path.stem)}
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["features.zarr/frames/0/zarr.json", "features.zarr/frames/zarr.json"])
def test_zarr_metadata_that_says_something_else_is_found_and_condemns_nothing(paths: Paths, name: str) -> None:
    text = (paths.root / name).read_text()
    said = [at for at, letter in enumerate(text) if not letter.isspace()]
    for at in said[:: max(1, len(said) // 40)]:
        (paths.root / name).write_text(text)
        flip(paths.root / name, at)
        report = verify(paths, contents=False)
        assert name in found(report), text[at - 20 : at + 20]
        assert report.condemned == frozenset()


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("features.zarr/frames/0/c.1.0", lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged (its index"),
        ("features.zarr/frames/0/c.1.0", lambda path: path.write_bytes(path.read_bytes()[: 256 * 16]), "damaged (its index"),
        ("features.zarr/frames/0/c.1.0", lambda path: flip(path, -9), "damaged (its index"),
        ("features.zarr/frames/0/c.1.0", lambda path: flip(path, 70), "its rows are not those that were committed"),
        ("features.zarr/frames/0/c.1.0", Path.unlink, "missing"),
        ("features.zarr/frames/0/zarr.json", Path.unlink, "missing"),
        ("plan/0/ids.npy", Path.unlink, "missing"),
        ("plan/0/utterance/start.npy", Path.unlink, "missing"),
        ("plan/0/utterance", shutil.rmtree, "missing, though rows of it are committed"),
        ("plan/0", shutil.rmtree, "missing"),
        ("plan/1", shutil.rmtree, "missing"),
        ("card.json", Path.unlink, "missing"),
        ("card.json", lambda path: path.write_text("{}"), "is no card of a feature set"),
    ],
)
def test_each_kind_of_damage_is_named_by_file_and_kind(paths: Paths, name: str, damage: Callable[[Path], object], says: str) -> None:
    damage(paths.root / name)
    assert found(verify(paths))[name].startswith(says)


def test_a_lost_last_generation_is_seen_by_the_units_that_are_committed(paths: Paths) -> None:
    shutil.rmtree(paths.plan(2))
    shutil.rmtree(paths.plan(1))
    report = verify(paths)
    assert found(report) == {"plan/1": "missing, though unit 2 is committed"}
    assert report.condemned == {2}


def test_all_that_is_damaged_is_found_at_once(paths: Paths) -> None:
    commits = sorted(paths.root.glob("commits/*/0.json"))
    names = ["features.zarr/frames/0/c.1.0", "plan/1/frames/start.npy", str(commits[0].relative_to(paths.root))]
    for name in names:
        flip(paths.root / name, 80)
    (paths.root / "features.zarr/utterance/0/zarr.json").unlink()
    assert set(found(verify(paths))) == {*names, "features.zarr/utterance/0/zarr.json"}


def _rewritten(paths: Paths, change: Callable[[dict], None]) -> Path:
    """Change a commit entry and seal it again, as a broken writer would."""
    path = next(path for path in sorted(paths.root.glob("commits/*/0.json")) if "frames/0" in path.read_text())
    entry = json.loads(path.read_text())
    del entry["seal"]
    change(entry)
    path.write_text(sealed(json.dumps(entry, indent=1, sort_keys=True) + "\n"))
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda entry: entry["failures"].update(stranger="?"), "names 'stranger', which is not in its unit"),
        (lambda entry: entry.update(unit=7), "is the entry of another unit"),
        (lambda entry: entry["arrays"]["frames/0"]["sha256"].update({"1": "ab"}), "names shards 0, 1 of frames/0, planned were 0 to 0"),
        (lambda entry: entry["arrays"]["frames/0"].update(largest=98.0), "frames/0: its largest value is 99, committed was 98"),
        (lambda entry: entry["arrays"]["frames/0"].update(dtype="float32"), "says that frames/0 is stored as float32"),
        (lambda entry: entry["arrays"].update({"frames/9": entry["arrays"]["frames/0"]}), "names frames/9, which the card does not"),
        (lambda entry: entry.pop("failures"), "not a commit entry (KeyError('failures'))"),
    ],
)
def test_entries_that_do_not_fit_plan_card_or_rows_are_condemned(paths: Paths, change: Callable[[dict], None], says: str) -> None:
    path = _rewritten(paths, change)
    report = verify(paths)
    assert found(report)[str(path.relative_to(paths.root))] == says
    assert report.condemned == {0}


def test_values_that_are_not_finite_are_found_though_their_checksum_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([5])
    data["u0"][0, 2, 2] = np.inf
    monkeypatch.setattr("emocache.store.unit.math.isfinite", lambda value: True)
    write(tmp_path, data, {"frames": [0]})
    monkeypatch.undo()
    report = verify(Paths(tmp_path / "corpus/toy"))
    assert any(what == "holds values that are not finite" for what in found(report).values())


def test_a_plan_that_is_cut_in_another_way_is_found_without_checksums(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "format0", tmp_path / "cache")
    paths = Paths(tmp_path / "cache/corpus/toy", 0)
    start = np.load(paths.plan(0) / "frames/start.npy")
    start[1] += 16
    np.save(paths.plan(0) / "frames/start.npy", start)
    assert found(verify(paths)) == {"plan/0/frames": "utterances do not lie where the cut puts them"}


def test_generations_that_lie_in_each_others_shards_are_found_without_checksums(paths: Paths) -> None:
    shutil.copytree(Path(__file__).parent / "format0/corpus/toy", paths.root.parent / "old")
    old = Paths(paths.root.parent / "old", 0)
    shutil.copytree(old.plan(0), old.plan(1))
    np.save(old.plan(1) / "ids.npy", np.array([b"a", b"b", b"c", b"d", b"e"]))
    assert found(verify(old)) == {
        "plan/1/frames": "utterances lie in shards of plan/0",
        "plan/1/utterance": "utterances lie in shards of plan/0",
    }


def test_what_dead_writers_leave_is_mentioned_and_is_no_finding(paths: Paths) -> None:
    (paths.parts / "7.abc.part").write_bytes(b"rows")
    (paths.array("frames", "0") / f"c.1.0.{'0' * 16}").write_bytes(b"rows")
    (paths.array("frames", "0") / "c.99.0").write_bytes(b"rows")
    (paths.root / "plan/.3.00000000.part").mkdir()
    report = verify(paths)
    assert report.findings == ()
    assert sorted(one.path.name for one in report.litter if one.what != "lock") == [
        ".3.00000000.part", "7.abc.part", f"c.1.0.{'0' * 16}", "c.99.0",
    ]  # fmt: skip


def test_what_is_planned_and_not_made_yet_is_no_finding(tmp_path: Path) -> None:
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(toy()), ALL)
    assert verify(Paths(tmp_path / "corpus/toy")).findings == ()


def test_shards_that_wait_to_be_put_in_place_are_verified_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emocache.store.unit.place", lambda paths, entry: 0)
    write(tmp_path, toy())
    paths = Paths(tmp_path / "corpus/toy")
    assert verify(paths).findings == ()
    staged = next(paths.array("frames", "0").glob("c.0.0.*"))
    flip(staged, 40)
    assert list(found(verify(paths))) == [f"features.zarr/frames/0/{staged.name}"]
