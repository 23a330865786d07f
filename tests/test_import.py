"""Import: what other tools left in files is matched to the corpus, checked, keyed by its rows, and can be trained on."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import zarr

from emocache import manifest
from emocache.errors import SourceError
from emocache.exchange import imports
from emocache.exchange.foreign import Said
from emocache.store import open_cache
from emocache.store.card import read_card
from emocache.store.layout import LEVELS, UNIT_ROWS, UNIT_UTTERANCES
from tests import small_corpus
from tests.shell import Shell
from tests.toy_store import CARD, tree

IDS = tuple(f"u{i}" for i in range(24))
DIM = 6
Arrays = dict[str, np.ndarray]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A prepared corpus `mine` of 24 utterances: three sessions, six speakers, two emotions."""
    corpus = small_corpus.make(tmp_path, (0.1,) * len(IDS), name="mine")
    people = [
        replace(u, emotion=("sad", "hap")[i // 6 % 2], speaker=f"p{i % 6}", session=str(1 + i % 3)) for i, u in enumerate(corpus.utterances)
    ]
    manifest.save(replace(corpus, utterances=tuple(people)), tmp_path / "data")
    return tmp_path / "data"


def arrays(shape: Callable[[int], tuple[int, ...]], dtype: str = "f4", ids: tuple[str, ...] = IDS) -> Arrays:
    """Id -> noise of a shape that depends on the utterance's number."""
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape(i)).astype(dtype) for i, name in enumerate(ids)}


def frames(ids: tuple[str, ...] = IDS) -> Arrays:
    """[time, dim], ragged."""
    return arrays(lambda i: (3 + i % 5, DIM), ids=ids)


def save(folder: Path, data: Arrays, name: str = "{}.npy") -> Path:
    """A .npy file an utterance."""
    for utterance, values in data.items():
        path = folder / name.format(utterance)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    return folder


def save_flat(base: Path, data: Arrays, ids: str = ".emo") -> Path:
    """X.npy, X.lengths and a list of ids, as emotion2vec's scripts write them."""
    base.parent.mkdir(parents=True, exist_ok=True)
    np.save(base.with_name(f"{base.name}.npy"), np.concatenate(list(data.values())))
    base.with_name(f"{base.name}.lengths").write_text("".join(f"{len(values)}\n" for values in data.values()))
    lines = {".emo": "{}\tneu", ".ids": "{}", ".tsv": "wavs/{}.wav\t16000"}[ids]
    head = "/somewhere/audio\n" if ids == ".tsv" else ""
    base.with_name(base.name + ids).write_text(head + "".join(lines.format(name) + "\n" for name in data))
    return base


def check(cache: Path, name: str, data: Arrays, *, level: str, layers: tuple[int, ...] = (0,)) -> None:
    """What is in the cache is what was in the files."""
    features = open_cache(cache).features("mine", name)
    assert (set(features.ids), features.native, features.layers) == (set(data), level, layers)
    for utterance, values in data.items():
        read = features.read(utterance)
        assert read.dtype == values.dtype
        np.testing.assert_array_equal(read, values.reshape(len(layers), -1, values.shape[-1]))


@pytest.mark.parametrize(
    ("shape", "dtype", "level", "layers"),
    [
        (lambda _: (DIM,), "f4", "utterance", (0,)),
        (lambda i: (3 + i, DIM), "f2", "frames", (0,)),
        (lambda i: (3, 2 + i, DIM), "f4", "frames", (0, 1, 2)),
    ],
)
@pytest.mark.usefixtures("mine")
def test_one_npy_an_utterance_is_read_back_as_it_was(
    tmp_path: Path, shell: Shell, shape: Callable[[int], tuple[int, ...]], dtype: str, level: str, layers: tuple[int, ...]
) -> None:
    data = arrays(shape, dtype)
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs") == 0
    assert "mine/theirs: 24 utterances imported now, 24 in the cache" in shell.out
    check(tmp_path / "cache", "theirs", data, level=level, layers=layers)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.usefixtures("mine")
def test_every_level_is_imported_and_cut_by_the_rows_that_an_utterance_has(tmp_path: Path, shell: Shell, level: str) -> None:
    one_row = level in {"sentence", "utterance"}
    data = arrays(lambda i: (1 if one_row else 2 + i, DIM))
    save(tmp_path / "feats", data)
    assert shell.run(f"import npy feats --corpus mine --name theirs --level {level}") == 0
    check(tmp_path / "cache", "theirs", data, level=level)
    features = open_cache(tmp_path / "cache").features("mine", "theirs")
    array = zarr.open_array(features.paths.array(level, "0"), mode="r")
    assert array.shards == (UNIT_UTTERANCES if one_row else UNIT_ROWS, DIM)


