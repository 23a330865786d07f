"""The manifest: what a CSV file may look like, what it says when it does not, and that nothing is lost on the way."""

import json
from pathlib import Path

import pytest

from emocache import manifest
from emocache.errors import CorpusError
from emocache.types import Corpus, Utterance

FULL = Utterance(
    id="u1",
    path="deep/u1.wav",
    emotion="happy",
    speaker="p1",
    gender="F",
    session="1",
    fold="3",
    split="train",
    dialogue="d1",
    turn=7,
    start_s=0.1,
    end_s=2.25,
    channel=1,
    transcript='She said "no, never",\nthen left \u2013 na\u00efve',
    language="en",
    valence=2.5,
    arousal=0.3333333333333333,
    dominance=5.5,
    votes="E1=happy;E2=sad",
    parent="u0",
    extra={"room": "kitchen, left"},
)


def corpus(*utterances: Utterance, name: str = "tiny") -> Corpus:
    return Corpus(name=name, reader="csv", scheme="as-is", audio_root=Path("/audio"), utterances=utterances)


def csv_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_field_of_an_utterance_survives(tmp_path: Path) -> None:
    manifest.save(corpus(FULL), tmp_path)
    assert manifest.load(tmp_path, "tiny").utterances == (FULL,)


def test_what_is_known_of_the_corpus_survives(tmp_path: Path) -> None:
    made = Corpus(
        name="tiny",
        reader="ravdess",
        scheme="ravdess-4",
        audio_root=Path("/audio/\u00e9"),
        utterances=(FULL,),
        licence="CC0",
        share="free",
        citation="nobody",
        differs=("hap: 1 utterances, expected 2",),
        left_out={"calm": 3},
    )
    manifest.save(made, tmp_path)
    assert manifest.load(tmp_path, "tiny") == made


def test_columns_that_hold_nothing_are_not_written() -> None:
    text = manifest.to_csv([Utterance(id="a", path="a.wav"), Utterance(id="b", path="b.wav", fold="2")])
    assert text == "utterance_id,path,emotion,fold\na,a.wav,,\nb,b.wav,,2\n"


def test_the_manifest_is_written_after_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(manifest, "write_changed", lambda path, _text: written.append(path.name))
    manifest.save(corpus(FULL), tmp_path)
    assert written == [manifest.CORPUS, manifest.MANIFEST]


def test_no_part_of_a_written_file_stays_behind(tmp_path: Path) -> None:
    manifest.save(corpus(FULL), tmp_path)
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["corpus.json", "manifest.csv"]


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"\xef\xbb\xbfutterance_id,path,emotion\r\na,a.wav,sad\r\n\r\nb,b.wav,calm\r\n")
    assert [(u.id, u.emotion) for u in manifest.read_csv(path)] == [("a", "sad"), ("b", "calm")]


def test_empty_cells_are_none_in_known_columns_and_stay_in_others(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "utterance_id,path,emotion,turn,mood\na,a.wav,, ,\n")
    assert manifest.read_csv(path) == [Utterance(id="a", path="a.wav", extra={"mood": ""})]


def test_whole_numbers_may_look_as_pandas_writes_them(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "utterance_id,path,emotion,turn,channel\na,a.wav,sad,3.0,1.0\n")
    assert (manifest.read_csv(path)[0].turn, manifest.read_csv(path)[0].channel) == (3, 1)


