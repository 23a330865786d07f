"""Writers that are killed, stopped, several at once, or refused by the disk: nobody loses anything, and says so in one line."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emocache.errors import CacheError, KeyMismatch
from emocache.store import claims, index, open_cache, unit
from emocache.store import writer as writer_module
from emocache.store.background import Background
from emocache.store.claims import Use, claim
from emocache.store.writer import FeatureWriter
from tests.toy_store import CARD, items, toy, tree, write

ALL = {"frames": [0, 1]}
LAST = {"frames": [1]}


@pytest.fixture
def lying_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks that every writer gets, as between the nodes of some clusters."""
    monkeypatch.setattr(claims, "flock", lambda file, operation: True)
    monkeypatch.setattr(claims, "locks_exclude", lambda folder: True)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no locks."""

    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def begin(root: Path, data: dict[str, np.ndarray], wanted: dict[str, list[int]]) -> tuple[Iterator[Any], Any, Any]:
    """A writer that has claimed its first unit: its units, what is to be made of this one, and the unit."""
    writer = FeatureWriter(root, "corpus", "toy", CARD)
    units = writer.units(writer.plan(items(data), wanted))
    return units, *next(units)


def fill(work: Any, unit: Any, data: dict[str, np.ndarray]) -> None:
    """Put the utterances of a unit, and commit it."""
    for name in work.ids:
        unit.put(name, {(level, layer): data[name][layer] for level, layer in work.arrays})
    unit.commit()


def entries(root: Path) -> list[Path]:
    """Every commit entry."""
    return sorted(root.glob("corpus/toy/commits/*/[0-9]*.json"))


def litter(root: Path) -> list[Path]:
    """Part files, and shards that are not in their places."""
    return [*root.glob("corpus/toy/parts/*"), *root.rglob(".*.part"), *root.rglob("c.*.0.*")]


@pytest.mark.parametrize(("mode", "every"), [("kill", 37), ("full", 37), ("stopped", 139)])
def test_wherever_a_writer_is_disturbed_nothing_is_lost_and_the_next_one_completes_the_set(tmp_path: Path, mode: str, every: int) -> None:
    command = [sys.executable, "-m", "tests.crash_points", mode, str(tmp_path), str(every)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120, check=False)
    *wrong, points = done.stdout.splitlines()
    assert not wrong
    assert int(points.split()[0]) > 90


@pytest.mark.usefixtures("lying_locks")
@pytest.mark.parametrize(("first", "second"), [(ALL, LAST), (LAST, ALL), (ALL, ALL)])
def test_of_two_writers_that_make_the_same_array_at_once_the_first_to_commit_it_is_read_ever_after(
    tmp_path: Path, first: dict[str, list[int]], second: dict[str, list[int]]
) -> None:
    early, late = toy([4]), toy([4], seed=1)
    units, *waiting = begin(tmp_path, late, second)
    write(tmp_path, early, first)
    before = {layer: open_cache(tmp_path).features("corpus", "toy").read("u0", layers=[layer]) for layer in first["frames"]}
    fill(*waiting, late)
    list(units)
    features = open_cache(tmp_path).features("corpus", "toy")
    for layer in features.layers:
        np.testing.assert_array_equal(features.read("u0", layers=[layer])[0], (early if layer in before else late)["u0"][layer])
    assert not litter(tmp_path)


@pytest.mark.usefixtures("lying_locks")
def test_a_link_that_another_writer_was_faster_to_make_is_looked_at_and_the_rest_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, late = toy([4]), toy([4], seed=1)
    units, *waiting = begin(tmp_path, late, ALL)
    committed = unit.committed

    def overtaken(*arguments: Any) -> dict[str, Any]:
        monkeypatch.undo()
        standing = committed(*arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(claims, "flock", lambda file, operation: True)
            write(tmp_path, early, LAST)
        return standing

    monkeypatch.setattr(unit, "committed", overtaken)
    fill(*waiting, late)
    list(units)
    features = open_cache(tmp_path).features("corpus", "toy")
    np.testing.assert_array_equal(features.read("u0"), [late["u0"][0], early["u0"][1]])
    assert [sorted(index.read_json(path)["arrays"]) for path in entries(tmp_path)] == [["frames/1"], ["frames/0"]]


@pytest.mark.usefixtures("lying_locks")
@pytest.mark.parametrize(("node", "left"), [("here", 2), ("another", 0)])
def test_the_part_files_of_a_live_writer_are_left_alone_at_least_until_its_work_is_done_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: str, left: int
) -> None:
    data = toy([4])
    parts = tmp_path / "corpus/toy/parts"
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    mine, _, unit = begin(tmp_path, data, ALL)
    unit.put("u0", {("frames", layer): data["u0"][layer] for layer in (0, 1)})
    _wait(lambda: len(list(parts.iterdir())) == 2)
    monkeypatch.setattr("socket.gethostname", lambda: node)
    others, *theirs = begin(tmp_path, data, ALL)
    assert len(list(parts.iterdir())) == 2
    fill(*theirs, data)
    assert list(others) == []
    assert len(list(parts.iterdir())) == left
    unit.commit()
    assert list(mine) == []
    assert not litter(tmp_path)


@pytest.mark.usefixtures("lying_locks")
def test_rows_that_outgrow_float16_after_another_machine_did_the_work_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([4, 3, 5])
    parts = tmp_path / "corpus/toy/parts"
    mine, work, unit = begin(tmp_path, data, ALL)
    first, *rest = work.ids
    unit.put(first, {array: data[first][array[1]] for array in work.arrays})
    _wait(lambda: len(list(parts.glob(f"{work.unit}.*"))) == 2)
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "another")
        write(tmp_path, data)
    for name in rest:
        unit.put(name, {array: data[name][array[1]] + 70_000 for array in work.arrays})
    unit.commit()
    assert list(mine) == []
    features = open_cache(tmp_path).features("corpus", "toy")
    for name, values in data.items():
        np.testing.assert_array_equal(features.read(name), values)


def test_an_array_that_is_widened_on_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([4])
    units, work, unit = begin(tmp_path, data, ALL)
    unit.put("u0", {array: data["u0"][array[1]] for array in work.arrays})
    _wait(lambda: len(list(tmp_path.glob("corpus/toy/parts/*"))) == 2)
    monkeypatch.setattr("emocache.store.shards.ArrayFile.widen", _full)
    unit.widen(("frames", 0))
    unit.commit()
    with pytest.raises(CacheError, match=r"unit 0 cannot be written .*; free some space, then repeat"):
        list(units)


def test_widening_twice_changes_nothing(tmp_path: Path) -> None:
    data = toy([4])
    units, work, unit = begin(tmp_path, data, ALL)
    unit.widen(("frames", 0))
    unit.put("u0", {array: data["u0"][array[1]] for array in work.arrays})
    unit.widen(("frames", 0))
    unit.commit()
    assert list(units) == []
    np.testing.assert_array_equal(open_cache(tmp_path).features("corpus", "toy").read("u0"), data["u0"])


@pytest.mark.parametrize("unit_of_it", ["0", "99"])
@pytest.mark.parametrize("wanted", [LAST, ALL])
def test_the_part_files_of_a_dead_writer_go_when_somebody_writes_again(
    tmp_path: Path, unit_of_it: str, wanted: dict[str, list[int]]
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write(tmp_path, toy([4]), LAST)
    parts = tmp_path / "corpus/toy/parts"
    dead = parts / f"{unit_of_it}.{claims.process().rpartition('-')[0]}-{ended.pid}.a1b2c3d4.frames.0.0"
    foreign = parts / f"{unit_of_it}.another-{ended.pid}.a1b2c3d4.frames.0.0"
    for part in (dead, foreign):
        part.write_bytes(b"rows")
    write(tmp_path, toy([4]), wanted)
    assert list(parts.iterdir()) == ([foreign] if unit_of_it == "99" or wanted == LAST else [])


@pytest.mark.usefixtures("lying_locks")
@pytest.mark.parametrize("step", ["_check_vacant", "create_whole"])
def test_planners_that_locks_do_not_keep_apart_agree_on_one_plan_and_one_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    data, then = toy(), getattr(writer_module, step)
    other = replace(CARD, key=replace(CARD.key, weights="others"))

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.undo()
        write(tmp_path, data, card=other)
        return then(*arguments)

    monkeypatch.setattr(writer_module, step, overtaken)
    with pytest.raises(KeyMismatch, match=r"weights \(others there, w asked for\)"):
        write(tmp_path, data)
    assert set(open_cache(tmp_path).features("corpus", "toy").ids) == set(data)


@pytest.mark.usefixtures("lying_locks")
def test_a_level_that_another_planner_laid_out_for_fewer_utterances_is_laid_out_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, write_level = toy([4, 5]), writer_module.write_level
    write(tmp_path, data)

    def overtaken(*arguments: Any) -> int:
        monkeypatch.setattr(writer_module, "write_level", write_level)
        write(tmp_path, data, {"utterance": [0]}, todo=items(data)[:1])
        return write_level(*arguments)

    monkeypatch.setattr(writer_module, "write_level", overtaken)
    assert write(tmp_path, data, {"utterance": [0]}) == ["u1"]
    assert set(open_cache(tmp_path).features("corpus", "toy").held("utterance", [0])) == set(data)


def test_a_planner_gets_along_with_a_writer_that_puts_its_own_shards_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, toy([4]))
    name = f"c.0.0.{index.read_json(entries(tmp_path)[0])['arrays']['frames/0']['sha256']['0'][:16]}"
    listdir = os.listdir
    there = tmp_path / "corpus/toy/features.zarr/frames/0"
    monkeypatch.setattr(os, "listdir", lambda folder: [name] if folder == there else listdir(folder))  # as it was when they looked
    assert write(tmp_path, toy([4, 5])) == ["u1"]


def test_a_command_with_nothing_to_encode_still_puts_shards_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "place", lambda paths, entry: 0)  # as if killed between the two
    write(tmp_path / "killed", toy())
    monkeypatch.undo()
    assert write(tmp_path / "killed", toy()) == []
    write(tmp_path / "whole", toy())
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_a_complete_set_that_cannot_be_written_is_extracted_again_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy()
    monkeypatch.setattr(unit, "place", lambda paths, entry: 0)
    write(tmp_path, data)
    _refuse(monkeypatch, errno.EROFS)
    assert write(tmp_path, data) == []
    np.testing.assert_array_equal(open_cache(tmp_path).features("corpus", "toy").read("u3"), data["u3"])


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, toy())
    before = tree(tmp_path)
    _refuse(monkeypatch, errno.EROFS)
    with pytest.raises(CacheError, match=r"cannot be written \(Read-only file system\); choose another --cache$"):
        write(tmp_path, toy([3, 4, 5]), todo=items({"new": toy()["u1"]}))
    monkeypatch.undo()
    assert tree(tmp_path) == before


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the disk refuse every change, as it does for those who may only read (root may always write)."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    real_open = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", *rest, **named: (refuse if mode[0] in "wxa" else real_open)(path, mode, *rest, **named)
    )
    for owner, name in [(os, "link"), (Path, "rename"), (Path, "replace"), (Path, "unlink")]:
        monkeypatch.setattr(owner, name, refuse)


def test_bytes_that_no_entry_names_go_once_their_shard_is_committed_and_not_before(tmp_path: Path) -> None:
    data = toy([4, 5])
    units, work, unit = begin(tmp_path, data, ALL)
    fill(work, unit, data)
    _wait(lambda: bool(entries(tmp_path)))
    array = tmp_path / "corpus/toy/features.zarr/frames/0"
    lost, waiting = (array / f"c.{number}.0.0123456789abcdef" for number in (work.unit, 1 - work.unit))
    lost.write_bytes(b"of a writer that was too late")
    waiting.write_bytes(b"perhaps of one that is about to commit")
    units.close()
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(data), ALL)
    assert list(array.glob("c.*.0.*")) == [waiting]


def test_a_reader_that_opens_while_others_plan_and_commit_sees_a_whole_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([4, 5])
    write(tmp_path, data)
    commit_entries = index.commit_entries

    def overtaken(paths: Any) -> Iterator[Path]:
        monkeypatch.undo()
        write(tmp_path, toy([4, 5, 6]), fail="u2")
        return commit_entries(paths)

    monkeypatch.setattr(index, "commit_entries", overtaken)
    features = open_cache(tmp_path).features("corpus", "toy")
    assert features.ids == ["u0", "u1"]
    np.testing.assert_array_equal(features.read("u1"), data["u1"])


def test_an_entry_that_is_repaired_away_while_a_reader_opens_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, toy([4, 5]))
    found = list(index.commit_entries(index.Paths(tmp_path / "corpus/toy")))
    found[0].unlink()
    monkeypatch.setattr(index, "commit_entries", lambda paths: iter(found))
    assert len(open_cache(tmp_path).features("corpus", "toy").ids) == 1


def test_an_utterance_that_another_writer_passed_over_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    data = toy([4, 3, 5])
    begin(tmp_path, data, ALL)[0].close()
    write(tmp_path, data, todo=items(data)[:2])
    assert open_cache(tmp_path).features("corpus", "toy").ids == ["u0", "u1"]
    assert write(tmp_path, data) == ["u2"]
    assert write(tmp_path, data) == []
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(data)
    assert features.failures == {}


@pytest.mark.usefixtures("no_locks")
def test_where_locks_do_not_work_one_writer_is_let_in_and_the_second_is_told_who_is_there(tmp_path: Path) -> None:
    data = toy()
    units, *first = begin(tmp_path, data, ALL)
    token = tmp_path / "corpus/toy/claims/writer"
    with pytest.raises(CacheError, match=rf"one writer at a time is let in, and process {os.getpid()} on .* is there; .* delete {token}$"):
        write(tmp_path, {**data, "new": data["u1"]})
    fill(*first, data)
    for rest in units:
        fill(*rest, data)
    assert set(open_cache(tmp_path).features("corpus", "toy").ids) == set(data)
    del units, first
    assert write(tmp_path, {**data, "new": data["u1"]}) == ["new"]


def test_a_writer_that_could_not_enter_itself_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "locks_exclude", lambda folder: False)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="No space"):
        Use(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    Use(tmp_path).close()


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_system_without_hard_links_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(CacheError, match="is on a file system without hard links, so a cache cannot be made there"):
        write(tmp_path, toy())


_CLAIM_AND_FORK = """
import os, sys, time
from pathlib import Path
from tests.test_store_writers import ALL, begin, toy
units, work, unit = begin(Path(sys.argv[1]), toy([4]), ALL)
unit.put("u0", {array: toy([4])["u0"][array[1]] for array in work.arrays})
time.sleep(0.2)
if not os.fork():
    unit.close()
    print(os.getpid(), flush=True)
    time.sleep(60)