@pytest.mark.usefixtures("mine")
def test_one_row_without_a_time_axis_is_a_sentence_too(tmp_path: Path, shell: Shell) -> None:
    data = arrays(lambda _: (DIM,))
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs --level sentence") == 0
    check(tmp_path / "cache", "theirs", data, level="sentence")


@pytest.mark.parametrize("name", ["{}.mp3.npy", "Session1/wav/{}.npy", "deep/er/{}.WAV.npy"])
@pytest.mark.usefixtures("mine")
def test_folders_and_suffixes_of_the_recording_do_not_hide_an_id(tmp_path: Path, shell: Shell, name: str) -> None:
    data = frames()
    save(tmp_path / "feats", data, name)
    save(tmp_path / "feats", {"._u1": data["u1"]})  # what a Mac leaves beside
    assert shell.run("import npy feats --corpus mine --name theirs") == 0
    check(tmp_path / "cache", "theirs", data, level="frames")


@pytest.mark.usefixtures("mine")
def test_layers_keep_the_numbers_that_they_are_given(tmp_path: Path, shell: Shell) -> None:
    data = arrays(lambda i: (3, 2 + i, DIM))
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs --layers 6,11-12 --hop 320 --encoder hubert-large") == 0
    check(tmp_path / "cache", "theirs", data, level="frames", layers=(6, 11, 12))
    card = open_cache(tmp_path / "cache").features("mine", "theirs").card
    assert (card.hop, card.encoder, card.layers) == (320, "hubert-large", (6, 11, 12))
    assert shell.run("import npy feats --corpus mine --name again --layers 6,12") == 2
    assert "--layers 6,12: are 2, and the arrays hold 3" in shell.err


@pytest.mark.parametrize("name", ["{}", "train/{}", "a/b/{}.wav"])
@pytest.mark.usefixtures("mine")
def test_one_hdf5_dataset_an_utterance_is_read_from_any_group(tmp_path: Path, shell: Shell, name: str) -> None:
    data = frames()
    with h5py.File(tmp_path / "feats.h5", "w") as file:
        for utterance, values in data.items():
            file[name.format(utterance)] = values
    assert shell.run("import h5 feats.h5 --corpus mine --name theirs") == 0
    check(tmp_path / "cache", "theirs", data, level="frames")


@pytest.mark.parametrize("ids", [".ids", ".emo", ".tsv"])
@pytest.mark.parametrize("source", ["feats/all", "feats/all.npy", "feats"])
@pytest.mark.usefixtures("mine")
def test_flat_arrays_are_cut_by_their_lengths(tmp_path: Path, shell: Shell, ids: str, source: str) -> None:
    data = frames()
    save_flat(tmp_path / "feats/all", data, ids)
    assert shell.run(f"import flat {source} --corpus mine --name theirs") == 0
    check(tmp_path / "cache", "theirs", data, level="frames")


@pytest.mark.usefixtures("mine")
def test_flat_arrays_of_several_splits_are_imported_together_and_ids_can_come_from_elsewhere(tmp_path: Path, shell: Shell) -> None:
    data = frames()
    save_flat(tmp_path / "feats/train.large", {name: data[name] for name in IDS[:20]})
    save_flat(tmp_path / "feats/test.large", {name: data[name] for name in IDS[20:]})
    assert shell.run("import flat feats --corpus mine --name theirs") == 0
    check(tmp_path / "cache", "theirs", data, level="frames")
    save_flat(tmp_path / "other/all", data).with_name("all.emo").rename(tmp_path / "list.txt")
    assert shell.run("import flat other/all --corpus mine --name listed") == 2
    assert "give the ids with --ids FILE" in shell.err
    assert shell.run("import flat other/all --corpus mine --name listed --ids list.txt") == 0
    check(tmp_path / "cache", "listed", data, level="frames")
    assert shell.run("import flat feats --corpus mine --name listed --ids list.txt") == 2


