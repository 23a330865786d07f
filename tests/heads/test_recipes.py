"""The papers' tables as data: every printed number is there, and every head has the size that the paper's arithmetic gives."""

import json
import re
from dataclasses import replace

import pytest

import heads
from heads import coattention, concatenation, late, linear, mstr, parameters, recipes, splits, transformer, wish
from heads.config import override
from heads.recipes.recipe import Recipe, Row
from tests.conftest import SHARED
from tests.shell import Shell

ALL = recipes.every()
BY_NAME = {one.name: one for one in ALL}


def printed(name: str, head: str) -> list[float]:
    return [row.printed["ua"] for row in BY_NAME[name].rows if row.head == head]


def test_the_tables_of_multi_level_fusion_hold_every_printed_number() -> None:
    assert printed("multilevel-table1", "linear") == [68.12, 65.44, 64.24, 63.86, 64.48]
    assert printed("multilevel-table1", "transformer") == [67.29, 62.85, 62.79, 63.26, 62.38]
    assert printed("multilevel-table2", "coattention") == [74.28, 74.57, 74.05, 74.27, 73.35, 73.96, 73.53, 73.64]
    assert printed("multilevel-table2", "late") == [74.88, 75.15, 75.80, 75.22, 74.67, 75.52, 75.59, 74.60]
    assert [row.printed["ua"] for row in BY_NAME["multilevel-table3"].rows] == [71.29, 74.57, 75.80, 76.31]
    assert [one.printed["ua"] for one in BY_NAME["multilevel-table3"].cited] == [70.08, 72.05, 72.82, 73.00, 75.00, 75.05]


def test_the_numbers_are_those_of_the_paper_s_text() -> None:
    found = sorted((SHARED / "papers").glob("002_*.txt"))
    if not found:
        pytest.skip("the paper's text is not beside the project")
    text = found[0].read_text(encoding="utf-8")
    tables = text[text.index("Table 1:") : text.index("Conclusion and Future Work")]
    tables_of = [one for one in ALL if one.name.startswith("multilevel")]
    said = {value for one in tables_of for row in (*one.rows, *one.cited) for value in row.printed.values()}
    numbers = {float(number) for number in re.findall(r"(\d\d\.\d\d)%", tables)}
    assert numbers - said == {65.80}  # what it quotes of Pepino et al. in its text
    assert said - numbers == set()


def test_the_table_of_mstr_holds_every_printed_number() -> None:
    rows = {row.name: row.printed for one in recipes.parts("mstr-table2") for row in one.rows}
    assert rows == {
        "iemocap-baseline": {"wa": 68.90, "ua": 70.02}, "iemocap": {"wa": 70.60, "ua": 71.60},
        "meld-baseline": {"wf1": 45.20}, "meld": {"wf1": 46.15},
        "crema-d-baseline": {"wa": 77.70, "ua": 77.90}, "crema-d": {"wa": 79.70, "ua": 79.92},
    }  # fmt: skip


def test_the_numbers_of_mstr_are_those_of_the_paper_s_text() -> None:
    found = sorted((SHARED / "papers").glob("001_*.txt"))
    if not found:
        pytest.skip("the paper's text is not beside the project")
    text = found[0].read_text(encoding="utf-8")
    numbers = {float(number) for number in re.findall(r"\b(\d\d\.\d\d)\b(?!M|G)", text[text.index("Table 2:") : text.index("3.3.2")])}
    said = {value for one in recipes.parts("mstr-table2") for row in (*one.rows, *one.cited) for value in row.printed.values()}
    assert said == numbers


def test_what_is_held_out_is_named_where_the_corpus_has_no_validation_part() -> None:
    named = {row.name: any("held out" in text for text in row.deviations) for one in recipes.parts("mstr-table2") for row in one.rows}
    assert {name for name, held in named.items() if not held} == {"meld-baseline", "meld"}


def test_the_row_with_a_spectrogram_says_that_the_speaker_embedding_is_standardised_too() -> None:
    (row,) = BY_NAME["tdfnet-table5"].pick(("without-ME",))
    assert "normalise=speech" in row.settings
    assert any(text.startswith("spectrogram and speaker embedding are standardised") for text in row.deviations)


def test_the_rows_without_a_speaker_embedding_say_so() -> None:
    for row in BY_NAME["tdfnet-table5"].rows:
        has = any(source.encoder == "ecapa" for source in row.sources)
        assert any("speaker embedding is left out" in text for text in row.deviations) != has


def test_every_window_and_number_of_scales_of_the_figure_is_a_row_on_every_corpus() -> None:
    for one in recipes.parts("mstr-fig3"):
        tried = {row.name.rpartition("-")[2] for row in one.rows}
        assert tried == {"baseline", "p2", "p3", "p4", "p5", "L1", "L2", "L3", "L4"}
        assert one.seeds == tuple(range(10))


