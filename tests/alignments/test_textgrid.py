"""TextGrids, long and short, in every way that Praat and the Montreal Forced Aligner write them."""

from pathlib import Path

import pytest

from emocache.alignment import NOISE, SILENCE, SPEECH, Segment
from emocache.alignments import textgrid
from emocache.alignments.tiers import Tier
from emocache.errors import CorpusError
from tests.conftest import SHARED
from tests.corpora.trees import write

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 1.5 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 1.5 
        intervals: size = 3 
        intervals [1]:
            xmin = 0.0 
            xmax = 0.25 
            text = "" 
        intervals [2]:
            xmin = 0.25 
            xmax = 1.0 
            text = "hello" 
        intervals [3]:
            xmin = 1.0 
            xmax = 1.5 
            text = "<unk>" 
    item [2]:
        class = "TextTier" 
        name = "phones" 
        xmin = 0 
        xmax = 1.5 
        points: size = 1 
        points [1]:
            number = 0.3 
            mark = "click" 
"""  # noqa: W291
SHORT = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1.5\n<exists>\n1\n"IntervalTier"\n"words"\n0\n1.5\n3\n'
SHORT += '0\n0.25\n""\n0.25\n1.0\n"hello"\n1.0\n1.5\n"<unk>"'
EXPECTED = (Segment("", 0.0, 0.25, SILENCE), Segment("hello", 0.25, 1.0), Segment("<unk>", 1.0, 1.5))


def read(tmp_path: Path, text: str | bytes) -> list[Tier]:
    return textgrid.read(write(tmp_path / "u.TextGrid", text))


@pytest.mark.parametrize("text", [LONG, SHORT, LONG.rstrip(), SHORT + "\n", LONG.replace("\n", "\r\n"), LONG.replace("\n", "\r")])
def test_long_and_short_hold_the_same_whatever_ends_their_lines(tmp_path: Path, text: str) -> None:
    [tier] = read(tmp_path, text)
    assert tier == Tier(recording="u", level="word", segments=EXPECTED)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf_8_and_utf_16_are_told_apart_by_the_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    [tier] = read(tmp_path, mark + LONG.replace("hello", "xin chào").encode(encoding))
    assert tier.segments[1].label == "xin chào"


def test_quotes_are_doubled_and_a_text_may_go_on_in_the_next_line(tmp_path: Path) -> None:
    [tier] = read(tmp_path, LONG.replace('"hello"', '"he said ""no""\nand item [2]: left"'))
    assert tier.segments[1].label == 'he said "no" and item [2]: left'


def test_comments_and_exponents_are_praats_too(tmp_path: Path) -> None:
    [tier] = read(tmp_path, LONG.replace("0.25 \n", "2.5e-1 ! checked twice\n"))
    assert tier.segments == EXPECTED


def test_an_interval_of_no_length_is_left_to_be_tidied(tmp_path: Path) -> None:
    [tier] = read(tmp_path, LONG.replace("0.25", "0.0"))
    assert tier.segments[0] == Segment("", 0.0, 0.0, SILENCE)


def test_tiers_of_several_speakers_are_told_apart(tmp_path: Path) -> None:
    first, second = LONG.split("    item [2]:")[0], LONG.split("item []: \n")[1].split("    item [2]:")[0]
    text = first.replace('"words"', '"Ann - words"') + second.replace('"words"', '"Bob - smith - Phones"')
    tiers = read(tmp_path, text)
    assert [(tier.speaker, tier.level) for tier in tiers] == [("Ann", "word"), ("Bob - smith", "phone")]
    assert tiers[1].segments == EXPECTED


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("", SILENCE), ("  ", SILENCE), ("sil", SILENCE), ("sp", SILENCE), ("SIL", SILENCE), ("<eps>", SILENCE),
        ("spn", SPEECH), ("<unk>", SPEECH), ("spoon", SPEECH), ("a+b", SPEECH),
        ("{LG}", NOISE), ("{BR}", NOISE), ("[laughter]", NOISE),
    ],
)  # fmt: skip
def test_the_label_says_what_a_segment_holds(tmp_path: Path, label: str, kind: str) -> None:
    [tier] = read(tmp_path, LONG.replace("hello", label))
    assert tier.segments[1] == Segment(label.strip(), 0.25, 1.0, kind)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (LONG.replace("xmax = 1.0", "xmax = 1.O"), r"u\.TextGrid:22: '\"hello\"' stands where the time at which an interval ends"),
        (LONG.replace('"hello"', "hello"), r"u\.TextGrid:24: '1\.0' stands where the text of an interval"),
        (LONG.partition("        intervals [3]")[0], r"u\.TextGrid:22: breaks off where the time at which an interval begins"),
        (LONG.replace("size = 3", "size = 3.5"), r"u\.TextGrid:14: '3\.5' stands where the number of a tier's entries"),
        (LONG.replace("size = 3", f"size = {5000 * '3'}"), r"u\.TextGrid:14: '3+' stands where the number of a tier's entries"),
        (SHORT.replace("\n3\n", "\n2\n"), r"u\.TextGrid:19: '1\.0' stands after all that its counts announce"),
        (SHORT.removesuffix('"<unk>"'), r"u\.TextGrid:20: breaks off where the text of an interval"),
        (LONG.replace("xmax = 1.0", "xmax = 0.2"), r"u\.TextGrid:22: 'hello' begins at 0\.25 s and ends at 0\.2 s"),
        (LONG.replace('"words"', '"Ann"'), r"u\.TextGrid: has no tier 'words', .* \(tiers: 'Ann', 'phones'\)"),
        ("0.1 hello\n", r"u\.TextGrid:1: is no TextGrid"),
        ("", r"u\.TextGrid:1: is no TextGrid"),
        (LONG.replace("hello", "h\xe9").encode("latin-1"), r"u\.TextGrid:22: is not UTF-8 .*; save it as UTF-8"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, text: str | bytes, where: str) -> None:
    with pytest.raises(CorpusError, match=where):
        read(tmp_path, text)


def samples() -> list[Path]:
    return sorted((SHARED / "samples" / "textgrid").rglob("*.TextGrid"))


def test_every_sample_is_read_as_praatio_reads_it(tmp_path: Path) -> None:
    praatio = pytest.importorskip("praatio.textgrid", reason="praatio is the judge here alone")
    if not samples():
        pytest.skip("the sample TextGrids are not beside the project")
    for path in samples():
        judged = praatio.openTextgrid(str(path), includeEmptyIntervals=True)
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw[:2] == b"\xfe\xff" else "utf-8")
        for number, tier in enumerate(judged.tiers):
            text = text.replace(f'"{tier.name}"', f'"speaker {number} - words"', 1)
        tiers = textgrid.read(write(tmp_path / path.name, text))
        assert [[(one.start_s, one.end_s, one.label) for one in tier.segments] for tier in tiers] == [
            [(entry.start, entry.end, " ".join(entry.label.split())) for entry in tier.entries] for tier in judged.tiers
        ], path
