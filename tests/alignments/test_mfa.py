"""The Montreal Forced Aligner's JSON and CSV."""

import json
from pathlib import Path

import pytest

from emocache.alignment import SILENCE, Segment
from emocache.alignments import mfa
from emocache.alignments.tiers import Tier
from emocache.errors import CorpusError
from tests.corpora.trees import write

WORDS = {"type": "interval", "entries": [[0.0, 0.5, ""], [0.5, 1.3, "b\u00fccher"]]}
PHONES = {"type": "interval", "entries": [[0.5, 1.3, "spn"]]}
CSV = "Begin,End,Label,Type,Speaker\n0.0,0.5,,words,ann\n0.5,1.3,b\u00fccher,words,ann\n0.5,1.3,spn,phones,ann\n"
EXPECTED = (Segment("", 0.0, 0.5, SILENCE), Segment("b\u00fccher", 0.5, 1.3))


def text(**tiers: object) -> str:
    return json.dumps({"start": 0, "end": 1.3, "tiers": tiers}, indent=1)


def test_json_holds_tiers_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "u.json", text(words=WORDS, phones=PHONES, utterances=WORDS))
    assert mfa.read_json(path) == [
        Tier(recording="u", level="word", segments=EXPECTED),
        Tier(recording="u", level="phone", segments=(Segment("spn", 0.5, 1.3),)),
    ]


def test_json_names_the_speakers_where_there_are_several(tmp_path: Path) -> None:
    path = write(tmp_path / "u.json", text(**{"ann - words": WORDS, "bob - words": WORDS}))
    assert [tier.speaker for tier in mfa.read_json(path)] == ["ann", "bob"]


def test_csv_holds_the_same_and_the_speaker(tmp_path: Path) -> None:
    assert mfa.read_csv(write(tmp_path / "u.csv", CSV)) == [
        Tier(recording="u", level="word", speaker="ann", segments=EXPECTED),
        Tier(recording="u", level="phone", speaker="ann", segments=(Segment("spn", 0.5, 1.3),)),
    ]


@pytest.mark.parametrize(
    ("damaged", "where"),
    [
        (text(words=WORDS)[:-9], r"u\.json:\d+: is no JSON"),
        ("[]", r"u\.json: has no object 'tiers'"),
        (text(notes=WORDS), r"u\.json: has no tier 'words', .* \(tiers: 'notes'\)"),
        (text(words={"type": "interval"}), r"u\.json: tier 'words': has no list 'entries'"),
        (text(words={"entries": [[0.0, 1.0, "a"], [1.0, "b"]]}), r"u\.json: tier 'words', entry 2: is \[1\.0, 'b'\]"),
        (text(words={"entries": [[0.0, 1.0, "\ud800"]]}), r"u\.json: tier 'words', entry 1: is"),
        ('{"tiers": {"words": {"entries": [[0, ' + 5000 * "1" + ', "a"]]}}}', r"u\.json: is no JSON of an alignment \(Exceeds the limit"),
        (100_000 * "[", r"u\.json: is no JSON of an alignment \(maximum recursion depth"),
        (text(words={"entries": [[1.0, 0.5, "a"]]}), r"u\.json: tier 'words', entry 1: 'a' begins at 1 s and ends at 0\.5 s"),
    ],
)
def test_damaged_json_is_named_by_line_or_entry(tmp_path: Path, damaged: str, where: str) -> None:
    with pytest.raises(CorpusError, match=where):
        mfa.read_json(write(tmp_path / "u.json", damaged))


@pytest.mark.parametrize(
    ("damaged", "where"),
    [
        (CSV.replace("0.5,1.3,b", "0.5,1.3s,b"), r"u\.csv:3: '1\.3s' is no time in seconds"),
        (CSV.replace(",phones,ann", ",phones"), r"u\.csv:4: holds 4 of 5 columns"),
        (CSV.replace("0.5,1.3,spn", "0.5,nan,spn"), r"u\.csv:4: 'spn' begins at 0\.5 s and ends at nan s"),
        (CSV.replace("Begin", "Start"), r"u\.csv:1: expected the columns Begin,End,Label,Type,Speaker"),
        (CSV.replace("spn", '"spn"x'), r"u\.csv:4: is no CSV"),
    ],
)
def test_damaged_csv_is_named_by_line(tmp_path: Path, damaged: str, where: str) -> None:
    with pytest.raises(CorpusError, match=where):
        mfa.read_csv(write(tmp_path / "u.csv", damaged))
