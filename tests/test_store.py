"""The store: what was put is read back, by emocache and by plain zarr, and nothing half-written is ever visible."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from emocache.errors import CacheError, KeyMismatch
from emocache.store import open_cache, parse_layers
from emocache.store.card import Card, Key
from emocache.store.layout import level, shard_index, shard_rows_there
from emocache.store.plan import Item, cut_units
from emocache.store.writer import FeatureWriter

ROWS = 512
CARD = Card(
    key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
    encoder="toy", model="./toy", origin="o", revision="r", encoder_licence="e", corpus="corpus", corpus_licence="c", corpus_share="free",
    modality="audio", native="frames", hop=320, layers=(0, 1), unit_rows=ROWS, made_with={},
    levels={"frames": "one row per frame", "utterance": "mean"}, dims={"frames": 8, "utterance": 8},
)  # fmt: skip
LENGTHS = (3, 70, 256, 1, 40, 199, 130, 25)
Data = Mapping[str, np.ndarray]


def toy(lengths: Sequence[int] = LENGTHS, seed: int = 0) -> dict[str, np.ndarray]:
    """Id -> [layers, rows, dim], exactly representable in float16."""
    rng = np.random.default_rng(seed)
    return {f"u{i}": rng.integers(-99, 99, (2, rows, 8)).astype(np.float32) for i, rows in enumerate(lengths)}


def items(data: Data, digests: Mapping[str, str] | None = None) -> list[Item]:
    """The utterances as the store sees them; two groups."""
    known = digests or {}
    return [
        Item(name, known.get(name, f"{i:064x}"), str(i % 2), {"frames": values.shape[1], "utterance": 1})
        for i, (name, values) in enumerate(data.items())
    ]


def write(
    root: Path,
    data: Data,
    wanted: Mapping[str, Sequence[int]] | None = None,
    *,
    todo: list[Item] | None = None,
    card: Card = CARD,
    fail: str = "",
    pause: float = 0,
    retry: bool = False,
) -> list[str]:
    """Extract with an encoder that looks rows up; the ids that were encoded, in order."""
    writer = FeatureWriter(root, "corpus", "toy", card)
    seen = []
    for work, unit in writer.units(writer.plan(todo or items(data), wanted or {"frames": [0, 1]}, retry=retry)):
        for name in work.ids:
            seen.append(name)
            time.sleep(pause)
            if name == fail:
                unit.fail(name, "made to fail")
                continue
            rows = {"frames": data[name], "utterance": data[name].mean(axis=1, keepdims=True)}
            unit.put(name, {(level_name, layer): rows[level_name][layer] for level_name, layer in work.arrays})
        unit.commit()
    return seen


def tree(root: Path) -> dict[str, bytes]:
    """Every file that stays, by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock"}


