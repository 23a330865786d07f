"""Blocks against slow and plain versions of themselves."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from heads import blocks
from tests.heads.toy import DIM, packed


def mix(weights: blocks.LayerWeights = "plain") -> tuple[blocks.LayerMix, torch.Tensor, torch.Tensor]:
    """A mix of three layers with uneven weights, and the statistics it standardises with."""
    torch.manual_seed(0)
    mean, std = torch.randn(3, DIM), torch.rand(3, DIM) + 0.5
    made = blocks.LayerMix(3, mean, std, weights)
    made.weight.data = torch.tensor([1.0, -0.2, 2.0])
    return made, mean, std


@pytest.mark.parametrize(("weights", "share"), [("plain", [1 / 2.8, -0.2 / 2.8, 2 / 2.8]), ("absolute", [1 / 3.2, 0.2 / 3.2, 2 / 3.2])])
def test_the_mix_is_the_weighted_sum_of_standardised_layers(weights: blocks.LayerWeights, share: list[float]) -> None:
    made, mean, std = mix(weights)
    values = packed([4, 3], layers=3).values
    plain = sum(a * (x.float() - m) / s for a, x, m, s in zip(share, values, mean, std, strict=True))
    torch.testing.assert_close(made(values), plain)


def test_the_mix_has_the_gradient_that_autograd_gives_the_plain_formula() -> None:
    made, mean, std = mix()
    values, upstream = packed([4, 3], layers=3).values, torch.randn(7, DIM)
    made(values).backward(upstream)
    weight = made.weight.detach().clone().requires_grad_()
    plain = ((weight / weight.sum())[:, None, None] * (values.float() - mean[:, None]) / std[:, None]).sum(0)
    plain.backward(upstream)
    torch.testing.assert_close(made.weight.grad, weight.grad)


def test_layer_weights_start_equal() -> None:
    made = blocks.LayerMix(4, torch.zeros(4, DIM), torch.ones(4, DIM))
    values = packed([5], layers=4).values
    torch.testing.assert_close(made(values), values.float().mean(0))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_keeps_the_expectation_and_drops_the_share_asked_for(p: float) -> None:
    torch.manual_seed(0)
    found = blocks.Dropout(p)(torch.ones(1001, 333))
    assert (found == 0).float().mean() == pytest.approx(p, abs=0.005)
    assert found.mean() == pytest.approx(1, abs=0.01)
    assert len(found.unique()) == 2


def test_dropout_does_nothing_in_evaluation() -> None:
    ones = torch.ones(10, 10)
    assert torch.equal(blocks.Dropout(0.5).eval()(ones), ones)


def test_dropout_treats_neighbours_apart() -> None:
    torch.manual_seed(0)
    dropped = blocks.Dropout(0.5)(torch.ones(100_000)).view(-1, 4) == 0
    together = torch.corrcoef(dropped.T.float())
    torch.testing.assert_close(together, torch.eye(4), atol=0.02, rtol=0)


def test_pooling_is_the_mean_and_deviation_of_each_utterance() -> None:
    whole = packed([4, 1, 6], layers=1, dtype=torch.float32)
    rows = whole.values[0]
    each = rows.split([4, 1, 6])
    torch.testing.assert_close(blocks.mean_over_time(rows, whole.offsets), torch.stack([x.mean(0) for x in each]))
    both = blocks.mean_and_std_over_time(rows, whole.offsets)
    plain = torch.stack([torch.cat([x.mean(0), x.std(0, correction=0)]) for x in each])
    torch.testing.assert_close(both, plain, atol=2e-4, rtol=1e-4)


def test_a_branch_is_the_padded_and_masked_network_of_the_paper() -> None:
    torch.manual_seed(0)
    made = blocks.Branch(mix()[0], DIM, 3, hidden=(8, 8), dropout=0.2, pooling="mean").eval()
    whole = packed([4, 1, 6], layers=3)
    dense = [part for part in made.dense if isinstance(part, nn.Linear)]
    for i, found in enumerate(made(whole.values, whole.offsets)):
        frames = made.norm(made.mix(whole.values[:, whole.offsets[i] : whole.offsets[i + 1]]))
        padded = F.pad(frames, (0, 0, 0, 6 - len(frames)))
        mask = (torch.arange(6) < len(frames)).float()[:, None]
        hidden = dense[1](dense[0](padded).relu()).relu()
        torch.testing.assert_close(found, made.classify((hidden * mask).sum(0) / mask.sum()))
