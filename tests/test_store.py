"""The store: what was put is read back, by emocache and by plain zarr, and only what is missing is made."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zarr

from emocache.errors import CacheError, KeyMismatch
from emocache.store import open_cache
from emocache.store.plan import cut_units
from emocache.store.rows import stretches
from emocache.store.writer import FeatureWriter
from tests.toy_store import CARD, ROWS, items, toy, tree, write


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
        tmp_path / "theirs",
        shape=(ROWS, 8),
        dtype="<f2",
        shards=(ROWS, 8),
        chunks=(256, 8),
        compressors=None,
        filters=None,
        fill_value=0,
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    theirs[:300] = data["u0"][1]
    assert (tmp_path / "ours/corpus/toy/features.zarr/frames/1/c.0.0").read_bytes() == (tmp_path / "theirs/c.0.0").read_bytes()


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


def test_units_hold_one_group_each_longest_first_and_keep_to_their_limits() -> None:
    rows = [100, 300, 200, 500, 50, 600, 10]
    order, units = cut_units(rows, ["b", "a", "a", "b", "a", "a", "b"], limit=512)
    cut = [[rows[i] for i in order[first:last]] for first, last in pairwise(units)]
    assert cut == [[600], [300, 200], [50], [500], [100, 10]]


def test_reading_a_cache_imports_no_torch(tmp_path: Path) -> None:
    write(tmp_path, toy([3]))
    code = """
import sys, emocache
emocache.open_cache(sys.argv[1]).features('corpus', 'toy').load()
assert not {'torch', 'transformers', 'soundfile'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[1])


def test_rows_of_an_input_that_has_changed_since_are_not_read_as_the_new_ones(tmp_path: Path) -> None:
    old = toy()
    write(tmp_path, old)
    new = {**old, "u1": toy([33], seed=5)["u0"]}
    FeatureWriter(tmp_path, "corpus", "toy", CARD).plan(items(new, {"u1": "ab" * 32}), {"frames": [0, 1]})  # and then killed
    features = open_cache(tmp_path).features("corpus", "toy")
    assert set(features.ids) == set(old) - {"u1"}
    with pytest.raises(CacheError, match=r"u1 has no frames/0 yet; run `emocache extract --model \./toy --corpus corpus`"):
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


def test_rows_side_by_side_are_read_at_once_and_the_border_of_a_shard_cuts_them() -> None:
    assert stretches(start=[10, 14, 95, 7], edges=[0, 4, 6, 14, 14], shard_rows=100) == [(0, 10, 0, 6), (0, 95, 6, 5), (1, 0, 11, 3)]


def test_batches_are_read_ahead_and_come_in_their_order(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path, data)
    features = open_cache(tmp_path).features("corpus", "toy")
    wanted = [["u5", "u0"], ["u2"], [], ["u0", "u0", "u7"], ["u1"]]
    for ahead in (1, 2, 9):
        for ids, packed in zip(wanted, features.batches(wanted, "frames", [1], ahead=ahead), strict=True):
            alone = features.read_many(ids, "frames", [1])
            np.testing.assert_array_equal(packed.values, alone.values)
            np.testing.assert_array_equal(packed.offsets, alone.offsets)
    with pytest.raises(CacheError, match="no utterance 'u99'"):
        list(features.batches([["u1"], ["u99"]]))
