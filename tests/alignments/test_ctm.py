"""CTM: a start and a duration, perhaps a confidence, many recordings in one file."""

from pathlib import Path

import pytest

from emocache.alignment import SILENCE, Segment
from emocache.alignments import ctm
from emocache.errors import CorpusError
from tests.conftest import SHARED
from tests.corpora.trees import write

TEXT = ";; made by hand\nr1 A 0.50 0.25 good\nr1 A 0.75 0.50 <eps> 0.9\n\nr2 B 1.0 0.5 day 0.8\nr1 A 1.25 0.50 day\n"


def test_what_stands_after_the_start_is_a_duration(tmp_path: Path) -> None:
    first, second = ctm.read(write(tmp_path / "x.ctm", TEXT))
    assert first.segments == (Segment("good", 0.5, 0.75), Segment("<eps>", 0.75, 1.25, SILENCE), Segment("day", 1.25, 1.75))
    assert second.segments == (Segment("day", 1.0, 1.5),)


def test_recordings_are_told_apart_whatever_their_order(tmp_path: Path) -> None:
    assert [tier.recording for tier in ctm.read(write(tmp_path / "x.ctm", TEXT))] == ["r1", "r2"]


@pytest.mark.parametrize(("names", "numbers"), [("AB", [0, 1]), ("12", [0, 1]), ("01", [0, 1]), ("1", [0]), ("x", [None])])
def test_channels_are_letters_or_numbers(tmp_path: Path, names: str, numbers: list[int | None]) -> None:
    tiers = ctm.read(write(tmp_path / "x.ctm", "".join(f"r {name} 0.0 0.5 hi\n" for name in names)))
    assert [tier.channel for tier in tiers] == numbers


def test_the_file_name_says_that_tokens_are_phones(tmp_path: Path) -> None:
    levels = [ctm.read(write(tmp_path / name, TEXT))[0].level for name in ("test.ctm", "test.phones.ctm")]
    assert levels == ["word", "phone"]


def test_a_channel_of_any_name_is_read(tmp_path: Path) -> None:
    [tier] = ctm.read(write(tmp_path / "x.ctm", f"r1 {5000 * '9'} 0.5 0.25 good\n"))
    assert tier.channel is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("r1 A 0.5 0.25", "4 fields, expected"),
        ("r1 A 0.5 0.25 good day 0.9", "7 fields, expected"),
        ("r1 A half 0.25 good", "'half' is no time in seconds"),
        ("r1 A 0.5 -0.25 good", r"'good' begins at 0\.5 s and ends at 0\.25 s"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(CorpusError, match=rf"x\.ctm:2: {reason}"):
        ctm.read(write(tmp_path / "x.ctm", f";; a comment\n{line}\n"))


def test_the_samples_with_and_without_confidence_say_the_same() -> None:
    folder = SHARED / "samples" / "ctm"
    if not folder.is_dir():
        pytest.skip("the sample CTMs are not beside the project")
    [plain], [scored] = ctm.read(folder / "supervision.ctm"), ctm.read(folder / "supervision_with_scores.ctm")
    assert plain == scored
    assert [one.label for one in plain.segments] == ["transcript", "of", "the", "first", "segment"]
    assert plain.segments[-1].end_s == pytest.approx(0.4)
