"""IEMOCAP: ids, labels, words, and the traps of its files."""

import json
from pathlib import Path

import pytest

from emocache.corpora import iemocap
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.types import Utterance

from . import trees


def read(root: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in iemocap.read(root)}


def test_a_turn_carries_all_that_the_corpus_says_of_it(tmp_path: Path) -> None:
    turn = read(trees.iemocap(tmp_path))["Ses02M_script01_1b_M003"]
    assert turn == Utterance(
        id="Ses02M_script01_1b_M003",
        path="Session2/sentences/wav/Ses02M_script01_1b/Ses02M_script01_1b_M003.wav",
        emotion="sad",
        speaker="Ses02M",
        gender="M",
        session="2",
        dialogue="Ses02M_script01_1b",
        turn=3,
        transcript="Words of Ses02M_script01_1b_M003.",
        language="en",
        valence=2.5,
        arousal=3.0,
        dominance=3.5,
        votes="C-E2=Neutral",
        extra={"kind": "scripted", "dialogue_start": "6.2901", "dialogue_end": "8.2357", "ratings": "A-E3=3,2,"},
    )


def test_the_speaker_is_the_last_letter_and_not_who_wore_the_markers(tmp_path: Path) -> None:
    turns = read(trees.iemocap(tmp_path))
    assert turns["Ses01F_impro01_M000"].speaker == "Ses01M"
    assert turns["Ses01M_script03_2_F026"].speaker == "Ses01F"
    assert turns["Ses01M_script03_2_F026"].gender == "F"


def test_turns_come_by_session_and_dialogue_in_the_order_of_the_label_file(tmp_path: Path) -> None:
    assert list(read(trees.iemocap(tmp_path))) == [
        "Ses01F_impro01_F000",
        "Ses01F_impro01_M000",
        "Ses01F_impro01_F001",
        "Ses01M_script03_2_F026",
        "Ses02F_impro05a_F010",
        "Ses02F_impro05a_F011",
        "Ses02M_script01_1b_M003",
    ]


def test_the_folder_above_the_release_will_do(tmp_path: Path) -> None:
    trees.iemocap(tmp_path / "IEMOCAP_full_release")
    prepared = prepare("iemocap", tmp_path, data=tmp_path / "data")
    assert prepared.corpus.utterances[0].path.startswith("IEMOCAP_full_release/Session1/")


def test_a_folder_without_sessions_is_named_with_what_to_give(tmp_path: Path) -> None:
    session = trees.iemocap(tmp_path) / "Session1"
    with pytest.raises(CorpusError, match=r"Session1: no Session1\.\.Session5 here .*; give the folder that holds them"):
        iemocap.read(session)


def test_subfolders_and_macos_files_are_not_label_files(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path)
    before = iemocap.read(root)
    folder = root / "Session1" / "dialog" / "EmoEvaluation"
    trees.write(folder / "Categorical" / "Ses01F_impro01_e2_cat.txt", "Ses01F_impro01_F000 :Anger; ()\n")
    trees.write(folder / "._Ses01F_impro01.txt", b"\x00\x05\x16\x07[")
    assert iemocap.read(root) == before


