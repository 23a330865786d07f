"""EmoDB: everything from the file name, by letters of German words."""

from pathlib import Path

import pytest

from emocache import alignment
from emocache.corpora import emodb
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.types import Utterance

from . import trees


def test_a_file_name_says_all_of_its_utterance(tmp_path: Path) -> None:
    assert emodb.read(trees.emodb(tmp_path, ("03a01Fa",))) == [
        Utterance(
            id="03a01Fa",
            path="wav/03a01Fa.wav",
            emotion="happiness",
            speaker="03",
            gender="M",
            transcript="Der Lappen liegt auf dem Eisschrank.",
            language="de",
            extra={"text": "a01", "version": "a"},
        )
    ]


def test_a_is_angst_and_not_anger(tmp_path: Path) -> None:
    root = trees.emodb(tmp_path, tuple(f"03a01{letter}a" for letter in "AEFLNTW"))
    words = ["fear", "disgust", "happiness", "boredom", "neutral", "sadness", "anger"]
    assert [utterance.emotion for utterance in emodb.read(root)] == words


def test_a_name_without_version_is_one_too(tmp_path: Path) -> None:
    assert emodb.read(trees.emodb(tmp_path, ("10a04N",)))[0].extra["version"] == ""


def test_hand_labels_beside_the_recordings_are_no_recordings(tmp_path: Path) -> None:
    root = trees.emodb(tmp_path / "deep")
    trees.write(root / "silb" / "03a01Fa.silb", "0.1 .\n")
    trees.write(root / "wav" / "._03a01Fa.wav", "x")
    assert [utterance.id for utterance in emodb.read(tmp_path)] == sorted(trees.EMODB_NAMES)


@pytest.mark.parametrize("name", ["01a01Fa", "03a03Fa", "03a01Xa", "03a01F1", "happy"])
def test_a_name_that_is_not_emodbs_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=rf"{name}\.wav: not an EmoDB name; expected such as 03a01Fa"):
        emodb.read(trees.emodb(tmp_path, (name,)))


def test_the_published_numbers_add_up_to_535_by_ten_people_half_of_them_men() -> None:
    assert sum(emodb.INFO.expected["emodb-7"].values()) == 535
    assert sorted(emodb.GENDERS.values()) == ["F"] * 5 + ["M"] * 5


def test_the_labels_made_by_hand_are_taken_up(tmp_path: Path) -> None:
    root = trees.emodb(tmp_path / "emodb", ("03a01Fa", "08a01Fa"))
    trees.write(root / "silb" / "03a01Fa.silb", "0.05\tder\n0.08 lap\n0.1\t.\n")
    (made,) = prepare("emodb", root, data=tmp_path / "data").alignments
    assert [one.label for one in made.of("syllable", "03a01Fa", 0.1)] == ["der", "lap"]
    assert made.without == {"08a01Fa": "no file"}
    assert alignment.load(tmp_path / "data", "emodb", "emodb") == made
