"""Export: three kinds of file with the same arrays, exactly as stored, whole or not there at all, and nothing left out quietly."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from emocache import manifest
from emocache.errors import CacheError, UsageError
from emocache.exchange import export as exporting
from emocache.exchange.export import export, select
from emocache.store import open_cache
from emocache.store.reader import Features
from emocache.types import Corpus, Utterance
from tests.shell import Shell
from tests.toy_store import CARD, ROWS, items, toy, write

FORMS = ("h5", "npz", "zip")
Get = Callable[[str], np.ndarray]


@contextmanager
def opened(path: Path) -> Iterator[Get]:
    """Read arrays by name, with nothing but the library of the format."""
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            yield lambda name: file[name].asstr()[()] if name.endswith("ids") else file[name][()]
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            yield lambda name: arrays[name]
    else:
        with zarr.storage.ZipStore(path, mode="r") as store:
            group = zarr.open_group(store, mode="r")
            yield lambda name: np.asarray(group[name][...])  # type: ignore[index]


def rows_by_id(path: Path, level: str, layer: int) -> dict[str, np.ndarray]:
    """Id -> [rows, dim]."""
    with opened(path) as get:
        offsets, values = get(f"{level}/offsets"), get(f"{level}/{layer}")
        return {str(name): values[offsets[i] : offsets[i + 1]] for i, name in enumerate(get(f"{level}/ids"))}


def about(path: Path) -> dict[str, Any]:
    """What the file says of itself."""
    if path.suffix == ".npz":
        return dict(json.loads(np.load(path)["about"].item()))
    if path.suffix == ".zip":
        with zarr.storage.ZipStore(path, mode="r") as store:
            return dict(zarr.open_group(store, mode="r").attrs)
    with h5py.File(path, "r") as file:
        return {name: json.loads(value) if value.startswith("{") else value for name, value in file.attrs.items()}


def toy_features(root: Path) -> Features:
    return open_cache(root).features("corpus", "toy")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compress", [False, True])
def test_what_is_exported_is_read_back_exactly_in_the_type_it_is_stored_in(tmp_path: Path, form: str, compress: bool) -> None:
    data = toy([3, 70, 3 * ROWS + 7, 1, 40])
    data["u1"][1, 60, 3] = 1e6  # more than float16 holds
    write(tmp_path / "cache", data, {"frames": [0, 1], "utterance": [1]})
    path = tmp_path / f"toy.{form}"
    assert export(select(toy_features(tmp_path / "cache")), path, form, compress=compress) == path.stat().st_size
    for layer, dtype in ((0, np.float16), (1, np.float32)):
        found = rows_by_id(path, "frames", layer)
        assert set(found) == set(data)
        for name, rows in found.items():
            assert rows.dtype == dtype
            np.testing.assert_array_equal(rows, data[name][layer])
    stored = toy_features(tmp_path / "cache")
    for name, rows in rows_by_id(path, "utterance", 1).items():
        np.testing.assert_array_equal(rows, stored.read(name, "utterance")[0])
    with opened(path) as get:
        assert get("frames/layers").tolist() == [0, 1]
        assert get("frames/offsets").dtype == np.int64


@pytest.mark.parametrize("form", FORMS)
def test_a_file_says_how_its_features_were_made_and_what_it_lacks(tmp_path: Path, form: str) -> None:
    write(tmp_path / "cache", toy(), fail="u3")
    features = toy_features(tmp_path / "cache")
    export(select(features), tmp_path / f"toy.{form}", form)
    said = about(tmp_path / f"toy.{form}")
    assert (said["features"], said["digest"], said["lacking"]) == ("corpus/toy", features.digest, {"u3": "made to fail"})
    assert said["card"]["key"]["weights"] == "w"


def test_a_zip_holds_raw_chunks_uncompressed_and_the_card_as_a_file(tmp_path: Path) -> None:
    data = toy([2500])
    write(tmp_path / "cache", data)
    export(select(toy_features(tmp_path / "cache")), tmp_path / "toy.zip", "zip")
    with zipfile.ZipFile(tmp_path / "toy.zip") as archive:
        assert json.loads(archive.read("card.json"))["encoder"] == "toy"
        assert archive.read("frames/1/c/1/0") == data["u0"][1, 1024:2048].astype("<f2").tobytes()
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len(set(archive.namelist())) == len(archive.namelist())


def test_text_columns_come_along_row_by_row(tmp_path: Path) -> None:
    data = toy()
    columns = {name: {"frames": {"word": np.arange(values.shape[1], dtype=np.int32) - 1}} for name, values in data.items()}
    write(tmp_path / "cache", data, todo=[replace(item, columns=columns[item.id]) for item in items(data)])
    for form in FORMS:
        export(select(toy_features(tmp_path / "cache")), tmp_path / f"toy.{form}", form)
        with opened(tmp_path / f"toy.{form}") as get:
            word, offsets = get("frames/column.word"), get("frames/offsets")
            for i, name in enumerate(get("frames/ids")):
                np.testing.assert_array_equal(word[offsets[i] : offsets[i + 1]], columns[str(name)]["frames"]["word"])


def test_layers_levels_and_utterances_can_be_chosen_and_ids_keep_their_order(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path / "cache", data, {"frames": [0, 1], "utterance": [0, 1]})
    chosen = select(toy_features(tmp_path / "cache"), levels=["frames"], layers="1", ids=["u5", "u0", "u2"])
    export(chosen, tmp_path / "toy.h5", "h5")
    assert list(rows_by_id(tmp_path / "toy.h5", "frames", 1)) == ["u5", "u0", "u2"]
    with h5py.File(tmp_path / "toy.h5", "r") as file:
        assert (set(file), "0" in file["frames"]) == ({"frames"}, False)


def test_hdf5_is_chunked_and_compressed_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "cache", toy())
    for compress, filters in ((False, (None, False)), (True, ("gzip", True))):
        export(select(toy_features(tmp_path / "cache")), tmp_path / "toy.h5", "h5", compress=compress, overwrite=True)
        with h5py.File(tmp_path / "toy.h5", "r") as file:
            layer = file["frames/1"]
            assert (layer.compression, layer.shuffle) == filters
            assert layer.chunks == (256, 8)


def test_utterances_that_are_not_there_are_named_with_the_reason(tmp_path: Path) -> None:
    data = toy()
    write(tmp_path / "cache", data, fail="u3")
    next((tmp_path / "cache").glob("corpus/toy/commits/*/1.json")).unlink()  # as if its unit had never been finished
    people = (*data, "never-planned")
    corpus = Corpus(
        name="corpus", reader="csv", scheme="as-is", audio_root=tmp_path, utterances=tuple(Utterance(id=name, path=name) for name in people)
    )
    manifest.save(corpus, tmp_path / "cache")
    chosen = select(toy_features(tmp_path / "cache"))
    held = set(chosen.levels[0].ids)
    assert held == {"u2", "u6", "u0", "u4"}
    assert chosen.lacking == dict.fromkeys(set(data) - held, "its frames are not extracted yet") | {
        "never-planned": "not in the feature set"
    }
    asked = select(toy_features(tmp_path / "cache"), ids=["u0", "u99"])
    assert asked.lacking == {"u99": "not in the feature set"}


@pytest.mark.parametrize(("whole", "partial"), [(0, 1), (1, 0)])
def test_a_layer_that_only_some_utterances_have_is_exported_for_these_and_the_others_are_named(
    tmp_path: Path, whole: int, partial: int
) -> None:
    data = toy()
    write(tmp_path / "cache", data, {"frames": [whole]})
    write(tmp_path / "cache", data, {"frames": [partial]})
    for path in (tmp_path / "cache").glob("corpus/toy/commits/*/0.json"):
        if f"frames/{partial}" in json.loads(path.read_text())["arrays"]:
            path.unlink()
    features = toy_features(tmp_path / "cache")
    assert len(select(features, layers=str(whole)).levels[0].ids) == len(data)
    both, some = select(features), select(features, layers=str(partial))
    assert both.levels[0].ids == some.levels[0].ids
    assert set(both.lacking) == set(data) - set(some.levels[0].ids) != set()
    export(some, tmp_path / "toy.npz", "npz")
    for name, rows in rows_by_id(tmp_path / "toy.npz", "frames", partial).items():
        np.testing.assert_array_equal(rows, data[name][partial])


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_read_in_blocks_never_all_at_once(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy([700] * 12)
    write(tmp_path / "cache", data)
    monkeypatch.setattr(exporting, "BLOCK_BYTES", 1)
    asked: list[int] = []
    load = Features.load

    def watched(self: Features, *arguments: Any) -> Any:
        packed = load(self, *arguments)
        asked.append(packed.values.shape[1])
        return packed

    monkeypatch.setattr(Features, "load", watched)
    export(select(toy_features(tmp_path / "cache")), tmp_path / f"toy.{form}", form)
    assert max(asked) <= 1024 + 2 * 700 < 12 * 700
    for name, rows in rows_by_id(tmp_path / f"toy.{form}", "frames", 0).items():
        np.testing.assert_array_equal(rows, data[name][0])


def test_many_failures_fit_into_the_attributes(tmp_path: Path) -> None:
    write(tmp_path / "cache", toy())
    chosen = select(toy_features(tmp_path / "cache"), ids=["u0", *(f"somebody-else-{i}" for i in range(5000))])
    export(chosen, tmp_path / "toy.h5", "h5")
    assert len(about(tmp_path / "toy.h5")["lacking"]) == 5000


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_fails_midway_leaves_the_old_file_and_nothing_else(tmp_path: Path, form: str) -> None:
    write(tmp_path / "cache", toy())
    layer = tmp_path / "cache/corpus/toy/features.zarr/frames/1"
    shard = max(path for path in layer.rglob("*") if path.is_file() and path.name != "zarr.json")
    shard.write_bytes(shard.read_bytes()[:-1])
    target = tmp_path / "out" / f"toy.{form}"
    target.parent.mkdir()
    target.write_text("the old one")
    with pytest.raises(CacheError, match="damaged"):
        export(select(toy_features(tmp_path / "cache")), target, form, overwrite=True)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.read_text() == "the old one"


SLOW = """
import sys, time
from pathlib import Path
from emocache.exchange import export as exporting
from emocache.store import open_cache
blocks = exporting._blocks
def slow(*arguments):
    for block in blocks(*arguments):
        yield block
        print("block", flush=True)
        time.sleep(60)
