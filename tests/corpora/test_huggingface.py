"""Data sets of the Hugging Face kind: audio inside tables becomes files, classes get their names, AudioFolder is read."""

import builtins
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from emocache.corpora import huggingface
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError, UsageError

from . import trees

FEATURES = {
    "audio": {"sampling_rate": 16000, "_type": "Audio"},
    "label": {"names": ["neutral", "angry"], "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
}


def table(tmp_path: Path, labels: tuple[int, ...] = (1, 0, -1), features: dict[str, Any] | None = None, named: bool = True) -> Any:
    """An Arrow table of that many short recordings, as `datasets` describes them."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    content = [trees.tone(tmp_path / "made" / f"{n}.wav", hz=300.0 + n).read_bytes() for n in range(len(labels))]
    sound = [{"bytes": one, "path": f"speech{n}.wav" if named else None} for n, one in enumerate(content)]
    shape = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    columns = [pyarrow.array(sound, shape), pyarrow.array(labels, pyarrow.int64()), pyarrow.array(["words"] * len(labels))]
    made = pyarrow.table(columns, names=["audio", "label", "text"])
    about = {"info": {"features": FEATURES if features is None else features}}
    return made.replace_schema_metadata({"huggingface": json.dumps(about)})


def parquet(path: Path, made: Any) -> Path:
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(made, path)
    return path


def test_audio_inside_parquet_becomes_files_of_the_same_bytes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    parquet(root / "data" / "train-00000-of-00001.parquet", table(tmp_path))
    utterances = huggingface.read(root)
    assert [u.path for u in utterances] == [f"audio-files/train/00000{n}.wav" for n in range(3)]
    assert (root / utterances[1].path).read_bytes() == (tmp_path / "made" / "1.wav").read_bytes()


def test_classes_get_the_names_of_the_schema_and_minus_one_is_none(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train.parquet", table(tmp_path))
    assert [(u.emotion, u.transcript, u.split) for u in huggingface.read(tmp_path / "set")] == [
        ("angry", "words", "train"), ("neutral", "words", "train"), (None, "words", "train"),
    ]  # fmt: skip


def test_a_class_that_the_schema_does_not_name_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train.parquet", table(tmp_path, (0, 2)))
    with pytest.raises(CorpusError, match=r"train\.parquet: label is 2, but the schema names 2 classes"):
        huggingface.read(tmp_path / "set")


def test_without_a_description_labels_stay_as_they_are(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train.parquet", table(tmp_path, features={}))
    assert [u.emotion for u in huggingface.read(tmp_path / "set")] == ["1", "0", "-1"]


def test_ids_are_the_names_of_the_audio_or_else_split_and_row(tmp_path: Path) -> None:
    parquet(tmp_path / "named" / "data" / "test-00000-of-00001.parquet", table(tmp_path))
    parquet(tmp_path / "nameless" / "test" / "0000.parquet", table(tmp_path, named=False))
    assert [u.id for u in huggingface.read(tmp_path / "named")] == ["speech0", "speech1", "speech2"]
    assert [u.id for u in huggingface.read(tmp_path / "nameless")] == ["test-000000", "test-000001", "test-000002"]


def test_rows_are_counted_through_all_files_of_a_split(tmp_path: Path) -> None:
    for n in range(2):
        parquet(tmp_path / "set" / "data" / f"train-0000{n}-of-00002.parquet", table(tmp_path, (n, n)))
    assert [(u.id, u.emotion) for u in huggingface.read(tmp_path / "set")] == [
        ("train-000000", "neutral"), ("train-000001", "neutral"), ("train-000002", "angry"), ("train-000003", "angry"),
    ]  # fmt: skip


def test_what_save_to_disk_writes_is_read_as_parquet_is(tmp_path: Path) -> None:
    made = table(tmp_path)
    import pyarrow

    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    for name in ("data-00000-of-00001.arrow", "cache-0123456789abcdef.arrow"):
        with pyarrow.OSFile(str(folder / name), "wb") as sink, pyarrow.ipc.new_stream(sink, made.schema) as writer:
            writer.write_table(made)
    assert [(u.id, u.split, u.emotion) for u in huggingface.read(tmp_path / "set")] == [
        ("speech0", "train", "angry"), ("speech1", "train", "neutral"), ("speech2", "train", None),
    ]  # fmt: skip


def test_reading_again_writes_nothing_anew_but_mends_what_changed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    parquet(root / "train.parquet", table(tmp_path))
    first, second, _ = (root / u.path for u in huggingface.read(root))
    before = first.stat().st_mtime_ns
    second.write_bytes(b"spoilt")
    huggingface.read(root)
    assert first.stat().st_mtime_ns == before
    assert second.read_bytes() == (tmp_path / "made" / "1.wav").read_bytes()


def test_from_parquet_to_a_prepared_corpus(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train.parquet", table(tmp_path))
    corpus = prepare("huggingface", tmp_path / "set", name="tiny", data=tmp_path / "data").corpus
    assert [u.samples for u in corpus.utterances] == [1600] * 3


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.write(tmp_path / "train.parquet", "PAR1")
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r'train\.parquet: needs pyarrow to be read; pip install "emocache\[huggingface\]"'):
        huggingface.read(tmp_path)


def test_a_damaged_table_and_one_without_audio_are_named(tmp_path: Path) -> None:
    made = table(tmp_path)
    trees.write(tmp_path / "bad" / "train.parquet", "PAR1 and no more")
    with pytest.raises(CorpusError, match=r"train\.parquet: cannot be read"):
        huggingface.read(tmp_path / "bad")
    parquet(tmp_path / "mute" / "train.parquet", made.drop_columns(["audio"]))
    with pytest.raises(CorpusError, match=r"train\.parquet: no column of audio .* among label, text"):
        huggingface.read(tmp_path / "mute")


def test_an_audio_folder_is_read_with_its_metadata(tmp_path: Path) -> None:
    last, first, second = huggingface.read(trees.audio_folder(tmp_path))
    assert (first.id, first.path, first.emotion, first.transcript, first.extra["room"]) == (
        "train-000000", "train/a.wav", "calm", "hello there", "kitchen",
    )  # fmt: skip
    assert (second.id, second.emotion, second.split) == ("train-000001", None, "train")
    assert (last.id, last.emotion, last.speaker, last.split) == ("test-000000", "angry", "7", "test")


@pytest.mark.parametrize(("column", "other", "ids"), [("id", 8, ["7", "8"]), ("utterance_id", 8, ["7", "8"]), ("id", 7, ["a", "b"])])
def test_ids_of_a_data_set_are_taken_where_all_differ(tmp_path: Path, column: str, other: int, ids: list[str]) -> None:
    rows = ({"file_name": "a.wav", column: 7}, {"file_name": "b.wav", column: other})
    trees.write(tmp_path / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [u.id for u in huggingface.read(tmp_path)] == ids


def test_metadata_without_a_file_name_is_named_by_line(tmp_path: Path) -> None:
    trees.write(tmp_path / "metadata.jsonl", '{"file_name": "a.wav"}\n{"label": "calm"}\n')
    with pytest.raises(CorpusError, match=r"metadata\.jsonl:2: no file_name"):
        huggingface.read(tmp_path)


def test_ids_that_cannot_be_names_are_not_taken(tmp_path: Path) -> None:
    trees.write(tmp_path / "metadata.csv", "file_name,id\na.wav,ann/1\nb.wav,ann/2\n")
    assert [(u.id, u.extra["id"]) for u in huggingface.read(tmp_path)] == [("a", "ann/1"), ("b", "ann/2")]


def test_dates_and_what_else_json_does_not_know_are_text(tmp_path: Path) -> None:
    made = table(tmp_path, (0,))
    import pyarrow

    more = {"day": [datetime.date(2020, 1, 31)], "takes": [[{"at": datetime.time(9, 30), "raw": b"1"}]], "raw": [b"1"]}
    for name, values in more.items():
        made = made.append_column(name, pyarrow.array(values))
    parquet(tmp_path / "set" / "train.parquet", made)
    [one] = huggingface.read(tmp_path / "set")
    assert {name: one.extra[name] for name in more} == {
        "day": "2020-01-31", "takes": '[{"at": "09:30:00", "raw": "<bytes>"}]', "raw": "<bytes>",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.w\0v", f"a.{400 * 'w'}"])
def test_a_suffix_that_cannot_be_one_is_told_from_the_audio(tmp_path: Path, name: str) -> None:
    made = table(tmp_path, (0,))
    import pyarrow

    sound = pyarrow.array([made["audio"][0].as_py() | {"path": name}], made["audio"].type)
    parquet(tmp_path / "set" / "train.parquet", made.set_column(0, "audio", sound))
    assert [u.path for u in huggingface.read(tmp_path / "set")] == ["audio-files/train/000000.wav"]


def test_hidden_metadata_is_none_and_metadata_in_two_forms_is_refused(tmp_path: Path) -> None:
    trees.write(tmp_path / "metadata.csv", "file_name\na.wav\n")
    trees.write(tmp_path / ".ipynb_checkpoints" / "metadata.csv", "file_name\na.wav\n")
    assert len(huggingface.read(tmp_path)) == 1
    trees.write(tmp_path / "metadata.jsonl", '{"file_name": "a.wav"}\n')
    with pytest.raises(CorpusError, match=r"metadata\.csv and metadata\.jsonl beside it list the same audio twice"):
        huggingface.read(tmp_path)
