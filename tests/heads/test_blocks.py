"""Blocks against slow and plain versions of themselves."""

import pytest
import torch
from torch.nn import functional as F

from heads import blocks
from heads.data import Moments, frozen
from tests.heads.toy import DIM, packed


def mix(weights: blocks.LayerWeights = "plain") -> tuple[blocks.LayerMix, torch.Tensor, torch.Tensor]:
    """A mix of three layers with uneven weights, and the statistics it standardises with."""
    torch.manual_seed(0)
    mean, std = torch.randn(3, DIM), torch.rand(3, DIM) + 0.5
    made = blocks.LayerMix(3, mean, std, weights)
    made.weight.data = torch.tensor([[1.0, -0.2, 2.0]])
    return made, mean, std


@pytest.mark.parametrize(("weights", "share"), [("plain", [1 / 2.8, -0.2 / 2.8, 2 / 2.8]), ("absolute", [1 / 3.2, 0.2 / 3.2, 2 / 3.2])])
def test_the_mix_is_the_weighted_sum_of_standardised_layers(weights: blocks.LayerWeights, share: list[float]) -> None:
    made, mean, std = mix(weights)
    values = packed([4, 3], layers=3).values
    plain = sum(a * (x.float() - m) / s for a, x, m, s in zip(share, values, mean, std, strict=True))
    torch.testing.assert_close(made(values)[0], plain)


def test_the_mix_has_the_gradient_that_autograd_gives_the_plain_formula() -> None:
    made, mean, std = mix()
    values, upstream = packed([4, 3], layers=3).values, torch.randn(1, 7, DIM)
    made(values).backward(upstream)
    weight = made.weight.detach().clone().requires_grad_()
    plain = ((weight / weight.sum())[0][:, None, None] * (values.float() - mean[:, None]) / std[:, None]).sum(0)
    plain.backward(upstream[0])
    torch.testing.assert_close(made.weight.grad, weight.grad)


def test_layer_weights_start_equal() -> None:
    made = blocks.LayerMix(4, torch.zeros(4, DIM), torch.ones(4, DIM))
    values = packed([5], layers=4).values
    torch.testing.assert_close(made(values)[0], values.float().mean(0))


def test_long_inputs_are_mixed_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, _ = mix()
    values, upstream = packed([40, 31], layers=3).values, torch.randn(1, 71, DIM)
    whole = made(values)
    whole.backward(upstream)
    gradient, made.weight.grad = made.weight.grad, None
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 4 * 3 * DIM * 9)
    pieces = made(values)
    pieces.backward(upstream)
    torch.testing.assert_close(pieces, whole)
    torch.testing.assert_close(made.weight.grad, gradient)


def test_a_single_layer_is_the_same_for_all_runs_and_needs_no_gradient() -> None:
    made = blocks.LayerMix(1, torch.ones(1, DIM), torch.full((1, DIM), 2.0))
    values = packed([5], layers=1).values
    found = made(values)
    torch.testing.assert_close(found, (values.float() - 1) / 2)
    assert not found.requires_grad


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_keeps_the_expectation_and_drops_the_share_asked_for(p: float) -> None:
    torch.manual_seed(0)
    drop = blocks.ReluDropout(p)
    found = drop(torch.ones(2, 1001, 333)) * drop.scale
    assert (found == 0).float().mean() == pytest.approx(p, abs=0.005)
    assert found.mean() == pytest.approx(1, abs=0.01)
    assert len(found.unique()) == 2


def test_dropout_is_a_relu_too_in_both_directions() -> None:
    torch.manual_seed(0)
    drop, rows = blocks.ReluDropout(0.5), torch.randn(1, 50, 40, requires_grad=True)
    found = drop(rows)
    found.backward(torch.full_like(found, 3.0))
    kept = found > 0
    assert 0.2 < kept.float().mean() < 0.3
    torch.testing.assert_close(found, torch.where(kept, rows, 0.0))
    torch.testing.assert_close(rows.grad, torch.where(kept, 3.0, 0.0))


def test_nothing_is_dropped_in_evaluation() -> None:
    rows = torch.randn(1, 10, 10)
    drop = blocks.ReluDropout(0.5).eval()
    assert torch.equal(drop(rows), rows.relu())
    assert drop.scale == 1


