"""Care for a cache: what is condemned is made again, what is removed is gone, what is swept was needed by nobody."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emocache.care.gc import beside, collect, compact
from emocache.care.remove import remove_arrays, remove_sets, remove_utterances
from emocache.care.repair import repair
from emocache.care.rewrite import rewrite
from emocache.care.sets import check_no_links, find_sets
from emocache.care.usage import usage
from emocache.care.verify import verify
from emocache.errors import CacheError, UsageError
from emocache.store import open_cache
from emocache.store.claims import Use
from emocache.store.layout import Paths
from emocache.store.plan import read_generations, write_removal
from emocache.store.writer import FeatureWriter
from tests.toy_store import CARD, contents, flip, items, toy, tree, write

ALL = {"frames": [0, 1], "utterance": [0]}
DATA = toy()
DATA["u2"][1, 200, 3] = 1e6
MORE = {**DATA, "new": toy([700])["u0"]}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Two passes, two generations, three units, a wide layer."""
    write(tmp_path, DATA, {"frames": [0, 1]})
    write(tmp_path, DATA, {"utterance": [0]})
    write(tmp_path, MORE, ALL)
    return Paths(tmp_path / "corpus/toy")


def check_rows(paths: Paths, ids: set[str]) -> None:
    """The set holds these utterances, and their rows are those that were put."""
    features = open_cache(paths.root.parents[1]).features("corpus", "toy")
    assert set(features.held("frames", [0, 1])) & set(features.held("utterance", [0])) == ids
    for name in ids:
        np.testing.assert_array_equal(features.read(name, "frames"), MORE[name])
        np.testing.assert_array_equal(features.read(name, "utterance")[0, 0], MORE[name][0].mean(axis=0).astype(np.float16))


def extract(paths: Paths, **more: object) -> list[str]:
    """Make again what is missing."""
    return sorted(write(paths.root.parents[1], MORE, ALL, **more))


def of_unit(paths: Paths, *units: int) -> set[str]:
    """The utterances of units."""
    ids = {0: ["u2", "u6", "u4", "u0"], 1: ["u5", "u1", "u7", "u3"], 2: ["new"]}
    return {name for unit in units for name in ids[unit]}


@pytest.mark.parametrize(
    ("name", "damage", "again"),
    [
        ("features.zarr/frames/0/c.1.0", lambda path: flip(path, 70), {1}),
        ("features.zarr/frames/1.float32/c.0.0", lambda path: flip(path, -9), {0}),
        ("features.zarr/utterance/0/c.2.0", lambda path: path.write_bytes(path.read_bytes()[:-1]), {2}),
        ("features.zarr/frames/0/c.1.0", Path.unlink, {1}),
        ("features.zarr/frames/0", shutil.rmtree, {0, 1, 2}),
        ("plan/0/frames/start.npy", Path.unlink, {0, 1}),
        ("plan/1/utterance", shutil.rmtree, {2}),
        ("plan/1/ids.npy", lambda path: flip(path, -1), {2}),
        ("plan/1/digests.npy", Path.unlink, {2}),
        ("plan/0/units.npy", Path.unlink, {0, 1, 2}),
        ("plan/0", shutil.rmtree, {0, 1, 2}),
        ("plan", shutil.rmtree, {0, 1, 2}),
        ("plan/1", shutil.rmtree, {2}),
    ],
)
def test_what_is_condemned_is_taken_out_and_made_again_and_nothing_else(
    paths: Paths, name: str, damage: Callable[[Path], object], again: set[int]
) -> None:
    damage(paths.root / name)
    assert repair(paths).report.condemned == again
    assert verify(paths).findings == ()
    assert not [one for one in verify(paths).litter if one.what != "lock"]
    check_rows(paths, set(MORE) - of_unit(paths, *again))
    assert extract(paths) == sorted(of_unit(paths, *again))
    assert verify(paths).findings == ()
    check_rows(paths, set(MORE))


def test_a_level_that_is_laid_out_again_keeps_clear_of_the_shards_of_later_generations(paths: Paths) -> None:
    shutil.rmtree(paths.plan(0) / "frames")
    repair(paths)
    data = {name: values for name, values in MORE.items() if name not in {"u2", "u5"}}
    assert len(write(paths.root.parents[1], data, ALL, todo=[item for item in items(MORE) if item.id in data])) == 6
    assert verify(paths).findings == ()
    check_rows(paths, set(data))


