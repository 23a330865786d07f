import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from emocache.errors import UsageError
from heads import cell, handmade, supernet
from heads.config import override
from heads.data import Batch
from heads.emotionnas import genotype
from heads.emotionnas.cellfile import Cell
from heads.emotionnas.gradients import Ahead, architecture_gradient
from heads.emotionnas.images import images
from heads.emotionnas.supernet import Supernet, edges_of
from heads.recipes.emotionnas import RECIPE
from tests.heads import toy
from tests.heads.plain_supernet import PlainSupernet
from tests.heads.toy_searched import GENOTYPE, batch, config, image_input


def parameters(head: object, settings: tuple[str, ...], dim: int = 140) -> int:
    made = override(head.Config(), settings)  # type: ignore[attr-defined]
    with torch.device("meta"):
        return sum(one.numel() for one in head.build(made, [image_input(dim)], 4).parameters())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("layers", "channels", "count"), [(3, 4, 72_248), (3, 6, 132_274), (4, 8, 346_092)])
def test_the_network_of_the_search_has_the_papers_parameters(layers: int, channels: int, count: int):
    assert parameters(supernet, (f"layers={layers}", f"channels={channels}")) == count


def test_the_largest_network_is_not_what_the_paper_prints_and_says_so():
    assert parameters(supernet, ("layers=8", "channels=16")) == 1_928_212
    assert parameters(supernet, ("layers=6", "channels=16")) == 1_320_084
    said = supernet.deviations(override(supernet.Config(), ["layers=8", "channels=16"]), [image_input()])
    assert any("1,928,212" in line and "1.32 M" in line for line in said)


def test_a_derived_network_is_far_smaller_than_the_network_of_the_search():
    draw = torch.Generator().manual_seed(0)
    cells = [Cell.of("convolutional", genotype.to_json(genotype.drawn(draw))) for _ in range(30)]
    counts = [parameters(cell, (f"genotype={one.setting}", "layers=3", "width=6")) for one in cells]
    assert min(counts) >= 4_500
    assert max(counts) <= 27_499


def networks(height: int, width: int, layers: int = 3, channels: int = 4) -> Iterator[tuple[Supernet, PlainSupernet, Batch]]:
    """The fast network and the plain one with its weights, and a batch; then the same as they evaluate."""
    torch.manual_seed(0)
    made = supernet.build(config(f"layers={layers}", f"channels={channels}", f"frames={height}"), [image_input(width)], 3)
    made.alphas.copy_(torch.randn_like(made.alphas)).requires_grad_()
    plain = PlainSupernet(made)
    plain.alphas.requires_grad_()
    given = batch((height,) * 6, width)
    yield made, plain, given
    for one in (made, plain):
        one.eval()
    yield made, plain, given


@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 9)])
def test_edges_computed_together_give_what_edge_by_edge_gives(height: int, width: int):
    for made, plain, given in networks(height, width):
        torch.testing.assert_close(made(given).logits[0], plain(given), atol=1e-5, rtol=1e-5)


def test_gradients_of_architecture_and_network_weights_are_those_of_edge_by_edge():
    made, plain, given = next(networks(12, 12))
    wanted = torch.randn(6, 3)
    fast = torch.autograd.grad(made(given).logits[0], [made.alphas, made.classify.weight, made.stem.weight], wanted)
    slow = torch.autograd.grad(plain(given), [plain.alphas, plain.classify.weight, plain.stem[0].weight], wanted)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_every_parameter_and_every_operation_but_none_gets_a_gradient():
    made = supernet.build(config("layers=3"), [image_input()], 3)
    made.alphas.requires_grad_()
    made(batch()).losses["cross_entropy"].sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in made.parameters())
    assert (made.alphas.grad.abs() > 0).all()


def test_architecture_weights_are_saved_with_the_network_and_are_no_parameters():
    made = supernet.build(config(), [image_input()], 3)
    assert "alphas" in made.state_dict()
    assert "alphas" not in dict(made.named_parameters())
    assert made.genotype == genotype.decode(*made.alphas)


def test_an_edge_leads_from_its_state_to_each_later_node_once():
    assert [edges_of(state) for state in range(5)] == [[0, 2, 5, 9], [1, 3, 6, 10], [4, 7, 11], [8, 12], [13]]


def test_untracked_training_leaves_running_statistics_alone():
    made = supernet.build(config(), [image_input()], 3)
    before = {name: one.clone() for name, one in made.named_buffers()}
    with made.untracked():
        made(batch())
    assert all(torch.equal(one, before[name]) for name, one in made.named_buffers())
    made(batch())
    assert not torch.equal(made.stem_norm.running_mean, before["stem_norm.running_mean"])
    assert not torch.equal(made.cells[0].entries[0].norm.mean, before["cells.0.entries.0.norm.mean"])


def built(head: object, settings: tuple[str, ...]) -> torch.nn.Module:
    torch.manual_seed(0)
    return head.build(override(head.Config(), settings), [image_input()], 3).eval()  # type: ignore[attr-defined]


DERIVED = (f"genotype={Cell.of('convolutional', genotype.to_json(GENOTYPE)).setting}", "layers=3", "width=2", "frames=8")


