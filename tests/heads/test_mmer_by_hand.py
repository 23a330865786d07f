"""MMER against its equations written out in float64: one utterance, one head and one pair at a time, without padding or fused kernels."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heads.data import Batch, PackedTensor
from heads.mmer.model import Mmer
from tests.heads.toy_mmer import batch, head

HEADS, TAU = 2, 0.07
READINGS = [
    (),
    ("adapter=linear", "contrast=fused", "scl=supcon", "projection=before", "order=QR", "text_layer=false", "audio_projections=false"),
    ("adapter=none", "scl=paper", "order=QR"),
    ("bank=4", "projection=before"),
]


def linear(layer: Any, x: Tensor) -> Tensor:
    """The same where there is no layer."""
    return x if isinstance(layer, nn.Identity) else x @ layer.weight.double().T + layer.bias.double()


def norm(layer: Any, x: Tensor) -> Tensor:
    away = x - x.mean(1, keepdim=True)
    return away / (away.square().mean(1, keepdim=True) + layer.eps).sqrt() * layer.weight.double() + layer.bias.double()


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def block(layer: Any, asking: Tensor, asked: Tensor) -> Tensor:
    """Eq. 1, then a layer of BERT's."""
    one = layer.attention
    parts = zip(*(linear(m, x).chunk(HEADS, 1) for m, x in ((one.query, asking), (one.key, asked), (one.value, asked))), strict=True)
    found = torch.cat([(q @ k.T / math.sqrt(q.shape[1])).exp() / (q @ k.T / math.sqrt(q.shape[1])).exp().sum(1, True) @ v
                       for q, k, v in parts], 1)  # fmt: skip
    rows = norm(layer.norm, asking + linear(one.out, found))
    return norm(layer.last_norm, rows + linear(layer.outer, gelu(linear(layer.inner, rows))))


def represented(model: Mmer, speech: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u, the fused part of it, and CTC's logits; eq. 2 and 3."""
    config, f = model.config, model.fusion
    assert f is not None
    assert model.speech is not None
    assert model.text is not None
    a, t = linear(model.speech.project, speech), linear(model.text.project, text)
    if config.adapter == "transformer":
        a = block(model.adapter, a, a)
    elif config.adapter == "linear":
        a = norm(model.adapter.norm, linear(model.adapter.linear, a))
    t = block(f.own_text, t, t) if config.text_layer else t
    q = block(f.speech_by_text, t, linear(f.for_d, a))
    r = block(f.text_by_both, t, block(f.text_by_speech, linear(f.for_b, a), t))
    q = q / (1 + (-linear(f.gate, torch.cat([r, q], 1))).exp())
    both = torch.cat([r, q] if config.order == "RQ" else [q, r], 1)
    fused = linear(f.narrow, both).amax(0) if config.projection == "before" else linear(f.narrow, both.amax(0))
    return torch.cat([a.amax(0), fused]), fused, linear(model.characters, a)


def ctc(logits: Tensor, target: Sequence[int]) -> Tensor:
    """-log p by the forward recursion, in probabilities."""
    p, places = logits.softmax(1), [0, *(symbol for one in target for symbol in (one, 0))]
    ways = [p[0, symbol] if at < 2 else p.new_zeros(()) for at, symbol in enumerate(places)]
    for row in p[1:]:
        ways = [
            row[symbol] * (ways[at] + (ways[at - 1] if at else 0) + (ways[at - 2] if at > 1 and symbol and symbol != places[at - 2] else 0))
            for at, symbol in enumerate(places)
        ]
    return -(ways[-1] + ways[-2]).log()


def scl(reading: str, z: Tensor, labels: Tensor, others: Tensor, theirs: Tensor) -> Tensor:
    """Pair by pair; the first of `others` are z."""
    if reading == "supcon":
        z, others = (one / one.norm(dim=1, keepdim=True) for one in (z, others))
    anchors: list[list[Tensor]] = []
    for i, anchor in enumerate(z):
        scores = [anchor @ other / (1 if reading == "release" else TAU) for other in others]
        compared = [j for j in range(len(others)) if reading != "supcon" or j != i]
        total = torch.logsumexp(torch.stack([scores[j] for j in compared]), 0)
        anchors.append([total - scores[j] for j in compared if labels[i] == theirs[j]])
    if reading == "supcon":
        return torch.stack([torch.stack(each).mean() for each in anchors if each]).mean()
    return torch.stack([pair for each in anchors for pair in each]).mean() / (TAU if reading == "release" else 1)


def acl(z: Tensor, views: Tensor) -> Tensor:
    return torch.stack([torch.logsumexp(views @ one / TAU, 0) - views[i] @ one / TAU for i, one in enumerate(z)]).mean()


def rows(packed: PackedTensor) -> list[Tensor]:
    return [packed.values[0, start:end].double() for start, end in pairwise(packed.offsets.tolist())]


def expected(model: Mmer, given: Batch) -> dict[str, Tensor]:
    """The weighted losses of a batch."""
    assert given.targets is not None
    assert given.views is not None
    u, fused, spelled = zip(*(represented(model, *one) for one in zip(*map(rows, given.inputs), strict=True)), strict=True)
    of_views = zip(*(represented(model, *one) for one in zip(*map(rows, given.views.inputs), strict=True)), strict=True)
    at = 1 if model.config.contrast == "fused" else 0
    z, views = (
        linear(layers[2], gelu(linear(layers[0], torch.stack(values))))  # type: ignore[index]
        for layers, values in ((model.original, (u, fused)[at]), (model.augmented, list(of_views)[at]))
    )
    labels, behind = given.labels, model.originals.values.double()
    targets = [given.targets.values[start:end].tolist() for start, end in pairwise(given.targets.offsets.tolist())]
    logits = linear(model.classify, torch.stack(u))
    said = [ctc(*one) for one in zip(spelled, targets, strict=True) if one[1]]
    return {
        "cross_entropy": torch.stack([one.logsumexp(0) - one[label] for one, label in zip(logits, labels, strict=True)]).mean(),
        "ctc": 0.1 * torch.stack([one for one in said if one.isfinite()]).sum(),
        "scl": 0.1 * scl(model.config.scl, z, labels, torch.cat([z, behind]), torch.cat([labels, model.originals.labels])),
        "acl": 0.1 * acl(z[given.views.of], torch.cat([views, model.views.values.double()])),
    }


@pytest.mark.parametrize("settings", READINGS, ids=["released", "paper", "algorithm", "bank"])
def test_losses_and_their_gradients_are_those_of_the_equations(settings: tuple[str, ...]) -> None:
    speech_width = ("width=6", "hidden=12") if "adapter=none" in settings else ()
    model, given = head(*settings, *speech_width), batch()
    if model.config.bank:
        model(given)
        assert len(model.originals.values) == 4
    weights, by_hand = list(model.parameters()), expected(model, given)
    found = model(given).losses
    assert found.keys() == by_hand.keys()
    for name, loss in by_hand.items():
        torch.testing.assert_close(found[name][0].double(), loss, rtol=1e-5, atol=1e-6)
        one, other = (torch.autograd.grad(value.sum(), weights, retain_graph=True, materialize_grads=True) for value in (found[name], loss))
        mine, theirs = (torch.cat([grad.flatten().double() for grad in grads]) for grads in (one, other))
        assert float((mine - theirs).norm() / theirs.norm()) < 1e-4, name
