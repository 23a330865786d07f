"""Gradients of architecture weights alpha with network weights w: what eq. 3 asks for, approximated in three ways.

first                g(alpha) = d L_val(w, alpha) / d alpha
second               of L_val(w', alpha), w' = w - xi (m v + d L_train(w, alpha) / dw + decay w): one step of SGD with momentum ahead.
                     That is g' - xi (d2 L_train / d alpha d w) d L_val / d w', whose product is a finite difference as in DARTS's code
second-order-exact   the same with the product as autograd has it. On ReLU networks the finite difference is far off at kinks
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Order = Literal["first", "second", "second-order-exact"]
Loss = Callable[[], Tensor]
"""A loss with the weights as they are."""
STEP = 0.01
"""Length of the step along the gradient from which the finite difference is taken."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The step of SGD that is looked ahead: weights and, where there has been a step, their velocities."""

    weights: Sequence[Tensor]
    velocities: Sequence[Tensor | None]
    lr: float
    momentum: float
    decay: float

    def directions(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """What the weights go against, times `lr`."""
        past = [0.0 if one is None else self.momentum * one for one in self.velocities]
        return [before + gradient + self.decay * weight for before, gradient, weight in zip(past, gradients, self.weights, strict=True)]


def architecture_gradient(order: Order, training: Loss, validation: Loss, alphas: Tensor, ahead: Ahead) -> Tensor:
    """Of the validation loss, in the shape of `alphas`; the weights are left as they were."""
    if order == "first":
        return torch.autograd.grad(validation(), alphas)[0]
    weights = list(ahead.weights)
    with _moved(weights, ahead.directions(torch.autograd.grad(training(), weights)), -ahead.lr):
        direct, *vectors = torch.autograd.grad(validation(), [alphas, *weights])
    product = _exact if order == "second-order-exact" else _difference
    found: Tensor = direct - ahead.lr * product(training, alphas, weights, vectors)
    return found


def _difference(training: Loss, alphas: Tensor, weights: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """(d2 L_train / d alpha d w) v from two gradients, on either side of w along v."""
    step = STEP / torch.cat([one.flatten() for one in vectors]).norm().item()
    found = torch.zeros_like(alphas)
    for sign in (1, -1):
        with _moved(weights, vectors, sign * step):
            found += sign / (2 * step) * torch.autograd.grad(training(), alphas)[0]
    return found


def _exact(training: Loss, alphas: Tensor, weights: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """The same by differentiating the gradient."""
    gradients = torch.autograd.grad(training(), weights, create_graph=True)
    along: Tensor = torch.stack([(gradient * vector).sum() for gradient, vector in zip(gradients, vectors, strict=True)]).sum()
    (found,) = torch.autograd.grad(along, alphas)
    return found


@contextmanager
def _moved(weights: Sequence[Tensor], directions: Sequence[Tensor], length: float) -> Iterator[None]:
    """The weights moved along `directions`, and back to the very numbers that they were."""
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, direction in zip(weights, directions, strict=True):
            weight.add_(direction, alpha=length)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)