def test_votes_survive_several_labels_stray_semicolons_comments_and_self_reports(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_F000": "neu"})
    votes = "C-E2:\tHappiness; Excited;\t()\nC-E3:\t; Neutral;;\t(sad; tired)\nC-E4:\t;\t()\nC-F1:\tOther;\t(curious)\n"
    trees.write(trees.labels_of(root, "Ses01F_impro01"), trees.block("Ses01F_impro01_F000", "neu", votes=votes))
    assert iemocap.read(root)[0].votes == "C-E2=Happiness+Excited;C-E3=Neutral;C-F1=Other"


def test_ratings_of_each_annotator_are_kept_and_one_that_was_not_given_is_empty(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_F000": "neu"})
    votes = "C-E2:\tNeutral;\t()\nA-E4:\tval 4; act 3; dom  2;\t()\nA-F1:\tval 5;act 4.5 ; dom ;\t(tired; val 1)\n"
    trees.write(trees.labels_of(root, "Ses01F_impro01"), trees.block("Ses01F_impro01_F000", "neu", votes=votes))
    assert iemocap.read(root)[0].extra["ratings"] == "A-E4=4,3,2;A-F1=5,4.5,;A-E3=3,2,"


@pytest.mark.parametrize(
    ("line", "rating"),
    [
        ("A-E4:\tval 4; act 3; dom  2", "A-E4=4,3,2"),
        ("A-E4:\tval 4; act 3; dom  2\t(val 1)", "A-E4=4,3,2"),
        ("A-E4:\tval4; act 3;", "A-E4=4,3,"),
        ("A-E4:\tval ?; act 3; dom 2;\t()", "A-E4=?,3,2"),
    ],
)
def test_a_rating_that_is_written_otherwise_is_not_lost(tmp_path: Path, line: str, rating: str) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_F000": "neu"})
    trees.write(trees.labels_of(root, "Ses01F_impro01"), trees.block("Ses01F_impro01_F000", "neu", votes=f"{line}\n"))
    assert iemocap.read(root)[0].extra["ratings"] == f"{rating};A-E3=3,2,"


def test_averages_outside_the_scale_stay_as_they_are(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path, {"Ses01M_script03_1_F026": "neu"})
    text = trees.block("Ses01M_script03_1_F026", "neu", averages="0.5000, 5.5000, 3.0000")
    trees.write(trees.labels_of(root, "Ses01M_script03_1"), text)
    turn = iemocap.read(root)[0]
    assert (turn.valence, turn.arousal) == (0.5, 5.5)


def test_lines_without_id_and_with_xx_are_nobodys_transcript(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_M000": "neu"})
    words = "M: Yeah.\nSes01F_impro01_MXX0 [001.0000-002.0000]: [LAUGHTER]\nSes01F_impro01_M000 [003.0000-004.0000]: Well: no.\n"
    trees.write(trees.words_of(root, "Ses01F_impro01"), words)
    assert [(turn.id, turn.transcript) for turn in iemocap.read(root)] == [("Ses01F_impro01_M000", "Well: no.")]


def test_a_turn_that_nobody_transcribed_is_kept(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_M000": "neu"})
    trees.write(trees.words_of(root, "Ses01F_impro01"), "M: Yeah.\n")
    assert [turn.transcript for turn in iemocap.read(root)] == [None]


@pytest.mark.parametrize(("encoded", "words"), [("na\u00efve".encode(), "na\u00efve"), (b"na\xefve \x85 yes", "na\u00efve \x85 yes")])
def test_transcripts_are_utf_8_or_else_latin_1(tmp_path: Path, encoded: bytes, words: str) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_F000": "neu"})
    trees.write(trees.words_of(root, "Ses01F_impro01"), b"Ses01F_impro01_F000 [006.2901-008.2357]: " + encoded + b"\r\n")
    assert iemocap.read(root)[0].transcript == words


@pytest.mark.parametrize(
    "line",
    [
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu",
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000]",
        "[6.2901 - 8.2357]\tSes06F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]",
        "6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]",
        "[6.2901 - 8.2357]\tSes01F_impro01_FXX0\tneu\t[2.5000, 2.5000, 2.5000]",
    ],
)
def test_a_line_that_cannot_be_a_turn_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    root = trees.iemocap(tmp_path, {"Ses01F_impro01_F000": "neu"})
    trees.write(trees.labels_of(root, "Ses01F_impro01"), f"% heading\n\n{line}\n")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt:3: .*; restore the file"):
        iemocap.read(root)


def test_a_label_file_without_turns_is_named(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path)
    trees.write(trees.labels_of(root, "Ses02F_impro05a"), "")
    with pytest.raises(CorpusError, match=r"Ses02F_impro05a\.txt: holds no turns"):
        iemocap.read(root)


def test_missing_transcriptions_and_missing_labels_are_named(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path)
    trees.words_of(root, "Ses02F_impro05a").unlink()
    with pytest.raises(CorpusError, match=r"transcriptions/Ses02F_impro05a\.txt: no such transcription"):
        iemocap.read(root)
    (root / "Session1" / "dialog").rename(root / "Session1" / "dialogs")
    with pytest.raises(CorpusError, match=r"Session1/dialog/EmoEvaluation: no label files"):
        iemocap.read(root)


def test_the_published_counts_add_up() -> None:
    expected = iemocap.INFO.expected
    assert sum(expected["iemocap-4"].values()) == 5531
    assert sum(expected["iemocap-improvised"].values()) == 2280
    assert sum(expected["as-is"].values()) == 10_039


def test_the_four_classes_are_the_raw_labels_with_excited_merged_into_happy() -> None:
    raw, four = iemocap.INFO.expected["as-is"], iemocap.INFO.expected["iemocap-4"]
    assert four == {"ang": raw["ang"], "hap": raw["hap"] + raw["exc"], "sad": raw["sad"], "neu": raw["neu"]}


SCALED = {"ang": 2, "hap": 1, "exc": 3, "sad": 2, "neu": 3, "fru": 3, "xxx": 4}
"""The 5531 rule on a corpus of 18: 2 + (1 + 3) + 2 + 3 = 11 stay."""


@pytest.fixture
def scaled(tmp_path: Path) -> Path:
    labels = [label for label, count in SCALED.items() for _ in range(count)]
    return trees.iemocap(tmp_path / "scaled", {f"Ses0{1 + n % 5}F_impro01_{'FM'[n % 2]}{n:03}": label for n, label in enumerate(labels)})


def describe(root: Path, **changes: object) -> Path:
    about = {"title": "Scaled", "licence": "CC0", "share": "free", "citation": "none", "language": "de"}
    counts = {"iemocap-4": {"ang": 2, "hap": 4, "sad": 2, "neu": 3}}
    return trees.write(root / "INFO.json", json.dumps(about | {"expected": counts} | changes))


def test_the_5531_rule_keeps_four_classes_and_counts_what_it_leaves_out(scaled: Path, tmp_path: Path) -> None:
    corpus = prepare("iemocap", scaled, data=tmp_path / "data").corpus
    assert len(corpus.utterances) == 11
    assert corpus.left_out == {"fru": 3, "xxx": 4}
    assert {u.extra["raw_emotion"] for u in corpus.utterances if u.emotion == "hap"} == {"hap", "exc"}


def test_counts_that_are_not_iemocaps_are_said(scaled: Path, tmp_path: Path) -> None:
    corpus = prepare("iemocap", scaled, data=tmp_path / "data").corpus
    assert "hap: 4 utterances, expected 1636" in corpus.differs
    assert len(corpus.differs) == 4


def test_a_look_alike_brings_its_own_counts_and_licence(scaled: Path, tmp_path: Path) -> None:
    describe(scaled)
    corpus = prepare("iemocap", scaled, name="demo", data=tmp_path / "data").corpus
    assert corpus.differs == ()
    assert (corpus.licence, corpus.share, corpus.scheme) == ("CC0", "free", "iemocap-4")


def test_the_improvised_set_has_neither_scripts_nor_excited(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path / "corpus")
    corpus = prepare("iemocap", root, data=tmp_path / "data", scheme="iemocap-improvised").corpus
    assert [utterance.id for utterance in corpus.utterances] == ["Ses01F_impro01_F000", "Ses01F_impro01_M000", "Ses02F_impro05a_F010"]


@pytest.mark.parametrize("text", ["{", "[]", '{"title": "no licence"}'])
def test_a_damaged_description_is_named(scaled: Path, text: str) -> None:
    trees.write(scaled / "INFO.json", text)
    with pytest.raises(CorpusError, match=r"INFO\.json: damaged"):
        iemocap.info(scaled)


def test_a_way_of_sharing_that_does_not_exist_is_refused(scaled: Path) -> None:
    describe(scaled, share="maybe")
    with pytest.raises(CorpusError, match=r"INFO\.json: share is 'maybe', expected one of free, ask, forbidden"):
        iemocap.info(scaled)
