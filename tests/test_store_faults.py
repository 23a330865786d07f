"""The store when things go wrong: killed writers, several at once, damaged files. Nothing half-written is ever visible."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emocache import files
from emocache.care.remove import remove_arrays
from emocache.errors import CacheError
from emocache.store import claims, open_cache, shards, unit
from emocache.store import writer as writer_module
from emocache.store.layout import Paths, level
from emocache.store.plan import Item
from emocache.store.shards import rows_in_shard, shard_index
from emocache.store.writer import FeatureWriter
from tests.toy_store import CARD, LENGTHS, items, toy, tree, write


def test_a_unit_without_a_commit_is_not_there(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    unit = next(tmp_path.glob("corpus/toy/commits/*/1.json"))
    unit.unlink()
    features = open_cache(tmp_path).features("corpus", "toy")
    assert 0 < len(features.ids) < len(data)
    gone = next(name for name in data if name not in features.ids)
    with pytest.raises(CacheError, match=f"{gone} has no frames/0 yet"):
        features.read(gone)


def test_a_commit_never_overwrites_one_that_is_there_and_its_rows_stay_the_ones_that_are_read(tmp_path: Path) -> None:
    first, second = toy([4]), toy([4], seed=1)
    writers = [FeatureWriter(tmp_path, "corpus", "toy", CARD) for _ in range(2)]
    plans = [writer.plan(items(first), {"frames": [0, 1]}) for writer in writers]
    units = writers[1].units(plans[1])
    with pytest.MonkeyPatch.context() as patch:  # locks that keep nobody out
        patch.setattr(claims, "flock", lambda file, operation: True)
        _, late = next(units)
        late.put("u0", {("frames", layer): second["u0"][layer] for layer in (0, 1)})
        for _, unit in writers[0].units(plans[0]):
            unit.put("u0", {("frames", layer): first["u0"][layer] for layer in (0, 1)})
            unit.commit()
        late.commit()
        list(units)
    np.testing.assert_array_equal(open_cache(tmp_path).features("corpus", "toy").read("u0"), first["u0"])
    assert not list(tmp_path.glob("corpus/toy/features.zarr/frames/*/c.0.0.*"))
    assert not list(tmp_path.glob("corpus/toy/parts/*"))


def test_shards_that_were_committed_but_not_put_in_place_are_read_and_put_there_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = toy()
    monkeypatch.setattr(unit, "place", lambda paths, entry: 0)  # as if killed between the two
    write(tmp_path, data)
    monkeypatch.undo()
    assert not list(tmp_path.glob("corpus/toy/features.zarr/frames/0/c.*.0"))
    features = open_cache(tmp_path).features("corpus", "toy")
    more = {**data, "new": toy([7])["u0"]}
    write(tmp_path, more)
    assert len(list(tmp_path.glob("corpus/toy/features.zarr/frames/0/c.*.0"))) == len(
        list(tmp_path.glob("corpus/toy/commits/*/[0-9]*.json"))
    )
    for reader in (features, open_cache(tmp_path).features("corpus", "toy")):
        for name, values in data.items():
            np.testing.assert_array_equal(reader.read(name), values)


def test_two_processes_share_the_work_and_encode_nothing_twice(tmp_path: Path) -> None:
    data = toy()
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path), "0.03"], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    )
    _wait_for_commits(tmp_path, 1)
    mine = write(tmp_path, data, pause=0.03)
    theirs = child.communicate(timeout=60)[0].split()
    assert sorted([*mine, *theirs]) == sorted(data)
    assert set(open_cache(tmp_path).features("corpus", "toy").ids) == set(data)


def test_writers_that_begin_at_once_on_a_fresh_cache_agree_on_one_plan(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "cache"), "0"]
    children = [subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    done = [child.communicate(timeout=60)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(name for names in done for name in names) == sorted(toy())


def test_an_utterance_that_comes_back_gets_the_levels_that_were_made_without_it(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    write(tmp_path, data, {"utterance": [0]}, todo=items(data)[:-1])
    assert write(tmp_path, data, {"utterance": [1]})[-1:] != []
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.held("utterance", [1])) == set(data)


def test_a_cache_whose_making_was_killed_can_still_be_made(tmp_path: Path) -> None:
    (tmp_path / ".emocache.json.99.part").write_text("{")
    write(tmp_path, toy())
    assert len(open_cache(tmp_path).features("corpus", "toy").ids) == len(LENGTHS)


_CHILD = """
import sys
from pathlib import Path
from tests.toy_store import toy, write
print(*write(Path(sys.argv[1]), toy(), pause=float(sys.argv[2])))
"""


def _wait_for_commits(root: Path, count: int) -> int:
    """Wait until so many units are committed; how many are."""
    deadline = time.monotonic() + 60
    while len(found := list(root.glob("corpus/toy/commits/*/[0-9]*.json"))) < count:
        assert time.monotonic() < deadline, "the child committed nothing"
        time.sleep(0.01)
    return len(found)


def test_a_killed_run_is_completed_by_the_next_and_equals_an_undisturbed_one(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path / "killed"), "0.05"], cwd=Path(__file__).parents[1])
    _wait_for_commits(tmp_path / "killed", 1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    committed = open_cache(tmp_path / "killed").features("corpus", "toy").ids
    assert 0 < len(committed) < len(LENGTHS)
    encoded = write(tmp_path / "killed", toy())
    assert sorted([*committed, *encoded]) == sorted(toy())
    write(tmp_path / "whole", toy())
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-30] + b"x" + data[-29:], lambda data: b"", lambda data: data[256:]]
)
def test_a_damaged_shard_is_one_clear_line(tmp_path: Path, damage: Any) -> None:
    write(tmp_path, toy())
    shard = tmp_path / "corpus/toy/features.zarr/frames/1/c.0.0"
    shard.write_bytes(damage(shard.read_bytes()))
    features = open_cache(tmp_path).features("corpus", "toy")
    with pytest.raises(CacheError, match="damaged"):
        features.load()


def test_a_folder_of_something_else_is_not_made_a_cache(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(CacheError, match="is not empty and no emocache"):
        write(tmp_path, toy())


def test_another_format_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, toy())
    (tmp_path / "emocache.json").write_text('{"format": 99}')
    with pytest.raises(CacheError, match="format 99, this release of emocache reads 0 and 1; it was made by a newer one: upgrade emocache"):
        open_cache(tmp_path)


@pytest.mark.parametrize("damage", ["{", "[]", '{"arrays": {"frames": 1}}'])
def test_a_damaged_commit_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    write(tmp_path, toy())
    next(tmp_path.glob("corpus/toy/commits/*/0.json")).write_text(damage)
    with pytest.raises(CacheError, match=r"0\.json"):
        open_cache(tmp_path).features("corpus", "toy")


def test_a_shard_index_that_does_not_fit_its_file_is_not_trusted(tmp_path: Path) -> None:
    cut = level("frames", 4, 512, "")
    path = tmp_path / "shard"
    path.write_bytes(bytes(256 * 4 * 2) + shard_index(256, cut, 2))
    with path.open("rb") as file:
        assert rows_in_shard(file.fileno(), path, cut, 2) == 256
    path.write_bytes(bytes(256 * 4 * 2) + shard_index(512, cut, 2))
    with path.open("rb") as file, pytest.raises(CacheError, match="damaged"):
        rows_in_shard(file.fileno(), path, cut, 2)


@pytest.mark.parametrize("damage", ["", "{}", '{"key": {}}', "[]"])
def test_a_damaged_card_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    write(tmp_path, toy())
    (tmp_path / "corpus/toy/card.json").write_text(damage)
    with pytest.raises(CacheError, match=r"card\.json"):
        open_cache(tmp_path).features("corpus", "toy")


@pytest.mark.parametrize("lost", ["plan/0", "plan", "plan/0/frames", "plan/0/ids.npy", "plan/0/frames/start.npy"])
def test_a_lost_plan_is_one_clear_line_to_reader_and_writer(tmp_path: Path, lost: str) -> None:
    data = toy()
    write(tmp_path, data)
    path = tmp_path / "corpus/toy" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(CacheError, match=r"lost|missing"):
        open_cache(tmp_path).features("corpus", "toy").load()
    with pytest.raises(CacheError, match=r"lost|missing"):
        write(tmp_path, data, todo=items(data)[:-1])


def test_rows_without_a_card_are_not_taken_for_those_of_another_encoder(tmp_path: Path) -> None:
    write(tmp_path, toy())
    (tmp_path / "corpus/toy/card.json").unlink()
    with pytest.raises(CacheError, match="how the rows beside it were made is not known"):
        write(tmp_path, toy(), card=replace(CARD, key=replace(CARD.key, weights="other")))
    assert not (tmp_path / "corpus/toy/card.json").exists()


def test_a_card_with_a_flipped_letter_is_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path, toy())
    card = tmp_path / "corpus/toy/card.json"
    card.write_text(card.read_text().replace('"weights": "w"', '"weights": "v"'))
    with pytest.raises(CacheError, match=r"card\.json: is not what was written"):
        open_cache(tmp_path).features("corpus", "toy")


def test_an_utterance_that_comes_back_gets_the_layers_that_were_made_without_it(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data, {"frames": [0]})
    write(tmp_path, data, {"frames": [1]}, todo=items(data)[:-1])
    assert write(tmp_path, data, {"frames": [1]}) == [list(data)[-1]]
    features = open_cache(tmp_path).features("corpus", "toy")
    for name, values in data.items():
        np.testing.assert_array_equal(features.read(name), values)


def test_a_reader_never_takes_the_rows_of_another_set_of_the_same_name_for_its_own(tmp_path: Path) -> None:
    old, new = toy(), toy(seed=1)
    write(tmp_path, old)
    reader = open_cache(tmp_path).features("corpus", "toy")
    np.testing.assert_array_equal(reader.read("u1", layers=[0]), old["u1"][:1])
    shutil.rmtree(tmp_path / "corpus/toy")
    write(tmp_path, new)
    np.testing.assert_array_equal(reader.read("u1", layers=[0]), old["u1"][:1])
    with pytest.raises(CacheError, match="was rewritten or removed since it was opened; open it again"):
        reader.read("u1", layers=[1])


def test_a_lock_of_a_folder_that_was_put_aside_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, toy([3]))
    folder = tmp_path / "corpus/toy/claims"

    def moved(file: Any, operation: int) -> bool:
        if folder.exists() and "use" in file.name:
            folder.rename(tmp_path / "aside")
        return True

    monkeypatch.setattr(claims, "locks_exclude", lambda folder: True)
    monkeypatch.setattr(claims, "flock", moved)
    with pytest.raises(CacheError, match="removed or rewritten in this moment"):
        claims.Use(folder)


def test_layers_whose_rows_differ_in_number_are_not_read_together(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    longer = {**data, "u1": toy([100], seed=3)["u0"]}
    write(tmp_path, longer, {"frames": [0]}, todo=items(longer))
    features = open_cache(tmp_path).features("corpus", "toy")
    np.testing.assert_array_equal(features.read("u1", layers=[0]), longer["u1"][:1])
    with pytest.raises(CacheError, match="the layers of u1 have different numbers of rows"):
        features.read_many(["u0", "u1"])


def test_the_digest_changes_when_layers_are_removed(tmp_path: Path) -> None:
    write(tmp_path, toy())
    before = open_cache(tmp_path).features("corpus", "toy").digest
    remove_arrays(Paths(tmp_path / "corpus/toy"), [("frames", 0)])
    assert open_cache(tmp_path).features("corpus", "toy").digest != before


def test_an_utterance_that_failed_and_has_changed_since_is_not_called_a_failure(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data, fail="u1")
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(data, {"u1": "ab" * 32}), {"frames": [0, 1]})
    features = open_cache(tmp_path).features("corpus", "toy")
    assert features.failures == {}
    with pytest.raises(CacheError, match="has no frames/0 yet"):
        features.read("u1")


@pytest.mark.parametrize("names", [["a", "a"], ["a\0"], [""]])
def test_ids_that_cannot_be_told_apart_are_refused(tmp_path: Path, names: list[str]) -> None:
    writer = FeatureWriter(tmp_path, "corpus", "toy", CARD)
    todo = [Item(name, f"{i:064x}", "", {"frames": 3, "utterance": 1}) for i, name in enumerate(names)]
    with pytest.raises(CacheError, match="is no id, or stands twice"):
        writer.plan(todo, {"frames": [0]})


@pytest.mark.parametrize(
    ("rows", "says"), [(np.zeros((4, 8)), "in float64; rows are put in float32"), (np.zeros((4, 8), np.int16), "in int16")]
)
def test_rows_of_another_type_are_refused(tmp_path: Path, rows: np.ndarray, says: str) -> None:
    def put() -> None:
        writer = FeatureWriter(tmp_path, "corpus", "toy", CARD)
        for _, one in writer.units(writer.plan(items(toy([4])), {"frames": [0]})):
            one.put("u0", {("frames", 0): rows})
            one.commit()

    with pytest.raises(CacheError, match=says):
        put()


def test_waiting_for_another_writer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "WAIT_S", 0.01)
    monkeypatch.setattr(writer_module, "TELL_S", 0.02)
    told: list[str] = []
    data = toy([4])
    first = FeatureWriter(tmp_path, "corpus", "toy", CARD)
    units = first.units(first.plan(items(data), {"frames": [0, 1]}))
    _, held = next(units)

    def tell(text: str) -> None:
        told.append(text)
        held.put("u0", {("frames", layer): data["u0"][layer] for layer in (0, 1)})
        held.commit()

    second = FeatureWriter(tmp_path, "corpus", "toy", CARD, on_wait=tell)
    assert list(second.units(second.plan(items(data), {"frames": [0, 1]}))) == []
    assert told == ["waiting for 1 units that other writers are making, first unit 0"]
    list(units)


def test_a_child_that_was_forked_while_a_thread_was_reading_can_read(tmp_path: Path) -> None:
    write(tmp_path, toy())
    features = open_cache(tmp_path).features("corpus", "toy")
    with features._reader._lock:
        child = os.fork()
        if not child:
            os._exit(0 if features.read("u1").shape == (2, 70, 8) else 1)
    deadline = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done == (child, 0)


def test_what_is_synced_before_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def noting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            steps.append(name)
            return real(*arguments, **options)

        return call

    writer = FeatureWriter(tmp_path, "corpus", "toy", CARD)
    data = toy([4])
    work = writer.plan(items(data), {"frames": [0]})
    monkeypatch.setattr(shards.os, "fsync", noting("sync", os.fsync))
    monkeypatch.setattr(Path, "rename", noting("stage", Path.rename))
    monkeypatch.setattr(files.os, "link", noting("link", os.link))
    monkeypatch.setattr(Path, "replace", noting("place", Path.replace))
    for _, one in writer.units(work):
        one.put("u0", {("frames", 0): data["u0"][0]})
        one.commit()
    assert steps[:2] == ["sync", "stage"]  # the shard's bytes, then its name
    assert steps.index("stage") < steps.index("sync", 1) < steps.index("link")  # then its folder, and the entry, before it is linked
    assert "sync" in steps[steps.index("link") + 1 :]  # then the entry's folder
    assert steps.index("link") < steps.index("place")
