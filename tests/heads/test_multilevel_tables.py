"""Every row of the tables of multi-level fusion runs from end to end, at a tiny size."""

from dataclasses import replace
from pathlib import Path

import pytest

from heads import paper_table, reproduce
from heads.recipes import recipe
from heads.recipes.recipe import Row
from heads.wish import Wish
from tests.heads.toy import WORDS, corpus, extract, extract_words, utterances

MEMBERS = utterances(speakers=4, takes=3)
TINY = {
    "linear": ("hidden=4",), "late": ("hidden=4",), "concatenation": ("hidden=4",),
    "transformer": ("feedforward=4", "heads=2"), "coattention": ("feedforward=4", "heads=2"), "combined": (),
}  # fmt: skip
SEGMENTS = {"phone@wdseg": ("phones", 5), "syllable@wdseg": ("syllables", 3), "word@wdseg": ("words", 2)}
"""Level -> the feature set that stands for it, and how many segments an utterance has there."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny corpus with features of every kind that the tables need."""
    folder = tmp_path_factory.mktemp("tables")
    corpus(folder / "data", MEMBERS)
    extract(folder / "cache", MEMBERS, "tokens", native="tokens", seed=1)
    extract(folder / "cache", MEMBERS, "frames")
    for name, count in SEGMENTS.values():
        extract_words(folder / "cache", MEMBERS, name, words=count)
    return folder


def tiny(row: Row) -> Row:
    """The row on the toy's features, with a small head."""
    names = {"tokens": "tokens", "frames": "frames"} | {level: name for level, (name, _) in SEGMENTS.items()}
    sources = [replace(one, encoder=names[one.level], level=WORDS if "@" in one.level else one.level) for one in row.sources]
    return replace(row, sources=tuple(sources), settings=(*TINY[row.head], "epochs=1"))


@pytest.mark.parametrize(("name", "rows"), [("multilevel-table1", 10), ("multilevel-table2", 16), ("multilevel-table3", 4)])
def test_every_row_gives_scores_its_size_and_its_segments(place: Path, name: str, rows: int) -> None:
    paper = recipe(name)
    wish = Wish(
        recipe=replace(paper, rows=tuple(map(tiny, paper.rows))), corpus="toy", encoders={}, seeds=(0,),
        runs=place / "runs", data=place / "data", cache=place / "cache", device="cpu", no_weights=True,
    )  # fmt: skip
    table = reproduce.reproduce(wish, quiet=True)
    found = paper_table.to_json(table)["rows"]
    assert len(found) == rows
    for row, line in zip(paper.rows, found, strict=True):
        assert 0 <= line["ours"]["ua"]["mean"] <= 100
        assert (line["n"], line["runs"], "reduced" in line["marks"]) == (len(MEMBERS), 2, True)
        counted = {one.level: SEGMENTS[one.level][1] * len(MEMBERS) for one in row.sources if "@" in one.level}
        assert sorted(one["segments"] for one in line["segments"].values()) == sorted(counted.values())
    assert all(f"{line['parameters']:,}" in paper_table.to_text(table) for line in found)
