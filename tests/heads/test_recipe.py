"""Recurrent cells as data: what is a cell, how it is read, drawn at random and drawn as a picture."""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from emocache.errors import UsageError
from heads.emotionnas import cellfile, recipe, sampling
from heads.emotionnas.cellfile import Cell
from heads.emotionnas.sampling import Family
from heads.reporting import recurrent_cells

RNN = {"f": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": {"op": "activation_tanh", "input": ["f"]}}
TWO = {
    "h_new_0": {"op": "activation_sigm", "input": ["late"]},
    "late": {"op": "linear", "input": ["h_prev_1", "h_new_1"]},
    "h_new_1": {"op": "blend", "input": ["early", "h_prev_0", "h_prev_1"]},
    "early": {"op": "linear", "input": ["x", "h_prev_0", "h_prev_1"]},
}


def changed(**nodes: Any) -> dict[str, Any]:
    return {**RNN, **nodes}


def test_nodes_stand_after_what_they_need_whatever_the_order_of_the_file() -> None:
    found = recipe.of_json(TWO)
    assert [node.name for node in found.nodes] == ["early", "h_new_1", "late", "h_new_0"]
    assert found == recipe.of_json(dict(reversed(TWO.items())))
    assert (found.states, found.frame_matrices, found.state_matrices, len(found.linear)) == (2, 1, 4, 2)
    assert found.parameters(5, 3) == 1 * 5 * 3 + 4 * 9 + 2 * 3


@pytest.mark.parametrize("text", [json.dumps(RNN), repr(RNN), json.dumps({"seed": 1, "recepie": RNN})], ids=["json", "python", "published"])
def test_published_forms_are_read(text: str) -> None:
    assert recipe.read(text) == recipe.of_json(RNN)
    assert cellfile.from_text(text) == cellfile.from_text(Cell.of("recurrent", RNN).setting), "as a file of `train cell --genotype`"


def test_a_python_text_is_read_and_never_evaluated() -> None:
    with pytest.raises(UsageError, match="neither JSON nor a Python literal"):
        recipe.read("__import__('os').system('true')")


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (changed(f={"op": "linear", "input": ["x", "h_new_0"]}), "a cell has no loop within a step"),
        (changed(f={"op": "linear", "input": ["x", "h_prev_1"]}), "f needs h_prev_1, and there is no such"),
        (changed(f={"op": "linear", "input": ["h_prev_0", "h_prev_0"]}), "inputs of f must be names, each once"),
        (changed(f={"op": "linear", "input": ["x"]}), "f has 1 inputs, linear takes 2 or 3"),
        (changed(f={"op": "conv", "input": ["x"]}), "operation 'conv'; there are: linear"),
        (changed(g={"op": "activation_tanh", "input": ["f"]}), "nothing depends on g"),
        (changed(h_new_0={"op": "activation_tanh", "input": ["x"]}, f=RNN["h_new_0"]), "only linear takes x|no loop"),
        (changed(h_new_2={"op": "activation_tanh", "input": ["f"]}), "hidden states must be h_new_0, h_new_1"),
        ({"f": RNN["f"]}, "hidden states must be"),
        (changed(h_prev_0=RNN["f"]), "'h_prev_0' cannot be the name of a node"),
        ({"h_new_0": {"op": "activation_tanh", "input": ["h_prev_0"]}}, "nothing depends on x"),
        ({}, "expected an object of 1 to 64 nodes"),
        ([1], "expected an object of 1 to 64 nodes"),
        (changed(f={"op": "linear"}), "f is no node"),
    ],
)  # fmt: skip
def test_what_is_no_cell_is_refused_in_one_line(nodes: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        recipe.of_json(nodes)
    assert "\n" not in str(error.value)


def test_a_file_of_a_recurrent_cell_is_read_back_and_checked(tmp_path) -> None:  # type: ignore[no-untyped-def]
    cell = Cell.of("recurrent", RNN)
    cellfile.save(tmp_path / "cell.json", cellfile.Found(cell=cell, found={"corpus": "toy"}))
    assert cellfile.load(tmp_path / "cell.json").cell == cell
    with pytest.raises(UsageError, match="nothing depends on g"):
        cellfile.from_text(Cell.of("recurrent", changed(g=RNN["h_new_0"])).setting)


def test_a_seed_draws_the_same_cells_and_another_seed_others() -> None:
    first, again, other = (sampling.sample(4, seed, Family()) for seed in (3, 3, 4))
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 4


def test_drawn_cells_are_of_the_family_and_meet_both_constraints() -> None:
    for cell in sampling.sample(12, 0, Family()):
        assert (cell.states, cell.frame_matrices, cell.state_matrices, len(cell.linear)) == (2, 1, 6, 3)
        assert 2 * cell.parameters(512, 128) + 256 + 257 * 128 + 129 * 4 - 128 + 128 == 362_116
        for node in cell.nodes:
            assert not node.before or not {"h_prev_0", "h_prev_1"} & set(node.inputs)


def test_an_open_family_has_other_sizes_too() -> None:
    found = sampling.sample(20, 0, Family(frame_matrices=0, state_matrices=0, linear=0))
    assert len({(cell.frame_matrices, cell.state_matrices) for cell in found}) > 3


def test_a_family_that_is_never_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MOST_DRAWS", 200)
    with pytest.raises(UsageError, match="200 draws gave 0 of 1 such cells"):
        sampling.sample(1, 0, Family(frame_matrices=2, state_matrices=14))


@pytest.mark.parametrize("nodes", [RNN, TWO], ids=["one state", "two states"])
def test_a_picture_has_a_box_for_every_node_and_an_edge_for_every_input(nodes: dict[str, Any]) -> None:
    cell = recipe.of_json(nodes)
    picture = ElementTree.fromstring(recurrent_cells.draw(cell))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [one for one in picture.iter(f"{space}rect") if one.get("class")]
    edges = [one for one in picture.iter(f"{space}path") if one.get("class") == "edge"]
    assert len(boxes) == len(cell.nodes) + 1 + cell.states
    assert len(edges) == sum(len(node.inputs) for node in cell.nodes)
    corners = [(float(one.get("x", 0)), float(one.get("y", 0))) for one in boxes]
    assert all(abs(a - c) >= 112 or abs(b - d) >= 36 for i, (a, b) in enumerate(corners) for c, d in corners[:i])
