import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from emocache.errors import UsageError
from heads.emotionnas import cellfile, genotype
from heads.emotionnas.cellfile import Cell, Found
from heads.emotionnas.genotype import OPERATIONS
from heads.reporting import cells
from tests.heads.toy_searched import GENOTYPE, PRINTED

CELL = Cell.of("convolutional", genotype.to_json(GENOTYPE))


def table(**best: tuple[str, float]) -> torch.Tensor:
    """Architecture weights of a cell: `e3=("skip_connect", 2.0)` favours an operation on edge 3."""
    found = torch.zeros(14, 8)
    for edge, (operation, weight) in best.items():
        found[int(edge[1:]), OPERATIONS.index(operation)] = weight
    return found


def test_a_node_keeps_its_two_heaviest_edges_the_heavier_first():
    weights = table(e2=("skip_connect", 1.0), e3=("sep_conv_3x3", 2.0), e4=("max_pool_3x3", 3.0))
    assert genotype.decode(weights, weights).normal[2:4] == (("max_pool_3x3", 2), ("sep_conv_3x3", 1))


def test_of_equal_edges_and_operations_the_lower_numbers_are_kept():
    assert genotype.decode(torch.zeros(14, 8), torch.zeros(14, 8)).reduce == (("max_pool_3x3", 0), ("max_pool_3x3", 1)) * 4


def test_none_is_never_kept_but_weighs_in_the_softmax_that_edges_are_compared_by():
    weights = table(e2=("skip_connect", 1.0), e3=("skip_connect", 1.0), e4=("skip_connect", 1.5))
    weights[4, 0] = 5.0  # edge 4 has the heaviest logit of an operation, and nearly all of its weight is on none
    kept = genotype.decode(weights, weights).normal[2:4]
    assert kept == (("skip_connect", 0), ("skip_connect", 1))


def test_a_printed_genotype_is_read_without_being_evaluated():
    assert genotype.from_text(PRINTED) == GENOTYPE
    with pytest.raises(UsageError, match="expected"):
        genotype.from_text("Genotype(normal=[(__import__('os').getcwd(), 0)], reduce=[])")
    with pytest.raises(UsageError, match="expected Genotype"):
        genotype.from_text("print(1)")


def test_a_published_cell_of_other_outputs_is_read_too():
    text = PRINTED.replace("normal_concat=range(2, 6)", "normal_concat=[4, 5]")
    assert genotype.from_text(text) == replace(GENOTYPE, normal_concat=(4, 5))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("'sep_conv_5x5', 3", "'sep_conv_7x7', 3", "'sep_conv_7x7'; there are"),
        ("('max_pool_3x3', 2)", "('max_pool_3x3', 3)", "node 1 of normal takes state 3"),
        ("normal=[('sep_conv_3x3', 0), ", "normal=[", "7 edges"),
        ("range(2, 6)", "[6]", "states are 0 to 5"),
        ("normal=", "ordinary=", "missing"),
        ("('sep_conv_3x3', 0)", "('sep_conv_3x3', 'a')", "no number of a state"),
    ],
)  # fmt: skip
def test_a_genotype_that_cannot_be_is_one_line(before: str, after: str, said: str):
    with pytest.raises(UsageError, match=said):
        genotype.from_text(PRINTED.replace(before, after, 1))


def test_a_file_gives_back_what_was_saved(tmp_path: Path):
    cellfile.save(tmp_path / "a.json", Found(cell=CELL, found={"fold": "Ses1", "seed": 3}))
    found = cellfile.load(tmp_path / "a.json")
    assert found.cell == CELL
    assert genotype.from_json(found.cell.value) == GENOTYPE
    assert found.found == {"fold": "Ses1", "seed": 3}


def test_how_a_cell_was_found_and_how_its_file_is_written_make_no_other_cell(tmp_path: Path):
    (tmp_path / "printed.txt").write_text(PRINTED)
    (tmp_path / "a.json").write_text(json.dumps({"found": {"seed": 1}, "cell": CELL.value, "kind": CELL.kind, "format": 1}, indent=3))
    assert Cell.parse(str(tmp_path / "printed.txt")) == Cell.parse(str(tmp_path / "a.json")) == Cell.parse(PRINTED) == CELL
    assert Cell.parse(CELL.setting) == CELL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no searched cell"),
        ('{"format": 1, "kind": "convolutional"}', "no searched cell"),
        ('{"format": 2, "kind": "convolutional", "cell": {}}', "format 2"),
        ('{"format": 1, "kind": "square", "cell": {}}', "'square'; there are"),
        ('{"format": 1, "kind": "convolutional", "cell": {}}', "normal is missing"),
    ],
)
def test_a_file_that_is_no_cell_is_named_in_one_line(tmp_path: Path, text: str, said: str):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        cellfile.load(tmp_path / "a.json")
    assert str(error.value).startswith(str(tmp_path / "a.json"))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        Cell.parse(str(tmp_path / "none.json"))


def test_a_seed_draws_the_same_genotypes_and_none_joins_nothing():
    drawn = [genotype.drawn(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert "none" not in {operation for one in drawn for operation, _ in (*one.normal, *one.reduce)}


def test_a_picture_is_well_formed_and_shows_every_edge_of_both_cells():
    words = [one.text for one in ElementTree.fromstring(cells.draw(GENOTYPE)).iter("{http://www.w3.org/2000/svg}text")]
    for operation, _ in (*GENOTYPE.normal, *GENOTYPE.reduce):
        assert words.count(operation) == [name for name, _ in (*GENOTYPE.normal, *GENOTYPE.reduce)].count(operation)
    assert words.count("cₖ₋₂") == 2


CUT = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], reduce=[('skip_connect', 0), ('skip_connect', 1)], normal_concat={})"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "no searched cell|nested"),
        ("Genotype(normal=" + "-" * 5000 + "1, reduce=[])", "expected"),
        ("Genotype(normal=" + "+".join(["1"] * 20_000) + ", reduce=[])", "expected"),
        ("Genotype(normal='\ud800', reduce=[])", "expected Genotype"),
        (CUT.format("range(2, 1000000000000)"), "states are 0 to 2, each once"),
        (CUT.format("[2, 2]"), "states are 0 to 2, each once"),
        (CUT.format("[2], reduce_concat=[1, 2]"), "reduce_concat is .1, 2.; states are 2 to 2"),
        (json.dumps({"format": 1, "kind": "convolutional", "cell": {"normal": [["none", 0]] * 1000, "reduce": []}}), "1 to 64 nodes"),
    ],
    ids=["deep", "minus", "plus", "surrogate", "endless", "twice", "larger", "many"],
)
def test_a_hostile_text_is_one_short_line(text: str, said: str):
    with pytest.raises(UsageError, match=said) as error:
        cellfile.from_text(text)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_a_file_without_an_end_is_not_read_to_it():
    with pytest.raises(UsageError, match="no searched cell"):
        cellfile.load(Path("/dev/zero"))


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path):
    (tmp_path / "cell.json").write_text(CELL.setting, encoding="utf-8-sig")
    assert cellfile.load(tmp_path / "cell.json").cell == CELL
