"""What `prepare` takes up of the forced alignments that a corpus brings."""

import json
from pathlib import Path

import pytest

from emocache import alignment
from emocache.corpora import iemocap
from emocache.corpora.prepare import Prepared, prepare
from tests.shell import Shell

from . import trees

WORDS = "  SFrm  EFrm    SegAScr Word\n\t    0     1       -100 <s>\n\t    2     9       -200 YES(2)\n Total score:       -300\n"
PHONES = "  SFrm  EFrm   SegAScr Phone\n\t    2     9       -200 Y SIL EH b\n Total score:       -200\n"
SYLLABLES = "  SFrm  EFrm  Syllable\n    2     9  Y_EH_S\n"
FILES = {".wdseg": WORDS, ".phseg": PHONES, ".syseg": SYLLABLES}
ONE, TWO, OTHER = "Ses01F_impro01_F000", "Ses01F_impro01_M000", "Ses02F_impro05a_F011"


def place(root: Path, turn: str, suffix: str) -> Path:
    """Where a turn's alignment lies."""
    folder = root / f"Session{turn[4]}" / "sentences" / "ForcedAlignment" / turn.rsplit("_", 1)[0]
    return folder / f"{turn}{suffix}"


def align(root: Path, turn: str) -> None:
    for suffix, text in FILES.items():
        trees.write(place(root, turn, suffix), text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tiny IEMOCAP with an alignment of every turn; each turn lasts 0.1 s."""
    root = trees.iemocap(tmp_path / "corpus")
    for turn in trees.IEMOCAP_TURNS:
        align(root, turn)
    return root


def prepared(root: Path, tmp_path: Path, scheme: str = "iemocap-4") -> Prepared:
    return prepare("iemocap", root, data=tmp_path / "data", scheme=scheme)


def test_words_phones_and_syllables_lie_beside_the_manifest_as_wdseg(root: Path, tmp_path: Path) -> None:
    [found] = prepared(root, tmp_path).alignments
    assert found == alignment.load(tmp_path / "data", "iemocap", "wdseg")
    assert found.of("word", ONE, 0.1) == (alignment.Segment("YES", 0.02, 0.1),)
    assert found.of("phone", ONE, 0.1) == (alignment.Segment("Y", 0.02, 0.1),)
    assert found.of("syllable", ONE, 0.1) == (alignment.Segment("Y_EH_S", 0.02, 0.1),)
    assert (found.without, found.notes) == ({}, {})
    assert "SFrm/100 to (EFrm + 1)/100 s" in found.about


@pytest.mark.parametrize(("told", "about"), [({"alignment": "by hand"}, "by hand"), ({}, iemocap.UNSAID)])
def test_a_look_alike_says_how_its_alignment_was_made(root: Path, tmp_path: Path, told: dict[str, str], about: str) -> None:
    described = {"title": "Like it", "licence": "CC0", "share": "free", "citation": "none"} | told
    trees.write(root / "INFO.json", json.dumps(described))
    assert prepared(root, tmp_path).alignments[0].about == about


def test_turns_that_the_label_scheme_drops_have_no_rows(root: Path, tmp_path: Path) -> None:
    four, everything = prepared(root, tmp_path).alignments[0], prepared(root, tmp_path, "as-is").alignments[0]
    assert OTHER not in four.segments["word"]
    assert OTHER not in four.without
    assert OTHER in everything.segments["word"]


def test_preparing_again_rewrites_the_alignment(root: Path, tmp_path: Path) -> None:
    prepared(root, tmp_path)
    trees.write(place(root, ONE, ".wdseg"), WORDS.replace("YES(2)", "NO"))
    prepared(root, tmp_path)
    found = alignment.load(tmp_path / "data", "iemocap", "wdseg")
    assert [one.label for one in found.of("word", ONE, 0.1)] == ["NO"]


def test_an_alignment_of_that_name_that_was_made_otherwise_is_kept_until_it_is_removed(root: Path, tmp_path: Path, shell: Shell) -> None:
    assert shell.run(f"prepare iemocap {root}") == 0
    assert "is kept" not in shell.err
    assert shell.run(f"align --from {root} --shift 0.02") == 0
    path = tmp_path / "data" / "iemocap" / "alignments" / "wdseg.csv"
    shifted = path.read_bytes()
    assert shell.run(f"prepare iemocap {root}") == 0
    assert path.read_bytes() == shifted
    [note] = [line for line in shell.err.splitlines() if "is kept" in line]
    assert note.startswith("note: alignment wdseg was made otherwise and is kept (CMU Sphinx-3 ")
    assert "all times +0.02 s" in note
    assert f"remove {path.relative_to(tmp_path)} to have the corpus's own" in note
    path.unlink()
    assert shell.run(f"prepare iemocap {root}") == 0
    assert "is kept" not in shell.err
    assert alignment.load(tmp_path / "data", "iemocap", "wdseg").of("word", ONE, 0.1)[0].start_s == 0.02


def test_a_damaged_alignment_is_written_again(root: Path, tmp_path: Path) -> None:
    prepared(root, tmp_path)
    (tmp_path / "data" / "iemocap" / "alignments" / "wdseg.json").write_text("{")
    assert prepared(root, tmp_path).corpus.notes == ()
    assert alignment.load(tmp_path / "data", "iemocap", "wdseg").about == iemocap.INFO.alignment


def test_a_turn_without_files_stays_and_is_listed(root: Path, tmp_path: Path) -> None:
    for suffix in FILES:
        place(root, ONE, suffix).unlink()
    made = prepared(root, tmp_path)
    assert ONE in {utterance.id for utterance in made.corpus.utterances}
    assert made.alignments[0].without == {ONE: "no file"}
    assert made.alignments[0].of("word", ONE, 0.1)[0].kind == alignment.WHOLE


def test_a_turn_that_has_no_words_but_phones_is_noted(root: Path, tmp_path: Path) -> None:
    place(root, ONE, ".wdseg").unlink()
    [found] = prepared(root, tmp_path).alignments
    assert found.without == {}
    assert found.notes == {ONE: "no words"}


def test_the_two_turns_that_the_release_leaves_out_are_known(tmp_path: Path) -> None:
    root = trees.iemocap(tmp_path / "corpus", dict.fromkeys(iemocap.UNALIGNED, "neu") | {ONE: "neu"})
    align(root, ONE)
    [found] = prepared(root, tmp_path).alignments
    assert found.without == dict.fromkeys(iemocap.UNALIGNED, "no file in the release")


def test_a_damaged_file_is_listed_with_its_line_and_stops_nothing(root: Path, tmp_path: Path) -> None:
    trees.write(place(root, TWO, ".wdseg"), WORDS.replace("     9", "     x"))
    [found] = prepared(root, tmp_path).alignments
    assert list(found.without) == [TWO]
    assert f"{TWO}.wdseg:3: " in found.without[TWO]


def test_a_release_in_a_folder_below_brings_them_too(tmp_path: Path) -> None:
    align(trees.iemocap(tmp_path / iemocap.RELEASE), ONE)
    assert list(prepared(tmp_path, tmp_path).alignments[0].segments["word"]) == [ONE]


def test_prepare_prints_segments_by_level_and_who_has_none(root: Path, tmp_path: Path, shell: Shell) -> None:
    for suffix in FILES:
        place(root, ONE, suffix).unlink()
    place(root, TWO, ".syseg").unlink()
    assert shell.run(f"prepare iemocap {root}") == 0
    assert (
        "alignment wdseg: 4 phones in 4 utterances, 3 syllables in 3 utterances, 8 words in 4 utterances; "
        "1 of 5 utterances have none\n"
        f"  without: 1 utterances, first {ONE}: no file (--json lists all)\n"
        f"  note: 1 utterances, first {TWO}: no syllables (--json lists all)\n"
    ) in shell.out
    assert shell.run(f"prepare iemocap {root} --json") == 0
    about = {"segments": {"phone": 4, "syllable": 3, "word": 8}, "without": {ONE: "no file"}, "notes": {TWO: "no syllables"}}
    assert json.loads(shell.out)["alignments"] == {"wdseg": about}


def test_a_tree_without_alignments_is_fine_and_said_so(tmp_path: Path, shell: Shell) -> None:
    root = trees.iemocap(tmp_path / "corpus")
    assert shell.run(f"prepare iemocap {root}") == 0
    assert "alignments: the corpus brings none\n" in shell.out
    assert alignment.sources(tmp_path / "data", "iemocap") == []
