"""A lab's cache that is only read, and one's own that is written to: read as one."""

import json
import os
import pickle
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import manifest, pipeline, places
from emocache.errors import CacheError, KeyMismatch, UsageError
from emocache.pool import pool
from emocache.store import Cache, open_cache
from emocache.store.layered import LayeredFeatures, still_to_make
from emocache.store.plan import Item
from emocache.store.writer import FeatureWriter
from emocache.types import Corpus
from tests import checkpoints, small_corpus
from tests.shell import Shell
from tests.toy_store import CARD, items, toy, write

BOTH = {"frames": [0, 1], "utterance": [0, 1]}


def seen(root: Path) -> dict[str, tuple[int, ...]]:
    """Every file and folder, with mode, size and times of change: reading alone changes none of them."""
    about = {path: path.lstat() for path in [root, *root.rglob("*")]}
    return {str(path): (one.st_mode, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_nlink) for path, one in about.items()}


def lock_up(root: Path) -> None:
    """Take away the permission to write."""
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A folder for the lab's cache, which must be as it was when the test ends (once it was locked up)."""
    root = tmp_path / "lab"
    yield root
    for path in [root, *root.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def test_the_path_comes_before_the_home_and_its_last_folder_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOCACHE_HOME", "/home-cache")
    assert places.cache_path() == (Path("/home-cache"),)
    monkeypatch.setenv("EMOCACHE_PATH", "/lab/emocache::~/mine:/lab/emocache")
    assert places.cache_path() == (Path("/lab/emocache"), Path("~/mine").expanduser())
    assert places.cache_root() == Path("~/mine").expanduser()
    assert places.cache_path("/one") == (Path("/one"),)
    assert places.cache_path("/one:/two") == (Path("/one"), Path("/two"))
    (tmp_path / "a:b").mkdir()
    assert places.cache_path(tmp_path / "a:b") == (tmp_path / "a:b",)
    with pytest.raises(UsageError, match="names no folder"):
        places.cache_path("::")


def test_a_lab_cache_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"gone: is no emocache .* mount it, or take it out of EMOCACHE_PATH"):
        open_cache(f"{tmp_path}/gone:{tmp_path}/mine")
    write(tmp_path / "mine", toy([3]))
    with pytest.raises(CacheError, match="mount it"):
        open_cache(f"{tmp_path}/gone:{tmp_path}/mine")


def test_rows_are_read_from_wherever_they_lie(tmp_path: Path, lab: Path) -> None:
    data = toy()
    some = items(data)
    write(lab, data, {"frames": [0]}, todo=some[:5])
    write(tmp_path / "mine", data, {"frames": [0]}, todo=some[5:])
    write(tmp_path / "mine", data, {"frames": [1]}, todo=some)
    write(tmp_path / "whole", data, todo=some)
    found = open_cache(f"{lab}:{tmp_path}/mine").features("corpus", "toy")
    whole = open_cache(tmp_path / "whole").features("corpus", "toy")
    assert isinstance(found, LayeredFeatures)
    assert sorted(found.ids) == sorted(whole.ids) == sorted(data)
    assert (found.levels, found.layers, found.planned, found.dim("frames")) == (whole.levels, whole.layers, whole.planned, 8)
    ids = ["u6", "u0", "u3", "u7", "u1"]
    for one in (found, pickle.loads(pickle.dumps(found))):
        ours, theirs = one.read_many(ids), whole.read_many(ids)
        assert np.array_equal(ours.values, theirs.values)
        assert np.array_equal(ours.offsets, theirs.offsets)
        assert ours.values.dtype == theirs.values.dtype
    assert np.array_equal(found.read("u2", layers=[0]), whole.read("u2", layers=[0]))
    assert np.array_equal(found.outline("frames", 0, ids)[0], whole.outline("frames", 0, ids)[0])
    with pytest.raises(CacheError, match="no utterance 'x' among its 8"):
        found.read("x")
    with pytest.raises(CacheError, match="no layer 7 in level frames; there are: 0, 1"):
        found.read("u1", layers=[7])


