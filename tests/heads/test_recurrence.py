"""The fast interpreter of recurrent cells against a plain loop, and the network around it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from heads import cell, parameters
from heads.config import override
from heads.data import Batch, Input, PackedTensor
from heads.emotionnas import products, recipe, sampling
from heads.emotionnas.cellfile import Cell
from heads.emotionnas.recipe import CellRecipe
from heads.emotionnas.recurrence import Recurrence, steps_of
from heads.emotionnas.recurrent import Recurrent, pooled
from heads.emotionnas.sampling import Family
from tests.heads.plain_cell import PlainLayer

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "nas"
OWN = sampling.sample(3, 0, Family()) + sampling.sample(6, 1, Family(frame_matrices=0, state_matrices=0, linear=0))
ONE = Input(name="enc", level="frames", layers=(0,), dim=5, longest=9)
LENGTHS = (7, 3, 9, 1, 9)


def published() -> list[CellRecipe]:
    """The 30 cells beside the project."""
    if not SAMPLES.is_dir():
        pytest.skip("the published cells are not beside the project")
    files = (json.loads((SAMPLES / name).read_text()) for name in ("recipes.json", "recipes_1x6h.json"))
    return [recipe.of_json(one) for found in files for one in found]


def offsets(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def difference(of: CellRecipe, *, directions: int = 2, dtype: torch.dtype = torch.float64) -> float:
    """The largest difference to the plain loop: of outputs, and of the gradients of weights and frames."""
    torch.manual_seed(0)
    fast = Recurrence(of, 5, 4, directions=directions).to(dtype)
    plain = PlainLayer(fast)
    rows = torch.randn(sum(LENGTHS), 5, dtype=dtype)
    given, again = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    found = fast(given, steps_of(offsets(LENGTHS)))
    expected = torch.cat([plain(one) for one in again.split(LENGTHS)])
    weight = torch.randn_like(found)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    pairs = [(found, expected), (given.grad, again.grad), *plain.pairs(fast, grad=True)]
    return max(float((one - other).detach().abs().max()) for one, other in pairs)


@pytest.mark.parametrize("of", OWN, ids=lambda one: one.digest)
@pytest.mark.parametrize("directions", [1, 2])
def test_it_computes_what_a_plain_loop_does_and_its_gradients(of: CellRecipe, directions: int) -> None:
    assert difference(of, directions=directions) < 1e-10


def test_all_published_cells_are_as_the_plain_loop_has_them() -> None:
    cells = published()
    assert len(cells) == 30
    assert max(map(difference, cells)) < 1e-10


def test_single_precision_goes_by_onednn_where_it_can_be_had_and_differs_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "LEAST", 1)
    torch.manual_seed(0)
    layer, rows = Recurrence(OWN[0], 5, 4), torch.randn(sum(LENGTHS), 5)
    found = layer(rows, steps_of(offsets(LENGTHS)))
    monkeypatch.setattr(products, "by_onednn", lambda like: False)
    torch.testing.assert_close(layer(rows, steps_of(offsets(LENGTHS))), found, atol=1e-5, rtol=1e-4)
    assert difference(OWN[1], dtype=torch.float32) < 1e-3


def test_an_utterance_gets_what_it_gets_alone() -> None:
    torch.manual_seed(0)
    layer, rows = Recurrence(OWN[0], 5, 4).double(), torch.randn(sum(LENGTHS), 5, dtype=torch.float64)
    together = layer(rows, steps_of(offsets(LENGTHS)))
    alone = [layer(one, steps_of(offsets([len(one)]))) for one in rows.split(LENGTHS)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_steps_take_who_is_not_over_and_begin_backwards_at_each_end() -> None:
    found = steps_of(offsets([2, 3]))
    assert found.sizes == (2, 2, 1)
    assert found.order.tolist() == [[2, 0, 3, 1, 4], [4, 1, 3, 0, 2]]
    assert found.before.tolist() == [0, 1, 2]


def build(*settings: str, one: Input = ONE, of: CellRecipe = OWN[0]) -> Recurrent:
    config = override(cell.Config(), [f"genotype={Cell.of('recurrent', of.to_json()).setting}", "layers=2", "width=4", *settings])
    torch.manual_seed(0)
    model = cell.build(config, [one], 4)
    assert isinstance(model, Recurrent)
    return model


def batch(lengths: Sequence[int], rows: Tensor | None = None) -> Batch:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(1, sum(lengths), 5, generator=draw) if rows is None else rows[None]
    return Batch((PackedTensor(values, offsets(lengths)),), torch.arange(len(lengths)) % 4)


@pytest.mark.parametrize("settings", [("frames=0",), ("frames=4",), ("frames=4", "mask=true"), ("frames=12",)], ids=" ".join)
def test_padding_never_changes_an_answer(settings: tuple[str, ...]) -> None:
    model, whole = build(*settings), batch(LENGTHS)
    together = model(whole).logits[0]
    parts = whole.inputs[0].values[0].split(LENGTHS)
    alone = torch.cat([model(batch([len(part)], part)).logits[0] for part in parts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bidirectional", ["true", "false"])
def test_every_parameter_learns_and_every_frame_is_heard(bidirectional: str) -> None:
    model = build("frames=0", f"bidirectional={bidirectional}")
    given = batch(LENGTHS)
    given.inputs[0].values.requires_grad_()
    model(given).losses["cross_entropy"].sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())
    assert (given.inputs[0].values.grad[0].abs().sum(1) > 0).all()


def test_eight_examples_are_learnt_by_heart() -> None:
    model, given = build("frames=0", "width=8", "layers=1"), batch([4] * 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        model(given).losses["cross_entropy"].sum().backward()
        optimiser.step()
    assert (model(given).logits[0].argmax(1) == given.labels).all()


def test_bins_are_means_that_do_not_overlap_with_zeros_up_to_the_longest() -> None:
    rows = torch.arange(1.0, 11.0)[:, None]
    found, edges = pooled(rows, offsets([7, 3]), 7, 3, mask=False)
    assert edges.tolist() == [0, 3, 6]
    torch.testing.assert_close(found[:, 0], torch.tensor([1.5, 3.5, 6.0, 8.5, 5.0, 0.0]))  # bins hold frames 0-1, 2-3, 4-6
    found, edges = pooled(rows, offsets([7, 3]), 7, 3, mask=True)
    assert edges.tolist() == [0, 3, 5]
    torch.testing.assert_close(found[:, 0], torch.tensor([1.5, 3.5, 6.0, 8.5, 10.0]))


def test_utterances_shorter_than_the_bins_are_filled_up_with_zeros() -> None:
    found, edges = pooled(torch.ones(3, 2), offsets([1, 2]), 2, 4, mask=False)
    assert edges.tolist() == [0, 4, 8]
    assert found[:, 0].tolist() == [1, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(("layers", "width", "count"), [(1, 128, 362_116), (2, 256, 2_233_092)])
def test_sizes_are_those_of_the_paper(layers: int, width: int, count: int) -> None:
    with torch.device("meta"):
        model = build(f"layers={layers}", f"width={width}", one=replace(ONE, dim=512))
    assert sum(weight.numel() for weight in model.parameters()) == count


def test_settings_of_the_head_are_listed_with_their_sizes() -> None:
    found: dict[str, Any] = {one["setting"]: one for one in parameters.settings() if one["head"] == "emotionnas"}
    sizes = {"rnn-1-128": 362_116, "rnn-2-256": 2_233_092, "fusion": 128, "supernet-3-6": 132_274, "emotionnas": 2_365_494}
    assert {name: found[name]["parameters"] for name in sizes} == sizes