def test_the_tables_of_tdfnet_hold_every_number_of_its_text() -> None:
    found = sorted((SHARED / "papers").glob("000_*.txt"))
    if not found:
        pytest.skip("the paper's text is not beside the project")
    text = found[0].read_text(encoding="utf-8")
    tables = [
        text[text.index(start) : text.index(end)] for start, end in (("TABLE I\n", "Fig. 5. Confusion"), ("TABLE II\n", "learn more emo"))
    ]
    rows = [row for one in ALL if one.name.startswith("tdfnet-table") for row in (*one.rows, *one.cited)]
    said = {value for row in rows for value in row.printed.values()}
    said |= {value for row in rows if isinstance(row, Row) for fold in row.by_fold.values() for value in fold.values()}
    numbers = {float(number) for part in tables for number in re.findall(r"\t(\d\d\.\d\d)%", part)}
    assert numbers - said == set()
    assert said - numbers == set()


def test_the_means_of_tdfnet_are_those_of_its_folds() -> None:
    for row in BY_NAME["tdfnet-table1"].rows:
        assert len(row.by_fold) == row.folds
        for metric, mean in row.printed.items():
            assert sum(fold[metric] for fold in row.by_fold.values()) / len(row.by_fold) == pytest.approx(mean, abs=0.0051)


def test_every_setting_of_tdfnet_is_listed_with_its_size() -> None:
    found = {one["setting"]: one["parameters"] for one in parameters.settings() if one["head"] == "tdfnet" and "trained_as" in one}
    assert found == {
        "paper": 254_731_780, "block-gate": 117_806_788, "audio-path": 48_501_316, "text-path": 45_944_644, "without-DST": 114_757_636,
        "without-MT": 113_346_820, "without-ME": 254_814_724,
    }  # fmt: skip


def test_what_is_noted_of_a_table_is_of_its_own_rows() -> None:
    said = {number: " ".join(BY_NAME[f"multilevel-table{number}"].notes) for number in (1, 2, 3)}
    assert [number for number, text in said.items() if "co-attention" in text] == [2, 3]
    assert [number for number, text in said.items() if "transformer encoder" in text] == [1]
    assert [number for number, text in said.items() if "concatenation" in text] == [3]


def test_the_table_of_mmer_holds_every_printed_number() -> None:
    assert {row.name: row.printed["wa"] for row in BY_NAME["mmer-table1"].rows} == {
        "text": 69.2, "speech": 73.9, "multimodal": 74.1, "cai": 77.1,
        "without-ctc": 78.1, "without-scl": 78.9, "without-acl": 79.8, "mmer": 81.2,
    }  # fmt: skip
    assert [row.printed for row in BY_NAME["mmer-transcripts"].rows] == [{"wa": 81.2}, {"wa": 75.0}]
    assert any("WA and UA swapped" in note for note in BY_NAME["mmer-table1"].notes)


def test_the_numbers_of_mmer_are_those_of_the_paper_s_text() -> None:
    found = sorted((SHARED / "papers").glob("003_*.txt"))
    if not found:
        pytest.skip("the paper's text is not beside the project")
    text = found[0].read_text(encoding="utf-8")
    table = BY_NAME["mmer-table1"]
    said = sorted(value for row in (*table.rows, *table.cited) for value in row.printed.values())
    start = text.index("Table 1: *Emotion")
    assert said == sorted(float(number) for number in re.findall(r"(\d\d\.\d)%", text[start : text.index("Figure 2: *Confusion", start)]))
    assert "75.0% WA when Google transcripts" in text


def test_the_grid_of_mmer_has_every_combination_of_weights_once() -> None:
    rows = BY_NAME["mmer-grid"].rows
    assert len({row.settings for row in rows}) == 4**3
    assert [row.settings for row in rows if row.printed] == [("alpha=0.1", "beta=0.1", "gamma=0.1")]


def test_the_heads_know_the_same_numbers() -> None:
    assert [rows.printed["ua"] for rows in BY_NAME["mstr-table2-iemocap"].rows] == list(mstr.PAPER.reported.values())
    assert list(linear.PAPER.reported.values()) == printed("multilevel-table1", "linear")
    assert list(late.PAPER.reported.values()) == printed("multilevel-table2", "late")
    assert list(transformer.PAPER.reported.values()) == printed("multilevel-table1", "transformer")
    assert list(coattention.PAPER.reported.values()) == printed("multilevel-table2", "coattention")
    assert list(concatenation.PAPER.reported.values()) == printed("multilevel-table3", "concatenation")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_recipe_is_one_that_can_be_run(one: Recipe) -> None:
    assert recipes.recipe(one.name) is one
    assert one.protocol in splits.PROTOCOLS
    names = [row.name for row in one.rows]
    assert len(set(names)) == len(names)
    assert not [name for name in names if re.search(r"[\s,]", name)]
    for row in one.rows:
        assert set(row.printed) <= set(one.metrics)
        for part in row.combines:
            assert part in names
        if row.head in heads.HEADS:
            head = heads.head(row.head)
            override(head.Config(), row.settings)
            assert head.NEEDS.least <= len(row.sources) <= (head.NEEDS.most or len(row.sources))