def test_every_utterance_is_read_back_as_it_was_put(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(data)
    assert (features.levels, features.layers) == (("frames",), (0, 1))
    for name, values in data.items():
        read = features.read(name)
        assert read.dtype == np.float16
        np.testing.assert_array_equal(read, values)


def test_many_utterances_are_read_into_one_array_in_the_order_asked_for(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    packed = open_cache(tmp_path).features("corpus", "toy").load("frames", [1], ["u5", "u0", "u2"])
    np.testing.assert_array_equal(packed.values[0], np.concatenate([data["u5"][1], data["u0"][1], data["u2"][1]]))
    assert packed.offsets.tolist() == [0, 199, 202, 458]


def test_plain_zarr_reads_the_same_rows(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    group = zarr.open_group(tmp_path / "corpus/toy/features.zarr", mode="r")
    plan = tmp_path / "corpus/toy/plan/0"
    ids, start, length = (np.load(plan / name) for name in ("ids.npy", "frames/start.npy", "frames/length.npy"))
    for name, first, rows in zip(ids, start, length, strict=True):
        np.testing.assert_array_equal(group["frames/1"][first : first + rows], data[name.decode()][1])


def test_shards_are_what_zarr_itself_would_write(tmp_path: Path) -> None:
    data = {"u0": toy([300])["u0"]}
    write(tmp_path / "ours", data)
    theirs = zarr.create_array(
        tmp_path / "theirs", shape=(ROWS, 8), dtype="<f2", shards=(ROWS, 8), chunks=(256, 8), compressors=None, filters=None, fill_value=0
    )
    theirs[:300] = data["u0"][1]
    assert (tmp_path / "ours/corpus/toy/features.zarr/frames/1/c/0/0").read_bytes() == (tmp_path / "theirs/c/0/0").read_bytes()


def test_an_utterance_longer_than_a_shard_spans_several(tmp_path: Path) -> None:
    data = toy([5, 3 * ROWS + 7])
    write(tmp_path, data)
    np.testing.assert_array_equal(open_cache(tmp_path).features("corpus", "toy").read("u1"), data["u1"])


def test_a_second_run_encodes_nothing(tmp_path: Path) -> None:
    write(tmp_path, toy())
    before = tree(tmp_path)
    assert write(tmp_path, toy()) == []
    assert tree(tmp_path) == before


def test_new_and_changed_utterances_alone_are_encoded(tmp_path: Path) -> None:
    old = toy()
    write(tmp_path, old)
    new = {**old, "u1": toy([33], seed=5)["u0"], "added": toy([9], seed=6)["u0"]}
    assert sorted(write(tmp_path, new, todo=items(new, {"u1": "ab" * 32}))) == ["added", "u1"]
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(new)
    for name, values in new.items():
        np.testing.assert_array_equal(features.read(name), values)


def test_levels_and_layers_can_be_added_later(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data, {"frames": [1]})
    first = open_cache(tmp_path).features("corpus", "toy")
    assert (first.layers_of("frames"), first.levels) == ((1,), ("frames",))
    write(tmp_path, data, {"frames": [0, 1], "utterance": [0]})
    features = open_cache(tmp_path).features("corpus", "toy")
    assert (features.layers_of("frames"), features.layers_of("utterance")) == ((0, 1), (0,))
    np.testing.assert_array_equal(features.read("u2", "frames"), data["u2"])
    np.testing.assert_array_equal(features.read("u2", "utterance")[0, 0], data["u2"][0].mean(axis=0).astype(np.float16))
    assert features.digest != first.digest


def test_a_layer_that_overflows_float16_is_stored_as_float32(tmp_path: Path) -> None:
    data = toy()
    data["u2"][1, 200, 3] = 1e6
    write(tmp_path, data)
    features = open_cache(tmp_path).features("corpus", "toy")
    assert features.read("u2", layers=[1]).dtype == np.float32
    assert features.read("u2", layers=[0]).dtype == np.float16
    for name, values in data.items():
        np.testing.assert_array_equal(features.read(name), values)
    commits = [json.loads(path.read_text()) for path in tmp_path.glob("corpus/toy/commits/*/[0-9]*.json")]
    wide = [entry["arrays"]["frames/1"] for entry in commits if entry["arrays"]["frames/1"]["wide"]]
    assert [entry["largest"] for entry in wide] == [1e6]


def test_values_that_are_not_finite_are_a_named_failure(tmp_path: Path) -> None:
    data = toy()
    data["u4"][0, 3, 3] = np.nan
    write(tmp_path, data)
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(data) - {"u4"}
    assert features.failures == {"u4": "the encoder gave values that are not finite in frames/0"}
    with pytest.raises(CacheError, match="u4 could not be encoded"):
        features.read("u4")


def test_what_failed_is_tried_again_when_asked_and_its_neighbours_are_not(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data, fail="u3")
    features = open_cache(tmp_path).features("corpus", "toy")
    assert features.failures == {"u3": "made to fail"}
    for name in set(data) - {"u3"}:
        np.testing.assert_array_equal(features.read(name), data[name])
    assert write(tmp_path, data) == []
    assert write(tmp_path, data, retry=True) == ["u3"]
    again = open_cache(tmp_path).features("corpus", "toy")
    assert (set(again.ids), again.failures) == (set(data), {})


def test_features_made_in_another_way_are_refused_by_the_fields_that_differ(tmp_path: Path) -> None:
    write(tmp_path, toy())
    other = replace(CARD, key=replace(CARD.key, precision="bf16"))
    with pytest.raises(KeyMismatch, match=r"precision \(fp32 there, bf16 asked for\)") as caught:
        write(tmp_path, toy(), card=other)
    assert "weights" not in str(caught.value)


def test_rows_that_were_not_planned_are_refused(tmp_path: Path) -> None:
    data = toy()
    with pytest.raises(CacheError, match="planned was"):
        write(tmp_path, {**data, "u2": data["u2"][:, 1:]}, todo=items(data))
    assert open_cache(tmp_path).features("corpus", "toy").ids == []
    assert not list((tmp_path / "corpus/toy/parts").iterdir())


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


def test_a_commit_never_overwrites_one_that_is_there(tmp_path: Path) -> None:
    data = toy([4])
    writer = FeatureWriter(tmp_path, "corpus", "toy", CARD)
    work = writer.plan(items(data), {"frames": [0, 1]})
    entry = tmp_path / "corpus/toy/commits" / work[0].pass_id / "0.json"
    for _, unit in writer.units(work):
        unit.put("u0", {("frames", layer): data["u0"][layer] for layer in (0, 1)})
        entry.write_text("first")
        unit.commit()
    assert entry.read_text() == "first"


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


def test_what_a_writer_that_died_while_planning_left_is_swept(tmp_path: Path) -> None:
    write(tmp_path, toy())
    before = tree(tmp_path)
    (tmp_path / "corpus/toy/plan/.1.99.part").mkdir()
    (tmp_path / "corpus/toy/plan/0/.utterance.99.part").mkdir()
    (tmp_path / "corpus/toy/.card.json.99.part").write_text("{")
    (tmp_path / "corpus/toy/features.zarr/frames/zarr.0123.partial").write_text("{")
    write(tmp_path, toy())
    assert tree(tmp_path) == before


def test_a_cache_whose_making_was_killed_can_still_be_made(tmp_path: Path) -> None:
    (tmp_path / ".emocache.json.99.part").write_text("{")
    write(tmp_path, toy())
    assert len(open_cache(tmp_path).features("corpus", "toy").ids) == len(LENGTHS)


_CHILD = """
import sys
from pathlib import Path
from tests.test_store import toy, write
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
    shard = tmp_path / "corpus/toy/features.zarr/frames/1/c/0/0"
    shard.write_bytes(damage(shard.read_bytes()))
    features = open_cache(tmp_path).features("corpus", "toy")
    with pytest.raises(CacheError, match="damaged"):
        features.load()


def test_asking_for_what_is_not_there_lists_what_is(tmp_path: Path) -> None:
    write(tmp_path, toy())
    cache = open_cache(tmp_path)
    features = cache.features("corpus", "toy")
    for call, message in [
        (lambda: cache.features("corpus", "hubert"), "choose one of: toy"),
        (lambda: cache.features("meld", "toy"), "there are: corpus"),
        (lambda: features.read("u99"), "no utterance 'u99'"),
        (lambda: features.read("u1", level="phone"), "there are: frames"),
        (lambda: features.read("u1", layers=[7]), "there are: 0, 1"),
        (lambda: open_cache(tmp_path / "corpus"), "is no emocache"),
    ]:
        with pytest.raises(CacheError, match=message):
            call()


def test_two_feature_sets_of_one_encoder_are_not_confused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        FeatureWriter(tmp_path, "corpus", name, CARD)
    with pytest.raises(CacheError, match="2 feature sets 'toy' of corpus; choose one of: a, b"):
        open_cache(tmp_path).features("corpus", "toy")


def test_a_folder_of_something_else_is_not_made_a_cache(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(CacheError, match="is not empty and no emocache"):
        write(tmp_path, toy())


def test_another_format_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, toy())
    (tmp_path / "emocache.json").write_text('{"format": 99}')
    with pytest.raises(CacheError, match="format 99, this release of emocache reads 1"):
        open_cache(tmp_path)


@pytest.mark.parametrize("damage", ["{", "[]", '{"arrays": {"frames": 1}}'])
def test_a_damaged_commit_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    write(tmp_path, toy())
    next(tmp_path.glob("corpus/toy/commits/*/0.json")).write_text(damage)
    with pytest.raises(CacheError, match=r"0\.json"):
        open_cache(tmp_path).features("corpus", "toy")


def test_units_hold_one_group_each_longest_first_and_keep_to_their_limits() -> None:
    rows = [100, 300, 200, 500, 50, 600, 10]
    order, units = cut_units(rows, ["b", "a", "a", "b", "a", "a", "b"], limit=512)
    cut = [[rows[i] for i in order[first:last]] for first, last in pairwise(units)]
    assert cut == [[600], [300, 200], [50], [500], [100, 10]]


def test_a_shard_index_that_does_not_fit_its_file_is_not_trusted(tmp_path: Path) -> None:
    cut = level("frames", 4, 512, "")
    path = tmp_path / "shard"
    path.write_bytes(bytes(256 * 4 * 2) + shard_index(256, cut, 2))
    assert shard_rows_there(path, cut, 2) == 256
    path.write_bytes(bytes(256 * 4 * 2) + shard_index(512, cut, 2))
    with pytest.raises(CacheError, match="damaged"):
        shard_rows_there(path, cut, 2)


@pytest.mark.parametrize(("text", "expected"), [("all", (0, 1, 2, 3)), ("last", (3,)), ("2,0", (0, 2))])
def test_layers_can_be_named_in_three_ways(text: str, expected: tuple[int, ...]) -> None:
    assert parse_layers(text, (0, 1, 2, 3)) == expected


def test_reading_a_cache_imports_no_torch(tmp_path: Path) -> None:
    write(tmp_path, toy([3]))
    code = """
import sys, emocache
emocache.open_cache(sys.argv[1]).features('corpus', 'toy').load()
assert not {'torch', 'transformers', 'soundfile'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[1])


@pytest.mark.parametrize("damage", ["", "{}", '{"key": {}}', "[]"])
def test_a_damaged_card_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    write(tmp_path, toy())
    (tmp_path / "corpus/toy/card.json").write_text(damage)
    with pytest.raises(CacheError, match=r"card\.json"):
        open_cache(tmp_path).features("corpus", "toy")


def test_rows_of_an_input_that_has_changed_since_are_not_read_as_the_new_ones(tmp_path: Path) -> None:
    old = toy()
    write(tmp_path, old)
    new = {**old, "u1": toy([33], seed=5)["u0"]}
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(new, {"u1": "ab" * 32}), {"frames": [0, 1]})  # and then killed
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(old) - {"u1"}
    with pytest.raises(CacheError, match=r"u1 has no frames/0 yet; run `emocache extract --model \./toy` again"):
        features.read("u1")


def test_layers_of_two_inputs_are_never_mixed(tmp_path: Path) -> None:
    old = toy()
    write(tmp_path, old)
    new = {**old, "u1": toy([33], seed=5)["u0"]}
    write(tmp_path, new, {"frames": [0]}, todo=items(new, {"u1": "ab" * 32}))
    features = open_cache(tmp_path).features("corpus", "toy")
    np.testing.assert_array_equal(features.read("u1", layers=[0]), new["u1"][:1])
    with pytest.raises(CacheError, match="u1 has no frames/1 yet"):
        features.read("u1", layers=[1])
    assert "u1" in features.held("frames", [0])
    assert "u1" not in features.held("frames", [0, 1])


def test_a_failed_second_encoding_hides_the_first_and_says_why(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    write(tmp_path, data, todo=items(data, {"u1": "ab" * 32}), fail="u1")
    features = open_cache(tmp_path).features("corpus", "toy")
    assert features.failures == {"u1": "made to fail"}
    assert "u1" not in features.ids


def test_a_level_pooled_by_another_rule_is_refused(tmp_path: Path) -> None:
    write(tmp_path, toy())
    other = replace(CARD, levels={**CARD.levels, "utterance": "median"})
    with pytest.raises(KeyMismatch, match=r"level utterance \(mean there, median asked for\)"):
        write(tmp_path, toy(), card=other)
