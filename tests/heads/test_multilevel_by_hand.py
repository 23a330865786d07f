"""Multi-level fusion against its equations written out: one utterance and one attention head at a time, in float64."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from heads import coattention, concatenation, late, transformer
from heads.config import override
from heads.data import Batch, Input, Moments
from tests.heads.toy import packed

DIM, LAYERS, HEADS, DEPTH = 12, 3, 3, 2
SETTINGS = (f"heads={HEADS}", f"depth={DEPTH}", "feedforward=20")
LABELS = torch.tensor([0, 1, 2, 0])
LENGTHS = ((3, 8, 5, 1), (50, 2, 19, 1), (10, 1, 4, 1))
BATCH = Batch(tuple(packed(lengths, LAYERS, DIM, seed=i) for i, lengths in enumerate(LENGTHS)), LABELS)
Weights = dict[str, Tensor]
"""By name, in float64; of heads that stack, of their one run."""


def one_input(seed: int, *, text: bool = False) -> Input:
    """An input whose layers have means and deviations of their own."""
    draw = torch.Generator().manual_seed(seed)
    moments = Moments(torch.randn(LAYERS, DIM, generator=draw), torch.rand(LAYERS, DIM, generator=draw) + 0.5)
    return Input(name="one", level="frames", layers=(1, 2, 3), dim=DIM, text=text, moments=moments)


INPUTS = [one_input(0, text=True), one_input(1), one_input(2)]


def affine(rows: Tensor, p: Weights, name: str) -> Tensor:
    return rows @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def layer_norm(rows: Tensor, p: Weights, name: str) -> Tensor:
    away = rows - rows.mean(-1, keepdim=True)
    return away / (away.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]


def embedding(batch: Batch, number: int, utterance: int, p: Weights, name: str) -> Tensor:
    """Eq. 1 on standardised layers."""
    given, moments = batch.inputs[number], INPUTS[number].moments
    assert moments is not None
    rows = given.values[:, given.offsets[utterance] : given.offsets[utterance + 1]].double()
    rows = (rows - moments.mean.double()[:, None]) / moments.std.double()[:, None]
    w = p[f"{name}.mix.weight"].flatten()
    return layer_norm(sum(w[layer] * rows[layer] for layer in range(LAYERS)) / w.sum(), p, f"{name}.norm")


def attention(asking: Tensor, asked: Tensor, p: Weights, name: str) -> Tensor:
    """softmax(Q K' / sqrt(d)) V of every head, side by side."""
    q, k, v = (affine(rows, p, f"{name}.{part}") for rows, part in ((asking, "query"), (asked, "key"), (asked, "value")))
    found = []
    for at in torch.arange(DIM).split(DIM // HEADS):
        shares = (q[:, at] @ k[:, at].T / math.sqrt(len(at))).exp()
        found.append(shares / shares.sum(1, keepdim=True) @ v[:, at])
    return affine(torch.cat(found, 1), p, f"{name}.out")


def block(asking: Tensor, asked: Tensor, p: Weights, name: str) -> Tensor:
    """The classic transformer encoder structure."""
    rows = layer_norm(asking + attention(asking, asked, p, f"{name}.attention"), p, f"{name}.norm")
    return layer_norm(rows + affine(affine(rows, p, f"{name}.inner").relu(), p, f"{name}.outer"), p, f"{name}.last_norm")


def eq_4(c: Tensor, p: Weights) -> Tensor:
    return affine(layer_norm(affine(c, p, "fusion.inner").relu() + c, p, "fusion.norm"), p, "fusion.outer")


def co_attention(batch: Batch, i: int, p: Weights) -> Tensor:
    """c_i = GA(U_T (x) U_i) of each speech input, joined, and eq. 4."""
    text, *others = (embedding(batch, number, i, p, f"embeddings.{number}") for number in range(3))
    found = []
    for stack, start in enumerate(others):
        said, speech = text, start
        for at in (f"stacks.{stack}.layers.{layer}" for layer in range(DEPTH)):
            said, speech = block(said, speech, p, f"{at}.text"), block(speech, said, p, f"{at}.speech")
        found.append((said.mean(0) + speech.mean(0)) / 2)
    return eq_4(torch.cat(found), p)


def encoder(batch: Batch, i: int, p: Weights) -> Tensor:
    rows = embedding(batch, 0, i, p, "embedding")
    for layer in range(DEPTH):
        rows = block(rows, rows, p, f"blocks.{layer}")
    return eq_4(rows.mean(0), p)


def late_fusion(batch: Batch, i: int, p: Weights) -> Tensor:
    """Eq. 2 and 3."""
    total = torch.zeros(3, dtype=torch.float64)
    for number, name in enumerate(f"branches.{number}" for number in range(3)):
        hidden = affine(embedding(batch, number, i, p, name), p, f"{name}.first").relu()
        total = total + affine(affine(hidden, p, f"{name}.others.0").relu().mean(0), p, f"{name}.classify")
    return total


def joined_in_time(batch: Batch, i: int, p: Weights) -> Tensor:
    rows = torch.cat([embedding(batch, number, i, p, f"entries.{number}") for number in range(3)])
    return affine(affine(affine(rows, p, "first").relu(), p, "second").relu().mean(0), p, "classify")


def plain(model: torch.nn.Module, *, stacked: bool) -> Weights:
    """Copies that get gradients of their own."""
    return {name: (w[0] if stacked else w).detach().double().requires_grad_() for name, w in model.named_parameters()}


@pytest.mark.parametrize(
    ("module", "settings", "inputs", "by_hand"),
    [
        (coattention, SETTINGS, 3, co_attention), (transformer, SETTINGS, 1, encoder),
        (late, (), 3, late_fusion), (concatenation, (), 3, joined_in_time),
    ],
)  # fmt: skip
def test_answers_and_gradients_are_those_of_the_equations(
    module: Any, settings: Sequence[str], inputs: int, by_hand: Callable[[Batch, int, Weights], Tensor]
) -> None:
    torch.manual_seed(0)
    model = module.build(override(module.Config(), settings), INPUTS[:inputs], 3).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(torch.rand_like(weight) if name.endswith("mix.weight") else 0.2 * torch.randn_like(weight))
    batch = replace(BATCH, inputs=BATCH.inputs[:inputs])
    said = model(batch)
    said.losses["cross_entropy"].sum().backward()
    p = plain(model, stacked=module.NEEDS.stacks)
    logits = torch.stack([by_hand(batch, i, p) for i in range(len(LABELS))])
    F.cross_entropy(logits, LABELS).backward()
    torch.testing.assert_close(said.logits[0].double(), logits, atol=1e-5, rtol=1e-5)
    for name, weight in model.named_parameters():
        expected = p[name].grad
        assert weight.grad is not None
        assert expected is not None
        assert expected.any()
        torch.testing.assert_close(weight.grad.double().view_as(expected), expected, atol=2e-6, rtol=1e-4, msg=name)