def test_layers_that_are_stored_in_two_widths_are_read_as_the_wider(tmp_path: Path, lab: Path) -> None:
    data = toy([3, 4])
    data["u1"] = data["u1"] * 1e5
    write(lab, data, {"frames": [0]}, todo=items(data)[:1])
    write(tmp_path / "mine", data, {"frames": [0]}, todo=items(data)[1:])
    packed = open_cache(f"{lab}:{tmp_path}/mine").features("corpus", "toy").read_many(["u1", "u0"])
    assert packed.values.dtype == np.float32
    assert np.array_equal(packed.values[0], np.concatenate([data["u1"][0], data["u0"][0]]))


def test_rows_of_other_input_count_nowhere(tmp_path: Path, lab: Path) -> None:
    data = toy([3, 4])
    write(lab, data)
    write(tmp_path / "mine", data, {"frames": [0]}, todo=[items(data, {"u0": "f" * 64})[0]])
    found = open_cache(f"{lab}:{tmp_path}/mine").features("corpus", "toy")
    assert found.made_from("u0") == "f" * 64
    assert found.held("frames", [0]) == ["u0", "u1"]
    assert found.held("frames", [1]) == ["u1"]
    with pytest.raises(CacheError, match="u0 has no frames/1 yet"):
        found.read("u0")


def test_what_lacks_is_made_and_no_more(tmp_path: Path, lab: Path) -> None:
    data = toy()
    write(lab, data, {"frames": [0]}, todo=items(data)[:5])
    below = open_cache(lab).features("corpus", "toy")
    parts = still_to_make(items(data), BOTH, None, below)
    named = [([one.id for one in some], arrays) for some, arrays in parts]
    assert named == [(["u5", "u6", "u7"], {"frames": [0]}), (list(data), {"frames": [1], "utterance": [0, 1]})]
    assert still_to_make(items(data)[:5], {"frames": [0]}, None, below) == []
    changed = items(data, {"u1": "f" * 64})[:5]
    assert [[one.id for one in some] for some, _ in still_to_make(changed, {"frames": [0]}, None, below)] == [["u1"]]


def test_what_ones_own_cache_says_otherwise_is_made_there(tmp_path: Path, lab: Path) -> None:
    data = toy([3, 4])
    write(lab, data)
    write(tmp_path / "mine", data, todo=items(data, {"u0": "f" * 64})[:1])
    cache = open_cache(f"{lab}:{tmp_path}/mine")
    parts = still_to_make(items(data), {"frames": [0]}, cache.own("corpus", "toy"), cache.beneath("corpus", "toy"))
    assert [[one.id for one in some] for some, _ in parts] == [["u0"]]


WORDS = replace(CARD, levels={**CARD.levels, "word": "mean"}, dims={**CARD.dims, "word": 8})


def words(**aligned: str) -> list[Item]:
    """Utterances of two words each, by what their alignment is."""
    return [
        Item(name, f"{int(name[1:]):064x}", "0", {"frames": 3, "word@a": 2}, made_from={"word@a": made}) for name, made in aligned.items()
    ]


def write_words(root: Path, value: float, todo: list[Item]) -> None:
    with FeatureWriter(root, "corpus", "toy", WORDS) as writer:
        for work, unit in writer.units(writer.plan(todo, {"word@a": [0]})):
            for name in work.ids:
                unit.put(name, {("word@a", 0): np.full((2, 8), value, np.float32)})
            unit.commit()


def test_segments_of_another_alignment_count_nowhere(tmp_path: Path, lab: Path) -> None:
    old, new = "a" * 64, "b" * 64
    write_words(lab, 1, words(u0=old, u1=old))
    write_words(tmp_path / "mine", 2, words(u0=new))
    cache = open_cache(f"{lab}:{tmp_path}/mine")
    found = cache.features("corpus", "toy")
    assert found.aligned_as("word@a") == {"u0": new, "u1": old}
    assert found.read_many(["u0", "u1"], "word@a").values[0, :, 0].tolist() == [2, 2, 1, 1]
    own, below = cache.own("corpus", "toy"), cache.beneath("corpus", "toy")
    assert still_to_make(words(u1=old), {"word@a": [0]}, own, below) == []
    assert still_to_make(words(u1=new), {"word@a": [0]}, own, below) == [(words(u1=new), {"word@a": [0]})]
    assert still_to_make(words(u0=old), {"word@a": [0]}, own, below) == [(words(u0=old), {"word@a": [0]})]