os.kill(os.getpid(), 9)
"""


def test_a_forked_child_keeps_neither_the_claim_of_its_parent_nor_removes_its_part_files(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _CLAIM_AND_FORK, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.wait(timeout=30)
        assert len(list(tmp_path.glob("corpus/toy/parts/*"))) == 2
        with claim(tmp_path / "corpus/toy/claims", "0", wait=False) as held:
            assert held
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


_SLOW = """
import sys
from pathlib import Path
from tests.toy_store import toy, write
print(*write(Path(sys.argv[1]), toy(), pause=0.05))
"""


def test_while_a_writer_is_stopped_others_make_all_but_its_unit_and_it_goes_on_where_it_was(tmp_path: Path) -> None:
    stopped = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(tmp_path)], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    )
    _wait(lambda: bool(entries(tmp_path)))
    stopped.send_signal(signal.SIGSTOP)
    others = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(tmp_path)], cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    )
    units = len(np.load(tmp_path / "corpus/toy/plan/0/units.npy")) - 1
    _wait(lambda: len(entries(tmp_path)) >= units - 1)
    there = open_cache(tmp_path).features("corpus", "toy")
    for name in there.ids:
        np.testing.assert_array_equal(there.read(name), toy()[name])
    stopped.send_signal(signal.SIGCONT)
    made = [child.communicate(timeout=60)[0].split() for child in (stopped, others)]
    assert sorted(made[0] + made[1]) == sorted(toy())
    assert open_cache(tmp_path).features("corpus", "toy").load(ids=sorted(toy())).values.shape[1] == sum(map(len, _last(toy())))


def _last(data: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [values[-1] for values in data.values()]


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_error_of_the_disk_comes_up_once_as_one_line_and_lets_go_of_all_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy()
    begin(tmp_path, data, ALL)[0].close()
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(
        CacheError, match=r"toy: unit \d+ cannot be written \(No space left on device\); free some space, then repeat"
    ) as raised:
        write(tmp_path, data)
    assert "\n" not in str(raised.value)
    monkeypatch.undo()
    assert not list(tmp_path.glob("corpus/toy/parts/*"))
    for lock in tmp_path.glob("corpus/toy/claims/[0-9]*.lock"):
        with claim(lock.parent, lock.stem, wait=False) as held:
            assert held
    assert sorted(write(tmp_path, data)) == sorted(data)


def test_an_error_in_syncing_one_unit_comes_up_while_the_next_is_being_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([5] * 120)  # two units of 60
    units, *first = begin(tmp_path, data, ALL)
    monkeypatch.setattr(os, "fsync", _full)
    fill(*first, data)
    work, made = next(units)
    encoded = []

    def encode() -> None:
        for name in work.ids:
            made.put(name, {array: data[name][array[1]] for array in work.arrays})
            encoded.append(name)
            time.sleep(0.05)

    with pytest.raises(CacheError, match="No space left on device"):
        encode()
    assert len(encoded) < len(work.ids)


def _interrupt(writer: FeatureWriter, data: dict[str, np.ndarray]) -> None:
    """Write one unit and half of another, then be interrupted."""
    for work, made in writer.units(writer.plan(items(data), ALL)):
        if entries(writer.paths.root.parents[1]):
            made.put(work.ids[0], {array: data[work.ids[0]][array[1]] for array in work.arrays})
            raise KeyboardInterrupt
        fill(work, made, data)
        _wait(lambda: bool(entries(writer.paths.root.parents[1])))


def test_who_breaks_off_keeps_what_was_committed_and_leaves_nothing_else(tmp_path: Path) -> None:
    data = toy()
    with FeatureWriter(tmp_path, "corpus", "toy", CARD) as writer, pytest.raises(KeyboardInterrupt):
        _interrupt(writer, data)
    assert not litter(tmp_path)
    there = open_cache(tmp_path).features("corpus", "toy").ids
    assert there
    assert sorted([*there, *write(tmp_path, data)]) == sorted(data)


def test_a_file_that_may_not_grow_further_is_one_clear_line(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from tests.toy_store import toy, write; from emocache.errors import CacheError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write(Path(sys.argv[1]), toy([3, 500]))\n"
        "except CacheError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "cannot be written (File too large); what was committed is safe" in done.stdout
    assert sorted(write(tmp_path, toy([3, 500]))) == ["u0", "u1"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_file_system_is_one_clear_line_and_with_space_again_the_command_goes_on(small_disk: Path) -> None:
    data, root = toy([500] * 12), small_disk / "cache"
    (small_disk / "filler").write_bytes(bytes(280_000))
    with pytest.raises(CacheError, match=r"No space left on device\); free some space, then repeat the command: it goes on here$"):
        write(root, data)
    before = open_cache(root).features("corpus", "toy").ids
    assert 0 < len(before) < len(data)
    (small_disk / "filler").unlink()
    assert sorted([*before, *write(root, data)]) == sorted(data)
    features = open_cache(root).features("corpus", "toy")
    for name, values in data.items():
        np.testing.assert_array_equal(features.read(name), values)


@pytest.mark.parametrize("gone", ["", "claims", "parts", "features.zarr/frames/1"])
def test_a_folder_that_is_removed_under_a_writer_is_one_clear_line(tmp_path: Path, gone: str) -> None:
    data = toy([300] * 6)
    units, *first = begin(tmp_path, data, ALL)
    fill(*first, data)
    second = next(units)
    (tmp_path / "corpus/toy" / gone).rename(tmp_path / "away")
    fill_all = partial(_fill_all, [second], units, data)
    with pytest.raises(CacheError, match=r"cannot be written .*; it was removed or moved meanwhile; repeat the command$"):
        fill_all()


def _fill_all(first: list[Any], units: Iterator[Any], data: dict[str, np.ndarray]) -> None:
    for work, made in chain(first, units):
        fill(work, made, data)


def test_who_encodes_is_held_back_only_while_more_waits_than_the_limit() -> None:
    disk = threading.Event()
    done: list[str] = []

    def slow() -> None:
        disk.wait(30)
        done.append("slow")

    with Background(limit=10) as background:
        background.submit(slow, 6)
        background.submit(lambda: done.append("fits"), 4)
        assert done == []  # both were taken at once, though nothing has been written
        threading.Timer(0.1, disk.set).start()
        background.submit(lambda: done.append("too much"), 5)
        assert done[:1] == ["slow"]
        background.submit(lambda: done.append("more than the limit by itself"), 25)
        background.finish()
    assert done == ["slow", "fits", "too much", "more than the limit by itself"]


def test_an_error_in_the_background_comes_up_at_the_next_call_and_nothing_later_is_done() -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise CacheError("the first")

    def encode() -> None:
        with Background() as background:
            background.submit(fail)
            background.submit(lambda: tried.append(2))
            _wait(lambda: bool(tried))
            time.sleep(0.01)
            background.submit(lambda: tried.append(3))
            tried.append(4)

    with pytest.raises(CacheError, match="the first"):
        encode()
    assert tried == [1]


@pytest.mark.parametrize("size", [0, 1000])
def test_a_shard_that_is_cut_short_while_it_is_mapped_is_one_clear_line(tmp_path: Path, size: int) -> None:
    data = toy()
    write(tmp_path, data)
    features = open_cache(tmp_path).features("corpus", "toy")
    for _ in range(2):
        features.load()
    for shard in tmp_path.glob("corpus/toy/features.zarr/frames/0/c.*.0"):
        os.truncate(shard, size)
    with pytest.raises(CacheError, match="was cut short while it was read; run `emocache repair`, then extract again"):
        features.load()