exporting._blocks = slow
features = open_cache(Path(sys.argv[1])).features("corpus", "toy")
exporting.export(exporting.select(features), Path(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.parametrize("form", FORMS)
def test_a_killed_export_leaves_no_file_of_that_name_and_the_next_one_succeeds(tmp_path: Path, form: str) -> None:
    data = toy()
    write(tmp_path / "cache", data)
    target = tmp_path / "out" / f"toy.{form}"
    target.parent.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "cache"), str(target), form], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert child.stdout is not None
    child.stdout.readline()
    with pytest.raises(UsageError, match="another export is writing it"):
        export(select(toy_features(tmp_path / "cache")), target, form)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not target.exists()
    export(select(toy_features(tmp_path / "cache")), target, form)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert set(rows_by_id(target, "frames", 1)) == set(data)


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from emocache.cli import main
main(["export", "corpus/toy", sys.argv[2], "--cache", sys.argv[1]])
"""


@pytest.mark.parametrize("form", FORMS)
def test_a_disk_that_refuses_is_one_line_and_leaves_nothing(tmp_path: Path, form: str) -> None:
    write(tmp_path / "cache", toy([4000]))
    target = tmp_path / "out" / f"toy.{form}"
    target.parent.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "cache"), str(target)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(target.parent.iterdir())


def test_a_file_that_would_not_fit_the_disk_is_refused_before_it_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cache", toy())
    usage = exporting.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(exporting.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(CacheError, match="would not fit the 1e-06 GB free"):
        export(select(toy_features(tmp_path / "cache")), tmp_path / "toy.h5", "h5")
    assert not (tmp_path / "toy.h5").exists()


def test_the_command_exports_and_counts(tmp_path: Path, shell: Shell) -> None:
    write(tmp_path / "cache", toy())
    assert shell.run("export corpus/toy toy.h5 --layers last") == 0
    assert "frames: 8 utterances, 724 rows of 8, layers 1" in shell.out
    assert shell.run("export corpus/toy toy.h5") == 2
    assert "toy.h5: exists; --overwrite replaces it" in shell.err
    assert shell.run("export corpus/toy toy.h5 --overwrite --compress --json") == 0
    result = json.loads(shell.out)
    assert result["levels"] == {"frames": {"layers": [0, 1], "utterances": 8, "rows": 724, "dim": 8}}
    assert (result["format"], result["lacking"], result["bytes"]) == ("h5", {}, Path("toy.h5").stat().st_size)
    assert shell.run("export corpus/toy anything --format npz --levels frames") == 0
    assert np.load("anything")["frames/1"].shape == (724, 8)


def test_the_command_names_what_is_lacking_and_its_exit_code_says_so(tmp_path: Path, shell: Shell) -> None:
    write(tmp_path / "cache", toy(), fail="u3")
    assert shell.run("export corpus/toy toy.zip") == 1
    assert "without features: 1\n  u3: made to fail" in shell.err
    Path("ids.txt").write_text("u1\nu0\n\nu77\n")
    assert shell.run("export corpus/toy two.h5 --ids-from ids.txt --json") == 1
    assert json.loads(shell.out)["lacking"] == {"u77": "not in the feature set"}
    assert list(rows_by_id(Path("two.h5"), "frames", 0)) == ["u1", "u0"]


@pytest.mark.parametrize(("share", "warned"), [("forbidden", True), ("free", False)])
def test_features_that_may_not_be_passed_on_are_exported_with_a_warning(tmp_path: Path, shell: Shell, share: str, warned: bool) -> None:
    write(tmp_path / "cache", toy(), card=replace(CARD, corpus_share=share))
    assert shell.run("export corpus/toy toy.h5") == 0
    assert ("warning: features of corpus may not be passed on" in shell.err) is warned


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export corpus toy.h5", "expected CORPUS/FEATURES"),
        ("export corpus/other toy.h5", "choose one of: toy"),
        ("export corpus/toy toy.mat", "--format of toy.mat: expected one of h5, npz, zip"),
        ("export corpus/toy toy.h5 --format mat", "--format mat: expected one of"),
        ("export corpus/toy toy.h5 --levels phone", "no level 'phone'; there are: frames"),
        ("export corpus/toy toy.h5 --layers 7", "no layer 7"),
        ("export corpus/toy nowhere/toy.h5", "there is no folder nowhere"),
        ("export corpus/toy cache --format h5", "cache: is a folder"),
        ("export corpus/toy toy.h5 --ids-from missing.txt", "missing.txt: cannot be read"),
        ("export corpus/toy toy.h5 --ids-from twice.txt", "'u1' stands twice"),
        ("export corpus/toy toy.h5 --ids-from empty.txt", "holds no ids"),
        ("export corpus/toy toy.h5 --ids-from others.txt", "holds no rows of the 1 utterances asked for"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_exit_code_2(tmp_path: Path, shell: Shell, command: str, message: str) -> None:
    write(tmp_path / "cache", toy())
    for name, text in (("twice.txt", "u1\nu1\n"), ("empty.txt", "\n"), ("others.txt", "somebody\n")):
        Path(name).write_text(text)
    assert shell.run(command) == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not Path("toy.h5").exists()