@pytest.mark.parametrize(("text", "channel"), [("left", 0), ("right", 1), ("0", 0), ("2", 2)])
def test_channels_are_numbers_or_sides(tmp_path: Path, text: str, channel: int) -> None:
    path = csv_file(tmp_path, f"utterance_id,path,emotion,channel\na,a.wav,sad,{text}\n")
    assert manifest.read_csv(path)[0].channel == channel


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("start", "1:02", "seconds"),
        ("end", "nan", "seconds"),
        ("turn", "2.5", "a whole number"),
        ("turn", "inf", "a whole number"),
        ("channel", "-1", "a channel number from 0, 'left' or 'right'"),
        ("channel", "middle", "a channel number from 0, 'left' or 'right'"),
        ("valence", "high", "a number"),
    ],
)
def test_a_cell_of_the_wrong_type_is_named_by_line_and_column(tmp_path: Path, column: str, text: str, expected: str) -> None:
    path = csv_file(tmp_path, f"utterance_id,path,emotion,{column}\na,a.wav,sad,\nb,b.wav,sad,{text}\n")
    with pytest.raises(CorpusError, match=rf"list\.csv:3: {column} is '{text}', expected {expected}"):
        manifest.read_csv(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column utterance_id, path, emotion; needed are"),
        ("utterance_id,path\na,a.wav\n", "no column emotion; needed are utterance_id, path, emotion"),
        ("utterance_id,path,emotion\n", "holds no utterances"),
        (",utterance_id,path,emotion\n0,a,a.wav,sad\n", r"column 1 has no name; .*to_csv\(index=False\)"),
        ("utterance_id,path,emotion,x,x\na,a.wav,sad,1,2\n", "column 'x' stands twice; rename one"),
        ("utterance_id,path,emotion\na,a.wav\n", r"list\.csv:2: not as many fields as the header"),
        ("utterance_id,path,emotion,transcript\na,a.wav,sad,well, no\n", r"list\.csv:2: .*text with commas in double quotes"),
        ('utterance_id,path,emotion\na,"a.wav,sad\n', r"list\.csv:2: not a CSV row"),
        ("utterance_id,path,emotion\n,a.wav,sad\n", r"list\.csv:2: utterance_id is empty"),
        ("utterance_id,path,emotion\na, ,sad\n", r"list\.csv:2: path is empty"),
        ("utterance_id,path,emotion\na,x,sad\na,x,sad\nb,x,sad\nb,x,sad\n", "2 utterance ids stand more than once, first 'a'"),
        ("utterance_id,path,emotion\na/b,a.wav,sad\n", "1 utterance ids cannot be names, first 'a/b'"),
    ],
)
def test_what_is_wrong_with_a_list_is_said_with_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        manifest.read_csv(csv_file(tmp_path, text))


@pytest.mark.parametrize("path", ["a" * 256, "\u00e9" * 128, "aaa/" * 1250])
def test_a_path_that_no_file_can_have_is_one_short_line(tmp_path: Path, path: str) -> None:
    with pytest.raises(CorpusError, match=r"list\.csv:2: path has \d+ bytes, and no file can be called so") as caught:
        manifest.read_csv(csv_file(tmp_path, f"utterance_id,path,emotion\na,{path},sad\n"))
    assert len(str(caught.value)) < 300


def test_a_list_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"list\.csv:2: not UTF-8 \(byte 28\); save it as UTF-8"):
        manifest.read_csv(csv_file(tmp_path, b"utterance_id,path,emotion\na,\xe9.wav,sad\n"))


def test_a_list_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gone\.csv: no such file; give the CSV"):
        manifest.read_csv(tmp_path / "gone.csv")
    with pytest.raises(CorpusError, match="is a folder; give the CSV file itself"):
        manifest.read_csv(tmp_path)


def test_an_unknown_corpus_is_answered_with_those_that_are_prepared(tmp_path: Path) -> None:
    manifest.save(corpus(FULL, name="one"), tmp_path)
    manifest.save(corpus(FULL, name="two"), tmp_path)
    with pytest.raises(CorpusError, match=r"no corpus 'three' in .* \(prepared there: one, two\); run `emocache prepare`"):
        manifest.load(tmp_path, "three")


def test_a_manifest_written_by_hand_needs_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.csv").write_text("utterance_id,path,emotion\na,a.wav,sad\n")
    loaded = manifest.load(tmp_path, "mine")
    assert (loaded.audio_root, loaded.scheme, loaded.share) == (tmp_path / "mine", "as-is", "ask")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "tiny", "audio_root": 3}'])
def test_a_damaged_description_is_named_and_not_guessed(tmp_path: Path, text: str) -> None:
    manifest.save(corpus(FULL), tmp_path)
    (tmp_path / "tiny" / "corpus.json").write_text(text)
    with pytest.raises(CorpusError, match=r"corpus\.json: damaged .*; run `emocache prepare` again"):
        manifest.load(tmp_path, "tiny")


def test_a_description_from_a_later_version_is_read_for_what_is_known(tmp_path: Path) -> None:
    manifest.save(corpus(FULL), tmp_path)
    path = tmp_path / "tiny" / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "blue"}))
    assert manifest.load(tmp_path, "tiny") == corpus(FULL)
