"""The decision-level fusion of EmotionNAS: three dense layers on what two branches say, 128 parameters with 4 classes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

EPOCHS, LR, BATCH = 100, 1e-3, 32
"""The paper's epochs and learning rate of Adam; it prints no batch."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Probabilities of both branches side by side [utterances, 2 classes], and labels [utterances]."""

    shares: Tensor
    labels: Tensor


def network(classes: int) -> nn.Sequential:
    """2c -> 2c -> c -> c with ReLU between; the logits of `classes`."""
    both = 2 * classes
    return nn.Sequential(nn.Linear(both, both), nn.ReLU(), nn.Linear(both, classes), nn.ReLU(), nn.Linear(classes, classes))


def parameters(classes: int) -> int:
    """How many weights it has."""
    return sum(weight.numel() for weight in network(classes).parameters())


def train(learnt: Pairs, judged: Pairs | None, classes: int, seed: int) -> nn.Sequential:
    """Trained for EPOCHS on `learnt`; with the weights of the lowest loss on `judged`, where that is given."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = network(classes)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)
    order = torch.Generator().manual_seed(seed)
    best, lowest = model.state_dict(), float("inf")
    for _ in range(EPOCHS):
        for which in torch.split(torch.randperm(len(learnt.labels), generator=order), BATCH):
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(model(learnt.shares[which]), learnt.labels[which]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if judged is not None and (loss := loss_of(model, judged)) < lowest:
            lowest, best = loss, {name: value.clone() for name, value in model.state_dict().items()}
    if judged is not None:
        model.load_state_dict(best)
    return model


@torch.no_grad()
def loss_of(model: nn.Module, pairs: Pairs) -> float:
    """Mean cross-entropy."""
    return float(F.cross_entropy(model(pairs.shares), pairs.labels))


@torch.no_grad()
def predict(model: nn.Module, shares: Tensor) -> NDArray[np.float64]:
    """Probabilities [utterances, classes]."""
    found: NDArray[np.float64] = model(shares).double().softmax(1).numpy()
    return found