@pytest.mark.usefixtures("mine")
def test_what_was_exported_comes_back_the_same(tmp_path: Path, shell: Shell) -> None:
    data = arrays(lambda i: (2, 2 + i, DIM), "f2")
    save(tmp_path / "feats", data)
    shell.run("import npy feats --corpus mine --name theirs --layers 6,12 --hop 320 --encoder hubert-large --modality text")
    assert shell.run("export mine/theirs theirs.h5") == 0
    assert shell.run("import h5 theirs.h5 --corpus mine --name back") == 0
    check(tmp_path / "cache", "back", data, level="frames", layers=(6, 12))
    card = open_cache(tmp_path / "cache").features("mine", "back").card
    assert (card.hop, card.encoder, card.modality, card.key.dtype) == (320, "hubert-large", "text", "fp16")
    assert shell.run("import h5 theirs.h5 --corpus mine --name back --layers 0,1") == 2
    assert "the file itself says that its layers are 6,12" in shell.err
    assert shell.run("import h5 theirs.h5 --corpus mine --name back --level word") == 2
    assert "has no level word; there are: frames" in shell.err


@pytest.mark.parametrize("damage", ["offsets", "layers", "card", "ids"])
@pytest.mark.usefixtures("mine")
def test_a_damaged_export_is_one_clear_line(tmp_path: Path, shell: Shell, damage: str) -> None:
    save(tmp_path / "feats", frames())
    shell.run("import npy feats --corpus mine --name theirs")
    shell.run("export mine/theirs theirs.h5")
    with h5py.File(tmp_path / "theirs.h5", "r+") as file:
        if damage == "card":
            file.attrs["card"] = "{"
        elif damage == "layers":
            file["frames/layers"][0] = 9
        elif damage == "offsets":
            file["frames/offsets"][3] = 1
        else:
            del file["frames/ids"]
    assert shell.run("import h5 theirs.h5 --corpus mine --name back") == 2
    assert "theirs.h5: " in shell.err
    assert "export it again" in shell.err
    assert len(shell.err.strip().splitlines()) == 1


@pytest.mark.usefixtures("mine")
def test_the_card_says_where_features_are_from_and_names_no_folder_of_the_machine(tmp_path: Path, shell: Shell) -> None:
    save(tmp_path / "far/away/feats", frames())
    shell.run("import npy far/away/feats --corpus mine --name theirs")
    path = tmp_path / "cache/mine/theirs/card.json"
    card = read_card(path)
    assert (card.origin, card.encoder, card.digests, card.key.precision) == ("npy feats", "imported", "imported", "imported, not known")
    assert card.revision in card.key.weights
    assert "away" not in path.read_text()
    assert shell.run("info mine/theirs") == 0
    assert "digests   of the imported rows" in shell.out


def test_a_card_of_an_older_release_has_digests_of_its_modality(tmp_path: Path) -> None:
    from emocache.store.card import to_text

    for modality in ("audio", "text"):
        values = json.loads(to_text(replace(CARD, modality=modality)))
        del values["digests"], values["seal"]
        (tmp_path / "card.json").write_text(json.dumps(values))
        assert read_card(tmp_path / "card.json").digests == modality


def test_a_head_is_trained_on_imported_features_and_changed_audio_does_not_matter(tmp_path: Path, shell: Shell, mine: Path) -> None:
    data = frames()
    save(tmp_path / "feats", data)
    shell.run("import npy feats --corpus mine --name theirs")
    corpus = manifest.load(mine, "mine")
    known = replace(corpus, utterances=tuple(replace(u, audio_sha256="ab" * 32) for u in corpus.utterances))
    open_cache(tmp_path / "cache").features("mine", "theirs").check(known.utterances)
    soundfile.write(corpus.audio_root / "u3.wav", small_corpus.wave(99, 0.3), 16_000, subtype="FLOAT")
    assert shell.run("train linear --encoders theirs --protocol loso --device cpu --set epochs=2 --json") == 0
    result = json.loads(shell.out)
    assert 0 <= result["ua"]["mean"] <= 1
    assert any("theirs was imported" in note for note in result["notes"])