def test_a_damaged_commit_entry_is_unlinked_and_its_unit_made_again(paths: Paths) -> None:
    for path in sorted(paths.root.glob("commits/*/1.json"))[:1]:
        flip(path, 40)
    assert repair(paths).report.condemned == {1}
    check_rows(paths, set(MORE) - of_unit(paths, 1))
    assert extract(paths) == sorted(of_unit(paths, 1))
    check_rows(paths, set(MORE))


@pytest.mark.parametrize("name", ["frames/0/zarr.json", "frames/1.float32/zarr.json", "frames/zarr.json", "zarr.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: flip(path, 30), lambda path: path.write_text("{")])
def test_zarr_metadata_is_made_anew_and_nothing_is_encoded_again(paths: Paths, name: str, damage: Callable[[Path], object]) -> None:
    import zarr

    damage(paths.zarr / name)
    assert not repair(paths).report.condemned
    assert verify(paths).findings == ()
    assert extract(paths) == []
    check_rows(paths, set(MORE))
    group = zarr.open_group(paths.zarr, mode="r")
    start = np.load(paths.plan(0) / "frames/start.npy")[0]
    np.testing.assert_array_equal(group["frames/1.float32"][start : start + 256], DATA["u2"][1])


def test_a_repair_of_a_sound_set_changes_nothing_and_puts_shards_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "whole", DATA)
    monkeypatch.setattr("emocache.store.unit.place", lambda paths, entry: 0)
    write(tmp_path / "unplaced", DATA)
    monkeypatch.undo()
    assert repair(Paths(tmp_path / "unplaced/corpus/toy")).report.findings == ()
    assert tree(tmp_path / "unplaced") == tree(tmp_path / "whole")


def test_a_damaged_card_is_not_repaired_and_nothing_is_changed(paths: Paths) -> None:
    flip(paths.card, 100)
    before = tree(paths.root)
    with pytest.raises(CacheError, match=r"put it back from a copy, or `emocache rm corpus/toy` and extract again; nothing was changed"):
        repair(paths)
    assert tree(paths.root) == before


def test_nothing_is_repaired_while_somebody_is_at_work(paths: Paths) -> None:
    with Use(paths.claims), pytest.raises(CacheError, match="another command is at work on it"):
        repair(paths)


def test_older_rows_and_removed_utterances_do_not_come_back_when_a_later_plan_is_lost(tmp_path: Path) -> None:
    write(tmp_path, DATA)
    newer = {**DATA, "u1": toy([33], seed=5)["u0"]}
    write(tmp_path, newer, todo=items(newer, {"u1": "ab" * 32}))
    paths = Paths(tmp_path / "corpus/toy")
    write_removal(paths, 2, ["u4"])
    (paths.plan(1) / "digests.npy").unlink()
    losses = repair(paths).losses
    assert losses == ("plan/1 is damaged: its and later units are lost, and extracted again",)
    assert set(open_cache(tmp_path).features("corpus", "toy").ids) == set(DATA) - {"u1", "u4"}
    assert verify(paths).findings == ()


def test_a_repair_says_when_removals_are_lost(tmp_path: Path) -> None:
    write(tmp_path, DATA)
    paths = Paths(tmp_path / "corpus/toy")
    write_removal(paths, 1, ["u4"])
    flip(paths.plan(1) / "ids.npy", -1)
    assert repair(paths).losses[0].endswith("if plan/1 removed utterances, remove them once more")


# Removing


def test_removed_utterances_are_gone_at_once_and_come_back_when_extracted_again(paths: Paths) -> None:
    remove_utterances(paths, ["u1", "new"])
    check_rows(paths, set(MORE) - {"u1", "new"})
    with pytest.raises(CacheError, match="no utterance 'u1'"):
        open_cache(paths.root.parents[1]).features("corpus", "toy").read("u1")
    assert verify(paths).findings == ()
    assert extract(paths) == ["new", "u1"]
    check_rows(paths, set(MORE))


@pytest.mark.parametrize("ids", [["u1", "stranger"], []])
def test_utterances_that_are_not_there_are_refused_and_nothing_is_removed(paths: Paths, ids: list[str]) -> None:
    with pytest.raises(UsageError, match=r"1 of 2 utterances are not there, first 'stranger'|no utterances are named"):
        remove_utterances(paths, ids)
    check_rows(paths, set(MORE))


def test_removed_layers_are_gone_with_their_files_and_come_back_when_extracted_again(paths: Paths) -> None:
    for _ in range(2):
        remove_arrays(paths, [("frames", 1)])
        features = open_cache(paths.root.parents[1]).features("corpus", "toy")
        assert (features.layers_of("frames"), features.levels) == ((0,), ("frames", "utterance"))
        assert not list(paths.zarr.glob("frames/1*"))
        assert verify(paths).findings == ()
        np.testing.assert_array_equal(features.read("u2", "frames"), MORE["u2"][:1])
        assert extract(paths) == sorted(MORE)
        check_rows(paths, set(MORE))
        assert verify(paths).findings == ()


def test_a_removed_level_and_then_another_layer_are_gone(paths: Paths) -> None:
    remove_arrays(paths, [("utterance", 0)])
    remove_arrays(paths, [("frames", 0)])
    features = open_cache(paths.root.parents[1]).features("corpus", "toy")
    assert (features.levels, features.layers) == (("frames",), (1,))
    assert extract(paths) == sorted(MORE)
    check_rows(paths, set(MORE))


def test_a_removal_that_was_killed_before_its_files_went_is_a_removal(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emocache.care.remove.folders_of", lambda paths, arrays: [])
    remove_arrays(paths, [("frames", 1)])
    monkeypatch.undo()
    assert open_cache(paths.root.parents[1]).features("corpus", "toy").layers_of("frames") == (0,)
    assert {one.path.name for one in verify(paths).litter if one.what != "lock"} == {"1", "1.float32"}
    collect(paths)
    assert not list(paths.zarr.glob("frames/1*"))
    assert extract(paths) == sorted(MORE)
    check_rows(paths, set(MORE))


def test_what_was_removed_and_is_damaged_is_found_by_the_files_that_are_left(paths: Paths) -> None:
    remove_arrays(paths, [("frames", 1)])
    for path in paths.root.glob("commits/*/removed.json"):
        flip(path, 30)
    report = verify(paths)
    assert {finding.kind for finding in report.findings} == {"removed"}
    assert not report.condemned
    with pytest.raises(CacheError, match="run `emocache repair corpus/toy` first"):
        collect(paths)
    repair(paths)
    assert verify(paths).findings == ()
    assert open_cache(paths.root.parents[1]).features("corpus", "toy").layers_of("frames") == (0,)


def test_a_whole_feature_set_or_corpus_is_removed(paths: Paths) -> None:
    root = paths.root.parents[1]
    write(root, DATA, name="other")
    remove_sets(paths.root, [paths])
    assert open_cache(root).names("corpus") == ["other"]
    remove_sets(root / "corpus", [Paths(root / "corpus/other")])
    assert [path.name for path in root.iterdir()] == ["emocache.json"]


def test_nothing_is_removed_or_swept_while_somebody_is_at_work(paths: Paths) -> None:
    calls: list[Callable[[], object]] = [
        lambda: remove_sets(paths.root, [paths]),
        lambda: remove_utterances(paths, ["u1"]),
        lambda: remove_arrays(paths, [("frames", 1)]),
        lambda: collect(paths),
        lambda: rewrite(paths),
    ]
    before = tree(paths.root)
    with Use(paths.claims):
        for call in calls:
            with pytest.raises(CacheError, match="another command is at work on it"):
                call()
    assert tree(paths.root) == before


# Sweeping


def test_litter_is_swept_and_what_a_commit_names_is_put_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "whole", DATA)
    monkeypatch.setattr("emocache.store.unit.place", lambda paths, entry: 0)
    write(tmp_path / "left", DATA)
    monkeypatch.undo()
    paths = Paths(tmp_path / "left/corpus/toy")
    frames = paths.array("frames", "0")
    for path in (
        paths.parts / "7.abc.frames.0.0", frames / f"c.1.0.{'0' * 16}", frames / "c.99.0", paths.root / ".card.json.01234567.part",
        paths.root / "plan/.3.01234567.part/ids.npy", frames / "zarr.0123456789abcdef.partial", paths.zarr / "frames/7/zarr.json",
        paths.root / ".0.removed.01234567/c.0.0", paths.root / "commits/abcdef01/.7.json.01234567.part",
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"litter")
    assert sum(one.size for one in collect(paths)) == 9 * 6
    assert tree(tmp_path / "left") == tree(tmp_path / "whole")
    assert sorted(path.name for path in paths.claims.iterdir()) == ["probe.lock", "use.lock"]


def test_passes_of_which_everything_was_removed_are_swept(paths: Paths) -> None:
    remove_arrays(paths, [("utterance", 0)])
    collect(paths)
    assert len(list(paths.root.glob("commits/*"))) == 1
    check = open_cache(paths.root.parents[1]).features("corpus", "toy")
    assert set(check.ids) == set(MORE)
    assert extract(paths) == sorted(MORE)
    check_rows(paths, set(MORE))


def test_nothing_is_swept_from_a_damaged_set(paths: Paths) -> None:
    flip(next(paths.root.glob("commits/*/0.json")), 50)
    before = tree(paths.root)
    with pytest.raises(CacheError, match="run `emocache repair corpus/toy` first"):
        collect(paths)
    assert tree(paths.root) == before


def test_what_removals_left_beside_feature_sets_is_found_and_fresh_part_files_are_left(paths: Paths) -> None:
    root = paths.root.parents[1]
    (root / ".corpus.removed.01234567/toy").mkdir(parents=True)
    (root / "corpus/.toy.removed.01234567").mkdir()
    for name in (".emocache.json.01234567.part", "corpus/.manifest.csv.01234567.part"):
        (root / name).write_text("")
    assert sorted(one.path.name for one in beside(root)) == [".corpus.removed.01234567", ".toy.removed.01234567"]
    os.utime(root / "corpus/.manifest.csv.01234567.part", (0, 0))
    assert len(beside(root)) == 3


def test_usage_counts_every_byte_once(paths: Paths) -> None:
    (paths.parts / "litter").write_bytes(bytes(1000))
    found = usage(paths)
    files = [path for path in paths.root.rglob("*") if path.is_file()]
    assert (found.size, found.files) == (sum(path.stat().st_size for path in files), len(files))
    assert list(found.arrays) == [("frames", 0), ("frames", 1), ("utterance", 0)]
    assert (found.dead, sum(one.size for one in found.litter)) == (0, 1000)
    newer = {**MORE, "u1": toy([33], seed=5)["u0"]}
    write(paths.root.parents[1], newer, ALL, todo=items(newer, {"u1": "ab" * 32}))
    assert usage(paths).dead == (70 * 2 + 1) * 8 * 2  # frames, two layers, and one vector


# Rewriting


def history(root: Path) -> tuple[Paths, dict[str, np.ndarray]]:
    """A set with all that can befall one: a changed utterance, a removed one, a failure, a layer not made everywhere."""
    write(root, DATA, {"frames": [0, 1]}, fail="u3")
    write(root, DATA, {"utterance": [0]})
    data = {**MORE, "u1": toy([33], seed=5)["u0"]}
    write(root, data, {"frames": [0, 1]}, todo=items(data, {"u1": "ab" * 32}))
    paths = Paths(root / "corpus/toy")
    remove_utterances(paths, ["u6", "u2"])
    return paths, {name: values for name, values in data.items() if name not in {"u6", "u2", "u3"}}


def test_a_rewritten_set_has_the_same_contents_and_no_dead_rows(tmp_path: Path) -> None:
    paths, data = history(tmp_path)
    before, dead, size = contents(paths), usage(paths).dead, usage(paths).size
    assert dead > 0
    assert compact(paths)
    assert contents(paths) == before
    after = usage(paths)
    assert (after.dead, after.litter) == (0, ())
    assert after.size < size - dead / 2
    assert verify(paths).findings == ()
    assert not compact(paths)
    assert before["failures"] == {"u3": "made to fail"}
    todo = [item for item in items({**MORE, "u1": data["u1"]}, {"u1": "ab" * 32}) if item.id in data]
    assert write(tmp_path, data, {"frames": [0, 1]}, todo=todo) == []


def test_a_layer_stays_float32_where_it_was_though_what_overflowed_is_removed(tmp_path: Path) -> None:
    data = toy([60, 50])
    data["u0"][1, 3, 3], data["u1"][1, 5, 5] = 1e6, 1 / 3
    write(tmp_path, data, todo=[replace(item, group="") for item in items(data)])
    paths = Paths(tmp_path / "corpus/toy")
    remove_utterances(paths, ["u0"])
    compact(paths)
    features = open_cache(tmp_path).features("corpus", "toy")
    np.testing.assert_array_equal(features.read("u1"), data["u1"])


def test_units_of_a_rewritten_set_mix_no_groups_and_keep_their_order(paths: Paths) -> None:
    before = read_generations(paths)[0]
    remove_utterances(paths, ["u6"])
    compact(paths)
    (after,) = read_generations(paths)
    old = [[name for name in before.names[first:last] if name != "u6"] for first, last in pairwise(before.units.tolist())]
    assert [after.names[first:last] for first, last in pairwise(after.units.tolist())] == [*old, ["new"]]


def test_columns_are_kept(tmp_path: Path) -> None:
    data = toy([4, 3, 5])
    words = {name: {"frames": {"word": np.arange(values.shape[1], dtype=np.int32) + i}} for i, (name, values) in enumerate(data.items())}
    todo = [replace(item, columns=words[item.id]) for item in items(data)]
    write(tmp_path, data, todo=todo)
    paths = Paths(tmp_path / "corpus/toy")
    remove_utterances(paths, ["u1"])
    compact(paths)
    features = open_cache(tmp_path).features("corpus", "toy")
    for name in ("u0", "u2"):
        np.testing.assert_array_equal(features.columns(name, "frames")["word"], words[name]["frames"]["word"])


def test_what_was_planned_and_not_made_is_made_after_a_rewriting(tmp_path: Path) -> None:
    write(tmp_path, DATA, {"frames": [0, 1]})
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(MORE), ALL)
    paths = Paths(tmp_path / "corpus/toy")
    remove_utterances(paths, ["u1"])
    compact(paths)
    assert open_cache(tmp_path).features("corpus", "toy").planned == len(MORE) - 1
    assert extract(paths) == sorted(MORE)
    check_rows(paths, set(MORE))


def test_a_set_of_which_every_utterance_was_removed_can_be_rewritten(paths: Paths) -> None:
    remove_utterances(paths, list(MORE))
    compact(paths)
    assert open_cache(paths.root.parents[1]).features("corpus", "toy").ids == []
    assert extract(paths) == sorted(MORE)


def test_a_reader_that_is_open_goes_on_with_what_it_has_open_and_never_reads_the_new_rows(paths: Paths) -> None:
    reader = open_cache(paths.root.parents[1]).features("corpus", "toy")
    np.testing.assert_array_equal(reader.read("u4", "frames", [0]), MORE["u4"][:1])
    remove_utterances(paths, ["u2"])
    compact(paths)
    np.testing.assert_array_equal(reader.read("u0", "frames", [0]), MORE["u0"][:1])
    for call in (
        lambda: reader.read("u4", "frames", [1]),
        lambda: reader.read("u4", "utterance"),
        lambda: reader.read("u1", "frames", [0]),
    ):
        with pytest.raises(CacheError, match="open it again"):
            call()


def test_a_damaged_set_is_not_rewritten(paths: Paths) -> None:
    remove_utterances(paths, ["u6"])
    flip(paths.array("frames", "0") / "c.0.0", 40)
    before = tree(paths.root)
    with pytest.raises(CacheError, match="run `emocache repair corpus/toy` first"):
        compact(paths)
    assert tree(paths.root) == before


def test_a_rewriting_that_fails_leaves_the_old_set_and_no_copy(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_utterances(paths, ["u6"])
    before = tree(paths.root)
    real = FeatureWriter.plan

    def full(self: FeatureWriter, *args: object, **more: object) -> object:
        if more or (len(args) > 1 and args[1]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(FeatureWriter, "plan", full)
    with pytest.raises(OSError, match="No space left"):
        compact(paths)
    assert tree(paths.root) == before
    assert [path.name for path in paths.root.parent.iterdir()] == ["toy"]


def test_a_rewriting_that_would_not_fit_is_refused(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_utterances(paths, ["u6"])
    monkeypatch.setattr("emocache.care.rewrite.shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(CacheError, match="free some space first"):
        compact(paths)


def test_a_link_is_neither_removed_nor_rewritten(tmp_path: Path) -> None:
    write(tmp_path / "real", DATA)
    (tmp_path / "real/corpus/toy").rename(tmp_path / "elsewhere")
    (tmp_path / "real/corpus/toy").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match=r"is a link to .*elsewhere; run the command on the cache that holds it"):
        check_no_links(find_sets(tmp_path / "real"))
    assert set(open_cache(tmp_path / "real").features("corpus", "toy").ids) == set(DATA)