@pytest.mark.parametrize(("head", "settings"), [(cell, DERIVED), (supernet, ("layers=3", "channels=2", "frames=8"))])
def test_who_else_is_in_a_batch_changes_no_answer(head: object, settings: tuple[str, ...]):
    network, given = built(head, settings), batch((3, 8, 20, 9))
    together = network(given).logits[0]
    for at in range(4):
        alone = Batch((given.inputs[0].take(torch.tensor([at])),), given.labels[at : at + 1])
        torch.testing.assert_close(network(alone).logits[0, 0], together[at])


def test_rows_are_averaged_without_overlap_each_once():
    rows = torch.arange(10.0)[:, None]
    found = images(rows, torch.tensor([0, 2, 10]), 3)[:, 0, :, 0]
    assert found.tolist() == [[0.0, 1.0, 0.0], [2.5, 5.0, 8.0]]  # floor(8 i / 3): 0, 2, 5, 8, counted from row 2
    assert math.isclose(float(images(torch.ones(11, 1), torch.tensor([0, 11]), 3).sum()), 3.0)


def test_images_of_one_height_are_the_rows_themselves():
    rows = torch.randn(8, 5)
    assert torch.equal(images(rows, torch.tensor([0, 4, 8]), 4).flatten(0, 2), rows)


def test_a_searched_cell_gets_a_gradient_everywhere_and_overfits_eight_examples():
    network = built(cell, DERIVED).train()
    torch.manual_seed(0)
    given = batch((8,) * 8)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        loss = network(given).losses["cross_entropy"].sum()
        optimiser.zero_grad()
        loss.backward()
        assert all(one.grad is not None for one in network.parameters())
        optimiser.step()
    assert loss.item() < 0.05


class Smooth:
    """A smooth bi-level toy, of which the second derivatives are not 0: w [4], alpha [3]."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.w = torch.randn(4, dtype=torch.float64, requires_grad=True)
        self.alpha = torch.randn(3, dtype=torch.float64, requires_grad=True)
        self.mixing, self.other = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)

    def training(self, w: Tensor | None = None) -> Tensor:
        return (
            torch.sin((self.w if w is None else w) * (self.mixing @ self.alpha)).square().sum() + (self.w if w is None else w).exp().mean()
        )

    def validation(self, w: Tensor | None = None) -> Tensor:
        return torch.cos(self.other @ (self.w if w is None else w) + self.alpha).sum()

    def exact(self, ahead: Ahead) -> Tensor:
        """By differentiating through the step."""
        (gradient,) = torch.autograd.grad(self.training(), self.w, create_graph=True)
        moved = self.w - ahead.lr * (ahead.momentum * ahead.velocities[0] + gradient + ahead.decay * self.w)
        return torch.autograd.grad(self.validation(moved), self.alpha)[0]


@pytest.mark.parametrize(("order", "error"), [("second", 1e-5), ("second-order-exact", 1e-13)])
def test_the_second_order_is_what_differentiating_through_the_step_gives(order: str, error: float):
    toy_problem = Smooth()
    ahead = Ahead([toy_problem.w], [torch.randn(4, dtype=torch.float64)], 0.1, 0.9, 0.01)
    before = toy_problem.w.detach().clone()
    wanted = toy_problem.exact(ahead)
    found = architecture_gradient(order, toy_problem.training, toy_problem.validation, toy_problem.alpha, ahead)  # type: ignore[arg-type]
    first = architecture_gradient("first", toy_problem.training, toy_problem.validation, toy_problem.alpha, ahead)
    assert float((found - wanted).norm() / wanted.norm()) < error
    assert float((first - wanted).norm() / wanted.norm()) > 0.01
    assert torch.equal(toy_problem.w, before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("channels=3",), "even"),
        (("refit=true",), "refit"),
        (("optimiser=adam",), "sgd"),
        (("accumulate=2",), "accumulate"),
        (("layers=1",), "layers"),
        (("order=third",), "second-order-exact"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(settings: tuple[str, ...], said: str):
    with pytest.raises(UsageError, match=said):
        config(*settings)


RECURRENT = f"genotype={Cell.of('recurrent', RECIPE).setting}"


@pytest.mark.parametrize(
    ("head", "settings", "said"),
    [
        (cell, (RECURRENT, "batch=16"), "batch is 16; our choice has 32"),
        (cell, (RECURRENT, "weight_decay=0.1"), "weight_decay is 0.1; our choice has 0.0"),
        (cell, (RECURRENT, "bidirectional=false"), "bidirectional is False; our reading of its sizes has True"),
        (cell, (RECURRENT, "lr=0.1"), "lr is 0.1; the paper has 0.001"),
        (cell, (*DERIVED, "lr=0.1"), "lr is 0.1; the search has 0.025"),
        (cell, (*DERIVED, "normalise=global"), "normalise is global; our choice has none"),
        (handmade, ("optimiser=sgd", "patience=3"), "training is our choice: sgd with lr 0.001, batch 32, at most 50 epochs, 3 without"),
    ],
)  # fmt: skip
def test_a_change_names_the_paper_for_what_it_prints_and_no_more(head: object, settings: tuple[str, ...], said: str):
    found = head.deviations(override(head.Config(), settings), [image_input()])  # type: ignore[attr-defined]
    assert [line for line in found if line.startswith(said)], found


def test_a_cell_without_a_file_is_one_line():
    with pytest.raises(UsageError, match="--genotype FILE"):
        cell.build(cell.Config(), [image_input()], 3)


def test_several_layers_are_one_line():
    two = toy.examples(toy.utterances(takes=1))[1]
    with pytest.raises(UsageError, match="--layers last"):
        supernet.build(config(), [two], 3)