@pytest.mark.usefixtures("mine")
def test_the_same_files_again_import_nothing(tmp_path: Path, shell: Shell) -> None:
    save(tmp_path / "feats", frames())
    shell.run("import npy feats --corpus mine --name theirs")
    before = tree(tmp_path / "cache")
    assert shell.run("import npy feats --corpus mine --name theirs --json") == 0
    assert json.loads(shell.out)["imported"] == 0
    assert tree(tmp_path / "cache") == before


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ("", "weights"),
        ("--encoder wavlm", "configuration"),
        ("--modality text", "preprocessing"),
        ("--layers 3", "layer_rule"),
        ("--hop 160", "level frames"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_other_files_or_another_account_of_them_are_other_features(tmp_path: Path, shell: Shell, options: str, field: str) -> None:
    save(tmp_path / "feats", frames())
    shell.run("import npy feats --corpus mine --name theirs")
    before = tree(tmp_path / "cache")
    if not options:
        save(tmp_path / "feats", {"u7": frames()["u7"] + 1})
    assert shell.run(f"import npy feats --corpus mine --name theirs {options}") == 2
    assert f"mine/theirs was made with other {field} (" in shell.err
    assert "--name OTHER_NAME" in shell.err
    assert tree(tmp_path / "cache") == before


SLOW = """
import sys, time
from pathlib import Path
from emocache.exchange import imports
read = imports._read_again
def slow(*arguments):
    time.sleep(0.05)
    return read(*arguments)
imports._read_again = slow
from emocache.cli import main
main(["import", "npy", "feats", "--corpus", "mine", "--name", "theirs", "--cache", "killed"])
"""


@pytest.mark.usefixtures("mine")
def test_a_killed_import_is_completed_by_the_next_and_equals_an_undisturbed_one(tmp_path: Path, shell: Shell) -> None:
    data = frames()
    save(tmp_path / "feats", data)
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen([sys.executable, "-c", SLOW], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("killed/mine/theirs/commits/*/[0-9]*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    held = open_cache(tmp_path / "killed").features("mine", "theirs").ids
    assert 0 < len(held) < len(IDS)
    assert shell.run("import npy feats --corpus mine --name theirs --cache killed --json") == 0
    assert json.loads(shell.out)["imported"] == len(IDS) - len(held)
    check(tmp_path / "killed", "theirs", data, level="frames")
    shell.run("import npy feats --corpus mine --name theirs --cache whole")
    assert tree(tmp_path / "killed/mine/theirs") == tree(tmp_path / "whole/mine/theirs")


@pytest.mark.usefixtures("mine")
def test_what_has_no_counterpart_is_an_error_unless_it_is_allowed_and_then_it_is_listed(tmp_path: Path, shell: Shell) -> None:
    data = frames((*IDS[:20], "x1", "x2"))
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs") == 2
    assert (
        "2 of 22 arrays match no utterance of mine (first x1, x2), and 4 utterances of mine have no array (first u20, u21, u22)"
        in shell.err
    )
    assert not (tmp_path / "cache").exists()
    assert shell.run("import npy feats --corpus mine --name theirs --allow-missing --json") == 0
    result = json.loads(shell.out)
    assert (result["imported"], result["unknown"], result["missing"]) == (20, ["x1", "x2"], list(IDS[20:]))
    assert shell.run("import npy feats --corpus mine --name theirs --allow-missing") == 0
    assert "not in the corpus: 2\n  x1\n  x2\nwithout features: 4\n  u20" in shell.err


@pytest.mark.usefixtures("mine")
def test_nothing_that_matches_is_an_error_even_when_missing_is_allowed(tmp_path: Path, shell: Shell) -> None:
    save(tmp_path / "feats", frames(("x1", "x2")))
    assert shell.run("import npy feats --corpus mine --name theirs --allow-missing") == 2
    assert "2 of 2 arrays match no utterance of mine" in shell.err


@pytest.mark.usefixtures("mine")
def test_two_files_of_one_utterance_are_not_chosen_between(tmp_path: Path, shell: Shell) -> None:
    save(tmp_path / "feats", frames())
    save(tmp_path / "feats/other", {"u3": frames()["u3"]})
    assert shell.run("import npy feats --corpus mine --name theirs") == 2
    assert "both match utterance 'u3'" in shell.err
    assert "feats/other/u3.npy" in shell.err


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.usefixtures("mine")
def test_values_that_cannot_be_stored_are_a_named_failure(tmp_path: Path, shell: Shell, value: float) -> None:
    data = {name: values.astype(np.float64) for name, values in frames().items()}
    data["u4"][1, 2] = value
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs") == 1
    assert "not imported: 1\n  u4: holds values that are not finite" in shell.err
    assert set(open_cache(tmp_path / "cache").features("mine", "theirs").ids) == set(IDS) - {"u4"}


@pytest.mark.usefixtures("mine")
def test_types_decide_what_is_stored_unless_told(tmp_path: Path, shell: Shell) -> None:
    for given, option, stored in (
        ("f2", "", "fp16"),
        ("f4", "", "fp32"),
        ("f8", "", "fp32"),
        (">f4", "", "fp32"),
        ("f4", "--dtype fp16", "fp16"),
    ):
        name = f"{given.strip('>')}-{stored}-{len(given)}"
        data = {utterance: values.astype(given) for utterance, values in frames().items()}
        save(tmp_path / name, data)
        assert shell.run(f"import npy {name} --corpus mine --name {name} {option}") == 0
        features = open_cache(tmp_path / "cache").features("mine", name)
        assert features.card.key.dtype == stored
        np.testing.assert_array_equal(features.read("u1")[0], data["u1"].astype("f2" if stored == "fp16" else "f4"))


@pytest.mark.usefixtures("mine")
def test_fortran_order_is_read_right(tmp_path: Path, shell: Shell) -> None:
    data = {name: np.asfortranarray(values) for name, values in frames().items()}
    save(tmp_path / "feats", data)
    assert shell.run("import npy feats --corpus mine --name theirs") == 0
    check(tmp_path / "cache", "theirs", data, level="frames")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another width": (lambda path: np.save(path, np.zeros((4, DIM + 1), "f4")), "is [time, 7], but"),
    "another number of axes": (lambda path: np.save(path, np.zeros((2, 4, DIM), "f4")), "is [2, time, 6], but"),
    "too many axes": (lambda path: np.save(path, np.zeros((1, 2, 4, DIM), "f4")), "expected [dim], [time, dim] or [layers, time, dim]"),
    "no axis": (lambda path: np.save(path, np.float32(3)), "expected [dim], [time, dim] or [layers, time, dim]"),
    "whole numbers": (lambda path: np.save(path, np.zeros((4, DIM), "i2")), "holds int16, expected floating-point numbers"),
    "complex numbers": (lambda path: np.save(path, np.zeros((4, DIM), "c8")), "holds complex64"),
    "objects": (_pickled, "Python objects"),
    "no rows": (lambda path: np.save(path, np.zeros((0, DIM), "f4")), "is empty, its shape is (0, 6)"),
    "cut short": (_truncated, "is no whole .npy file of numbers"),
    "nothing": (lambda path: path.write_bytes(b""), "is no whole .npy file of numbers"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "is no whole .npy file of numbers"),
    "a damaged header": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"'shape'", b"(((((((")),
        "is no whole .npy file of numbers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("mine")
def test_a_file_that_does_not_fit_is_named_and_nothing_is_written(tmp_path: Path, shell: Shell, fault: str) -> None:
    save(tmp_path / "feats", frames())
    make, message = FAULTS[fault]
    make(tmp_path / "feats/u5.npy")
    assert shell.run("import npy feats --corpus mine --name theirs") == 2
    assert "feats/u5.npy: " in shell.err
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("mine")
def test_different_numbers_of_layers_are_refused(tmp_path: Path, shell: Shell) -> None:
    save(tmp_path / "feats", arrays(lambda i: (4 if i == 9 else 3, 5, DIM)))
    assert shell.run("import npy feats --corpus mine --name theirs") == 2
    assert "feats/u9.npy: is [4, time, 6], but feats/u0.npy is [3, time, 6]; all must be alike but for time" in shell.err


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".lengths", "3\n4\n", "all.lengths: sums to 7, but all.npy has"),
        (".lengths", "x\n", "all.lengths:1: is 'x', expected a number of rows"),
        (".lengths", "0\n", "all.lengths:1: is '0', expected a number of rows, at least 1"),
        (".lengths", None, "all.lengths: no such file"),
        (".emo", "u0\tneu\n", "all.emo: lists 1 utterances, there are lengths of 24"),
        (".emo", "u0\tneu\n" * 24, "both match utterance 'u0'"),
        (".npy", None, "all.npy: cannot be read (No such file or directory)"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_lists_that_do_not_fit_a_flat_array_are_named(tmp_path: Path, shell: Shell, suffix: str, text: str | None, message: str) -> None:
    save_flat(tmp_path / "feats/all", frames())
    path = tmp_path / f"feats/all{suffix}"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert shell.run("import flat feats/all --corpus mine --name theirs") == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("mine")
def test_hdf5_files_that_cannot_be_used_are_one_clear_line(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with h5py.File(tmp_path / "words.h5", "w") as file:
        for name in IDS:
            file[name] = "words"
    (tmp_path / "passwd").write_bytes(bytes(4 * DIM * 4))
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        for name in IDS:
            file.create_dataset(name, (4, DIM), "f4", external=[(str(tmp_path / "passwd"), 0, 4 * DIM * 4)])
    for source, message in [
        ("missing.h5", "missing.h5: no such file"),
        ("text.h5", "text.h5: is no whole HDF5 file"),
        ("empty.h5", "empty.h5: holds no dataset"),
        ("words.h5", "words.h5: u0: holds |S5, expected floating-point numbers"),
        ("elsewhere.h5", "elsewhere.h5: u0 refers to another place"),
    ]:
        assert shell.run(f"import h5 {source} --corpus mine --name theirs") == 2
        assert message in shell.err
        assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("pt feats --corpus mine --name a", "format 'pt': expected one of npy, h5, flat"),
        ("npy nowhere --corpus mine --name a", "nowhere: is no folder"),
        ("npy data --corpus mine --name a", "data: holds no .npy file"),
        ("npy feats --corpus other --name a", "no corpus 'other' in data (prepared there: mine)"),
        ("npy feats --corpus mine --name ../a", "cannot be a folder's name"),
        ("npy feats --corpus mine --name corpus.json", "is the name of a file beside the features"),
        (
            "npy feats --corpus mine --name a --level letter",
            "--level 'letter': expected one of frames, tokens, word, phone, syllable, sentence",
        ),
        ("npy feats --corpus mine --name a --level utterance", "has 3 rows, and level utterance takes one"),
        ("npy feats --corpus mine --name a --level sentence", "has 3 rows, and level sentence takes one"),
        ("npy feats --corpus mine --name a --layers 3-1", "--layers '3-1'"),
        ("npy feats --corpus mine --name a --layers 0-999999999999", "each below 10000"),
        ("npy feats --corpus mine --name a --layers last", "--layers 'last'"),
        ("npy feats --corpus mine --name a --level word --hop 320", "--hop goes with frames"),
        ("npy feats --corpus mine --name a --hop -1", "--hop -1"),
        ("npy feats --corpus mine --name a --modality video", "--modality 'video'"),
        ("npy feats --corpus mine --name a --dtype int8", "--dtype 'int8'"),
        ("npy feats --corpus mine --name a --layers 0-x", "--layers '0-x'"),
        ("npy feats --corpus mine --name a --layers 3,1", "--layers '3,1'"),
        ("npy feats --corpus mine --name a --ids list.txt", "--ids goes with flat"),
        ("npy single --corpus mine --name a --level frames", "one row for the utterance; import as --level utterance"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_what_cannot_be_imported_is_one_line_and_exit_code_2(tmp_path: Path, shell: Shell, options: str, message: str) -> None:
    save(tmp_path / "feats", frames())
    save(tmp_path / "single", arrays(lambda _: (DIM,)))
    assert shell.run(f"import {options}") == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()


def test_without_a_prepared_corpus_the_copy_in_the_cache_serves(tmp_path: Path, shell: Shell, mine: Path) -> None:
    save(tmp_path / "feats", frames())
    shell.run("import npy feats --corpus mine --name theirs")
    mine.rename(tmp_path / "elsewhere")
    assert shell.run("import npy feats --corpus mine --name again") == 0
    assert len(open_cache(tmp_path / "cache").features("mine", "again").ids) == len(IDS)


def test_a_file_that_changes_during_the_import_stops_it(tmp_path: Path, mine: Path) -> None:
    save(tmp_path / "feats", frames())
    intake = imports.look("npy", tmp_path / "feats", Said(), corpus="mine", name="theirs", data=mine, cache=tmp_path / "cache")
    save(tmp_path / "feats", {"u3": frames()["u3"] + 1})
    with pytest.raises(SourceError, match=r"u3\.npy: changed while it was being imported"):
        imports.write(intake)
    assert "u3" not in open_cache(tmp_path / "cache").features("mine", "theirs").ids


def test_an_import_that_would_not_fit_the_disk_is_refused_before_it_is_begun(
    tmp_path: Path, shell: Shell, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "feats", frames())
    monkeypatch.setattr(imports, "free_bytes", lambda _: 1000)
    assert shell.run(f"import npy feats --corpus mine --name theirs --data {mine}") == 2
    assert "would not fit the 1e-06 GB free" in shell.err
    assert not (tmp_path / "cache").exists()