def test_sets_of_one_name_that_were_made_otherwise_are_not_read_as_one(tmp_path: Path, lab: Path) -> None:
    write(lab, toy([3]))
    write(tmp_path / "mine", toy([3]), card=replace(CARD, key=replace(CARD.key, weights="other")))
    with pytest.raises(KeyMismatch, match=r"corpus/toy in .*lab.* was made with other weights \(w there, other asked for\)"):
        open_cache(f"{lab}:{tmp_path}/mine").features("corpus", "toy")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = small_corpus.make(tmp_path)
    checkpoints.speech(tmp_path / "model")
    return manifest.load(tmp_path / "data", made.name)


def extract(tmp_path: Path, corpus: Corpus, cache: str, **options: object) -> pipeline.Outcome:
    *below, root = places.cache_path(cache)
    job = pipeline.prepare_job(
        corpus, tmp_path / "data", str(tmp_path / "model"), cache=root, below=below, name="h", device="cpu", **options
    )  # type: ignore[arg-type]
    return pipeline.extract(job)


def test_extract_makes_what_the_lab_lacks_and_leaves_the_lab_alone(tmp_path: Path, lab: Path, corpus: Corpus) -> None:
    some = replace(corpus, utterances=corpus.utterances[:4])
    extract(tmp_path, some, str(lab), layers="0,1")
    lock_up(lab)
    before = seen(lab)
    path = f"{lab}:{tmp_path}/mine"
    assert extract(tmp_path, some, path, layers="0,1").encoded == 0
    assert not (tmp_path / "mine").exists()
    first = extract(tmp_path, corpus, path, layers="0,1")
    assert first.encoded == 2
    assert open_cache(tmp_path / "mine").features("tiny", "h").ids == ["u4", "u5"]
    assert extract(tmp_path, corpus, path, layers="all", levels=["frames", "utterance"]).encoded == 6
    found = open_cache(path).features("tiny", "h")
    whole = extract(tmp_path, corpus, str(tmp_path / "whole"), layers="all", levels=["frames", "utterance"]).features
    ids = [one.id for one in corpus.utterances]
    for level in ("frames", "utterance"):
        assert found.layers_of(level) == whole.layers_of(level)
        ours, theirs = found.load(level, ids=ids), whole.load(level, ids=ids)
        assert np.allclose(ours.values.astype(np.float32), theirs.values.astype(np.float32), atol=2e-3)
        assert np.array_equal(ours.offsets, theirs.offsets)
    assert extract(tmp_path, corpus, path, levels=["frames", "utterance"]).encoded == 0
    assert seen(lab) == before


def test_changed_audio_is_encoded_into_ones_own_cache(tmp_path: Path, lab: Path, corpus: Corpus) -> None:
    extract(tmp_path, corpus, str(lab), layers="1")
    before = seen(lab)
    soundfile.write(corpus.audio_root / "u2.wav", small_corpus.wave(77, 0.7), 16_000, subtype="FLOAT")
    path = f"{lab}:{tmp_path}/mine"
    assert extract(tmp_path, corpus, path, layers="1").encoded == 1
    found = open_cache(path).features("tiny", "h")
    old = open_cache(lab).features("tiny", "h")
    assert found.read("u2").shape[1] < old.read("u2").shape[1]
    assert np.array_equal(found.read("u3"), old.read("u3"))
    assert seen(lab) == before


def test_another_model_under_a_name_of_the_labs_is_refused(tmp_path: Path, lab: Path, corpus: Corpus) -> None:
    extract(tmp_path, corpus, str(lab), layers="1")
    with pytest.raises(KeyMismatch, match=r"tiny/h in .*lab.* was made with other dtype .* another --name"):
        extract(tmp_path, corpus, f"{lab}:{tmp_path}/mine", layers="1", dtype="fp32")
    assert not (tmp_path / "mine").exists()


def test_pooled_levels_of_the_labs_frames_go_into_ones_own_cache(tmp_path: Path, lab: Path, corpus: Corpus) -> None:
    extract(tmp_path, corpus, str(lab), layers="0,1")
    before = seen(lab)
    cache = open_cache(f"{lab}:{tmp_path}/mine")
    done = pool(cache.features("tiny", "h"), tmp_path / "data", levels=["utterance"], layers="1", cache=cache)
    assert done.utterances == 6
    assert done.features.levels == ("frames", "utterance")
    assert Cache(tmp_path / "mine").features("tiny", "h").levels == ("utterance",)
    whole = extract(tmp_path, corpus, str(tmp_path / "whole"), layers="1", levels=["utterance"]).features
    assert np.array_equal(done.features.load("utterance", ids=whole.ids).values, whole.load("utterance").values)
    assert pool(done.features, tmp_path / "data", levels=["utterance"], layers="1", cache=cache).utterances == 0
    assert seen(lab) == before


