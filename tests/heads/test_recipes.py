"""The papers' tables as data: every printed number is there, and every head has the size that the paper's arithmetic gives."""

import json
import re
from dataclasses import replace

import pytest

import heads
from heads import coattention, concatenation, late, linear, parameters, recipes, reproduce, splits, transformer
from heads.config import override
from heads.recipes.recipe import Recipe
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
    said = {value for one in ALL for row in (*one.rows, *one.cited) for value in row.printed.values()}
    numbers = {float(number) for number in re.findall(r"(\d\d\.\d\d)%", tables)}
    assert numbers - said == {65.80}  # what it quotes of Pepino et al. in its text
    assert said - numbers == set()


def test_the_heads_know_the_same_numbers() -> None:
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
        assert set(row.printed) == set(one.metrics)
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
    assert [(one["recipe"], one["setting"]) for one in found] == [(one.name, row.name) for one in ALL for row in one.rows]
    for one in found:
        assert isinstance(one["parameters"], int) == (one["head"] in {*heads.HEADS, "combined"})
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
    assert all(reproduce.built(one, row) for one, row in rows)


def test_the_tables_are_listed_with_how_many_rows_can_be_run(shell: Shell) -> None:
    assert shell.run("reproduce --list --json") == 0
    assert [(one["name"], one["rows"], one["built"], one["cited"]) for one in json.loads(shell.out)] == [
        (one.name, len(one.rows), sum(reproduce.built(one, row) for row in one.rows), len(one.cited)) for one in ALL
    ]
    assert shell.run("reproduce --list") == 0
    assert "10 of 10 rows can be run" in shell.out


@pytest.mark.parametrize("command", ["reproduce", "reproduce table9"])
def test_a_table_that_is_not_there_is_answered_with_those_that_are(shell: Shell, command: str) -> None:
    assert shell.run(command) == 2
    assert all(name in shell.err for name in recipes.RECIPES)
