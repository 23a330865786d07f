"""`emocache corpora`: what can be prepared, and what is published of it; and what `prepare` says of what it left out."""

import json
from pathlib import Path

from emocache.corpora import CORPORA
from tests.corpora import trees
from tests.shell import Shell


def test_the_table_has_a_row_for_every_reader(shell: Shell) -> None:
    assert shell.run("corpora") == 0
    rows = shell.out.strip().splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(CORPORA)
    assert "ang 1103, hap 1636, sad 1084, neu 1708" in rows[1]
    assert " 5531 " in rows[1]


def test_one_corpus_is_shown_whole(shell: Shell) -> None:
    assert shell.run("corpora meld") == 0
    for part in ("meld-7 (default)", "meld-sentiment", "dev_dia110_utt7: has no clip", "9989 in all", "Poria et al.", "https://"):
        assert part in shell.out


def test_json_holds_counts_by_class_and_split(shell: Shell) -> None:
    assert shell.run("corpora meld --json") == 0
    (meld,) = json.loads(shell.out)
    assert meld["schemes"]["meld-7"]["expected_splits"]["test"]["fear"] == 50
    assert meld["broken"]["train_dia125_utt3"]
    assert shell.run("corpora --json") == 0
    assert [row["name"] for row in json.loads(shell.out)] == list(CORPORA)


def test_an_unknown_corpus_is_answered_with_those_there_are(shell: Shell) -> None:
    assert shell.run("corpora mosei") == 2
    assert "no corpus 'mosei'; there are: iemocap, meld" in shell.err
    assert len(shell.err.strip().splitlines()) == 1


def test_help_ends_in_examples(shell: Shell) -> None:
    assert shell.run("corpora --help") == 0
    assert "emocache corpora cremad --json" in shell.out


def test_prepare_says_where_the_left_out_are_listed_and_what_differs(shell: Shell) -> None:
    trees.iemocap(Path("release"))
    assert shell.run("prepare iemocap release") == 0
    assert "left out: fru 1, xxx 1" in shell.out
    assert "left out by name: data/iemocap/left_out.csv" in shell.err
    assert "not as published: neu: 1 utterances, expected 1708" in shell.err
    assert "Ses01M_script03_2_F026,fru,emotion 'fru' is no class of iemocap-4" in Path("data/iemocap/left_out.csv").read_text()
