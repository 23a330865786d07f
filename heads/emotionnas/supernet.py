"""The network of the search: every edge is the weighted sum of all operations; its architecture weights are no parameters."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output
from heads.emotionnas import layout
from heads.emotionnas.fan import Fan, Halvings, SearchNorm
from heads.emotionnas.genotype import EDGES, INPUTS, NODES, OPERATIONS, Genotype, decode
from heads.emotionnas.images import Images

ALPHA_SPREAD = 1e-3
"""Deviation of the architecture weights before the first step."""


class Entry(nn.Module):
    """What an earlier cell's output goes through: ReLU, a 1x1 convolution or a factorised reduction, BatchNorm."""

    def __init__(self, given: int, channels: int, *, halved: bool) -> None:
        super().__init__()
        self.convolve = Halvings(given, channels, 1) if halved else nn.Conv2d(given, channels, 1, bias=False)
        self.norm = SearchNorm(channels)

    def forward(self, image: Tensor) -> Tensor:
        """[batch, channels, h, w]."""
        return self.norm(self.convolve(F.relu(image)))  # type: ignore[no-any-return]


class SearchCell(nn.Module):
    """A cell of 4 nodes and 14 edges: the outputs of the last two cells and weights [14, 8] -> its own, 4 nodes wide."""

    def __init__(self, place: layout.Place) -> None:
        """`place` says how wide it is and whether it halves the sides."""
        super().__init__()
        self.entries = nn.ModuleList(
            [Entry(place.before_last, place.channels, halved=place.after_reduction), Entry(place.last, place.channels, halved=False)]
        )
        self.fans = nn.ModuleList(
            Fan(place.channels, len(edges_of(state)), 2 if place.reduction and state < INPUTS else 1) for state in range(INPUTS + NODES - 1)
        )
        self.channels = place.channels

    def forward(self, before_last: Tensor, last: Tensor, weights: Float[Tensor, "edges operations"]) -> Tensor:
        """[batch, 4 channels, h, w]."""
        states = [entry(one) for entry, one in zip(self.entries, (before_last, last), strict=True)]
        waiting = sum(fan(state, weights[edges_of(at)]) for at, (fan, state) in enumerate(zip(self.fans, states, strict=False)))
        nodes = []
        for node in range(NODES):
            done, waiting = waiting[:, : self.channels], waiting[:, self.channels :]
            nodes.append(done.contiguous(memory_format=torch.channels_last))
            if node < NODES - 1:
                waiting = waiting + self.fans[INPUTS + node](nodes[-1], weights[edges_of(INPUTS + node)])
        return torch.cat(nodes, dim=1)


def edges_of(state: int) -> list[int]:
    """The rows of a table of architecture weights that are the edges from a state, in the order of the nodes that they lead to."""
    first = [sum(INPUTS + earlier for earlier in range(node)) for node in range(NODES)]
    return [first[node] + state for node in range(NODES) if state < INPUTS + node]


class Supernet(nn.Module):
    """One layer of one input as an image -> logits [1, batch, classes]; the embedding is what the last layer is given.

    `alphas` [2, 14, 8] are the architecture weights before the softmax, of the normal and of the reduction cell. They are saved with
    the network, and counted and trained apart from it.
    """

    alphas: Tensor

    def __init__(self, one: Input, *, layers: int, channels: int, frames: int, classes: int) -> None:
        """`layers` cells, the first `channels` wide, on images of `frames` rows."""
        super().__init__()
        self.images = Images(one, frames)
        stem = layout.STEM * channels
        self.stem = nn.Conv2d(1, stem, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.places = tuple(layout.places(layers, channels, NODES, NODES))
        self.cells = nn.ModuleList(SearchCell(place) for place in self.places)
        self.classify = nn.Linear(layout.width(layers, channels, NODES, NODES), classes)
        self.register_buffer("alphas", ALPHA_SPREAD * torch.randn(2, EDGES, len(OPERATIONS)))

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy."""
        (packed,) = batch.inputs
        weights = self.alphas.softmax(-1)
        before_last = last = self.stem_norm(self.stem(self.images(packed).contiguous(memory_format=torch.channels_last)))
        for place, cell in zip(self.places, self.cells, strict=True):
            before_last, last = last, cell(before_last, last, weights[int(place.reduction)])
        embedding = last.mean((2, 3))
        logits = self.classify(embedding)[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding[None])

    @property
    def genotype(self) -> Genotype:
        """What the architecture weights keep."""
        return decode(*self.alphas)

    @contextlib.contextmanager
    def untracked(self) -> Iterator[None]:
        """Leaves the running statistics of every BatchNorm as they are."""
        self._track(yes=False)
        try:
            yield
        finally:
            self._track(yes=True)

    def _track(self, *, yes: bool) -> None:
        """Whether training moves running statistics."""
        self.stem_norm.track_running_stats = yes
        for one in self.modules():
            if isinstance(one, SearchNorm):
                one.tracking = yes


def network(inputs: Sequence[Input], *, layers: int, channels: int, frames: int, classes: int) -> Supernet:
    """The network on one input."""
    (one,) = inputs
    return Supernet(one, layers=layers, channels=channels, frames=frames, classes=classes)