def test_dropout_treats_neighbours_apart() -> None:
    torch.manual_seed(0)
    dropped = blocks.ReluDropout(0.5)(torch.ones(1, 1, 100_000))[0].view(-1, 4) == 0
    together = torch.corrcoef(dropped.T.float())
    torch.testing.assert_close(together, torch.eye(4), atol=0.02, rtol=0)


def test_a_run_drops_what_its_own_generator_says_whoever_is_beside_it() -> None:
    rows = torch.ones(3, 20, 10)

    def drop(*seeds: int) -> torch.Tensor:
        made = blocks.ReluDropout(0.5)
        made.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return made(rows[: len(seeds)])

    together = drop(7, 8, 9)
    assert torch.equal(together[1:2], drop(8))
    assert not torch.equal(together[0], together[1])


def test_pooling_is_the_mean_and_deviation_of_each_utterance() -> None:
    whole = packed([4, 1, 6], layers=1, dtype=torch.float32)
    rows = whole.values[0]
    each = rows.split([4, 1, 6])
    torch.testing.assert_close(blocks.mean_over_time(rows, whole.offsets), torch.stack([x.mean(0) for x in each]))
    both = blocks.mean_and_std_over_time(rows, whole.offsets)
    plain = torch.stack([torch.cat([x.mean(0), x.std(0, correction=0)]) for x in each])
    torch.testing.assert_close(both, plain, atol=2e-4, rtol=1e-4)


def branch(seed: int = 0, dropout: float = 0.2, layers: int = 3) -> blocks.Branch:
    """A small branch of one run."""
    made, mean, std = mix()
    torch.manual_seed(seed)
    one = made if layers == 3 else blocks.LayerMix(layers, mean[:layers], std[:layers])
    return blocks.Branch(one, DIM, 3, hidden=(8, 8), dropout=dropout, pooling="mean")


def test_a_branch_is_the_padded_and_masked_network_of_the_paper() -> None:
    made = branch().eval()
    made.norm.weight.data = torch.rand(1, DIM) + 0.5
    made.norm.bias.data = torch.randn(1, DIM)
    whole = packed([4, 1, 6], layers=3)
    logits, embedding = made(whole.values, whole.offsets)
    for i, found in enumerate(logits[0]):
        frames = made.mix(whole.values[:, whole.offsets[i] : whole.offsets[i + 1]])[0]
        frames = F.layer_norm(frames, (DIM,), made.norm.weight[0], made.norm.bias[0])
        padded = F.pad(frames, (0, 0, 0, 6 - len(frames)))
        mask = (torch.arange(6) < len(frames)).float()[:, None]
        hidden = padded
        for layer in (made.first, *made.others):
            hidden = F.linear(hidden, layer.weight[0], layer.bias[0]).relu()
        mean = (hidden * mask).sum(0) / mask.sum()
        torch.testing.assert_close(embedding[0, i], mean)
        torch.testing.assert_close(found, F.linear(mean, made.classify.weight[0], made.classify.bias[0]))


@pytest.mark.parametrize("layers", [1, 3])
def test_runs_in_a_stack_get_what_they_get_alone(layers: int) -> None:
    whole = packed([4, 1, 6], layers=layers)
    upstream = torch.randn(3, 3, 3)
    alone = []
    for seed in range(3):
        made = branch(seed, dropout=0.0, layers=layers)
        logits, _ = made(whole.values, whole.offsets)
        logits.backward(upstream[seed : seed + 1])
        alone.append((logits[0], {name: weight.grad for name, weight in made.named_parameters()}))
    together = blocks.stack([branch(seed, dropout=0.0, layers=layers) for seed in range(3)])
    logits, _ = together(whole.values, whole.offsets)
    logits.backward(upstream)
    torch.testing.assert_close(logits, torch.stack([one for one, _ in alone]))
    for name, weight in together.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, torch.cat([grads[name] for _, grads in alone]), rtol=1e-4, atol=1e-6)  # type: ignore[misc]


def test_what_is_frozen_for_a_fold_changes_no_answer() -> None:
    whole = packed([4, 1, 6], layers=1)
    made = branch(layers=1).eval()
    moments = Moments(made.mix.shift / made.mix.factor, 1 / made.mix.factor)
    done = frozen(whole, moments, torch.float32)
    usual = made(whole.values, whole.offsets)[0]
    made.frozen = True
    torch.testing.assert_close(made(done.values, done.offsets)[0], usual)