@pytest.fixture
def both(tmp_path: Path, lab: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A lab that holds half of the layers and a set of its own, and the rest in one's own cache; the path names both."""
    made = small_corpus.make(tmp_path, (0.1,) * 16, name="corpus")
    spread = tuple(replace(one, emotion=("sad", "hap")[i // 2 % 2], speaker=f"s{i % 8}") for i, one in enumerate(made.utterances))
    data = toy([9] * 16)
    write(lab, data, {"frames": [0]})
    write(lab, data, name="theirs")
    manifest.save(replace(made, utterances=spread), lab)
    write(tmp_path / "mine", data, {"frames": [1]})
    lock_up(lab)
    monkeypatch.setenv("EMOCACHE_PATH", f"{lab}:{tmp_path}/mine")
    return shell


def test_commands_show_where_features_lie_and_read_them_as_one(both: Shell, tmp_path: Path, lab: Path) -> None:
    before = seen(lab)
    assert both.run("ls") == 0
    assert f"cache {lab}\ncache {tmp_path / 'mine'}\n" in both.out
    rows = {line.split()[0]: line.split() for line in both.out.splitlines()}
    assert rows["corpus/toy"][1:4] == ["16/16", "frames", "0-1"]
    assert rows["corpus/toy"][-2:] == [f"{lab},", str(tmp_path / "mine")]
    assert rows["corpus/theirs"][-1] == str(lab)
    assert both.run("info corpus/toy --json") == 0
    assert json.loads(both.out)["path"] == f"{lab}/corpus/toy, {tmp_path}/mine/corpus/toy"
    assert both.run("verify --json") == 0
    verified = json.loads(both.out)["features"]
    assert sorted(one["path"] for one in verified) == [f"{lab}/corpus/theirs", f"{lab}/corpus/toy", f"{tmp_path}/mine/corpus/toy"]
    assert both.run("verify corpus/theirs") == 0
    assert both.out.splitlines()[0] == f"cache {lab}"
    assert both.run("du") == 0
    assert both.run("train linear --encoders toy --corpus corpus --protocol loso --data none --set epochs=1 --quiet --json") == 0
    assert (
        both.run("train linear --encoders toy --corpus corpus --protocol loso --data none --set epochs=1 --quiet --jobs 2 --seeds 1") == 0
    )
    assert both.run("export corpus/toy out.npz") == 0
    assert seen(lab) == before


def test_one_cache_alone_can_be_named(both: Shell, lab: Path) -> None:
    assert both.run(f"ls --json --cache {lab}") == 0
    assert {one["features"]: one["layers"] for one in json.loads(both.out)} == {"corpus/toy": "0", "corpus/theirs": "0-1"}


def test_what_lies_in_the_lab_alone_is_not_removed_or_tidied(both: Shell, lab: Path) -> None:
    before = seen(lab)
    for command in ("rm corpus/theirs --yes", "gc corpus/theirs", "repair corpus/theirs", "migrate corpus/theirs"):
        assert both.run(command) == 2, command
        assert "holds no 'corpus/theirs'" in both.err
    assert both.run("gc --compact") == 0
    assert both.run("rm corpus --yes") == 0
    assert seen(lab) == before


def test_a_folder_that_is_its_groups_stays_so(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mode, files, folders in ((0o2775, 0o664, 0o2775), (0o2755, 0o644, 0o2755), (0o775, 0o644, 0o755)):
            parent = tmp_path / oct(mode)
            parent.mkdir()
            parent.chmod(mode)
            write(parent / "cache", toy([3, 4]), BOTH)
            made = [(path, stat.S_IMODE(path.stat().st_mode)) for path in (parent / "cache", *(parent / "cache").rglob("*"))]
            assert {found for path, found in made if path.is_file()} == {files}
            assert {found for path, found in made if path.is_dir()} == {folders}
            os.umask(0o022)
    finally:
        os.umask(before)


def test_the_umask_is_as_it_was_once_a_writer_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    before = os.umask(0o022)
    try:
        with FeatureWriter(tmp_path / "cache", "corpus", "toy", CARD):
            assert os.umask(0o002) == 0o002
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