@pytest.mark.parametrize(
    ("table", "row", "count"),
    [
        ("multilevel-table1", "word-linear", 117_008),
        ("multilevel-table2", "F+S-late", 351_024),
        ("multilevel-table2", "F+P+S+W-late", 585_040),
        ("multilevel-table2", "F+P-coattention", 87_429_160),
        ("multilevel-table2", "F+P+S+W-coattention", 179_575_360),
        ("tdfnet-table1", "ra", 254_731_780),
        ("tdfnet-table5", "audio-path", 48_501_316),
        ("tdfnet-table5", "text-path", 45_944_644),
        ("tdfnet-table5", "without-DST", 114_757_636),
        ("tdfnet-table5", "without-MT", 113_346_820),
        ("tdfnet-table5", "without-ME", 254_814_724),
        ("tdfnet-table5", "TDFNet", 254_731_780),
        ("mmer-released", "released", 35_466_276),
        ("mmer-table1", "multimodal", 6_148),
    ],
)
def test_the_sizes_are_those_of_the_paper_s_dimensions(table: str, row: str, count: int) -> None:
    (found,) = BY_NAME[table].pick((row,))
    assert parameters.parameters(found) == count


def test_sizes_are_counted_without_allocating_weights() -> None:
    (row,) = BY_NAME["multilevel-table1"].pick(("text-linear",))
    wide = replace(row, sources=(replace(row.sources[0], dim=10**10),))
    assert parameters.parameters(wide) == 12 + 2 * 10**10 + 128 * 10**10 + 128 + 128 * 129 + 129 * 4


def test_every_row_of_every_table_is_listed_with_what_it_needs(shell: Shell) -> None:
    assert shell.run("heads --json") == 0
    found = [one for one in json.loads(shell.out) if "trained_as" not in one]
    assert [(one["recipe"], one["setting"]) for one in found] == [(one.name, row.name) for one in ALL if not one.shows for row in one.rows]
    for one in found:
        searched_for = "derived" in one["setting"]  # a network whose size nobody knows before the search
        assert isinstance(one["parameters"], int) == (one["head"] in {*heads.HEADS, "combined", "emotionnas"} and not searched_for)
        assert all({*need} == {"encoder", "level", "layers", "dim"} for need in one["needs"])
    assert shell.run("heads") == 0
    assert "585,040 parameters" in shell.out


def test_every_setting_of_multi_level_fusion_is_listed_once_under_the_papers_name(shell: Shell) -> None:
    assert shell.run("heads --json") == 0
    found = [one for one in json.loads(shell.out) if one["head"] == "multilevel"]
    sizes = {one["setting"]: one["parameters"] for one in found}
    assert len(found) == len(sizes) == 20
    assert {name: sizes[name] for name in ("branch", "late-F+S", "late-F+P+S+W")} == {
        "branch": 117_008, "late-F+S": 351_024, "late-F+P+S+W": 585_040,
    }  # fmt: skip
    assert sizes["combined-F+P+S"] == sizes["coattention-F+P"] + sizes["late-F+S"]
    rows = [name for one in found for name in one["rows"]]
    assert sorted(rows) == sorted(f"{one.name}/{row.name}" for one in ALL if one.system == "multilevel" for row in one.rows)
    assert {one["setting"]: one["trained_as"] for one in found}["branch"] == "linear"


def test_every_row_of_multi_level_fusion_can_be_run() -> None:
    rows = [(one, row) for one in ALL if one.system == "multilevel" for row in one.rows]
    assert len(rows) == 30  # the 28 that are printed, two of them in two tables
    assert all(wish.built(one, row) for one, row in rows)


def test_the_tables_are_listed_with_how_many_rows_can_be_run(shell: Shell) -> None:
    assert shell.run("reproduce --list --json") == 0
    assert [(one["name"], one["rows"], one["built"], one["cited"]) for one in json.loads(shell.out)] == [
        (one.name, len(one.rows), sum(wish.built(one, row) for row in one.rows), len(one.cited)) for one in ALL
    ]
    assert shell.run("reproduce --list") == 0
    assert "10 of 10 rows can be run" in shell.out


@pytest.mark.parametrize("command", ["reproduce", "reproduce table9"])
def test_a_table_that_is_not_there_is_answered_with_those_that_are(shell: Shell, command: str) -> None:
    assert shell.run(command) == 2
    assert all(name in shell.err for name in recipes.RECIPES)
