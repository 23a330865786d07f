"""The network of a genotype: cells of the operations that the search kept, trained from the start."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from heads.blocks import cross_entropy
from heads.data import Batch, Input, Output
from heads.emotionnas import layout
from heads.emotionnas.genotype import INPUTS, KEPT, Genotype
from heads.emotionnas.images import Images
from heads.emotionnas.operations import MODULES, Halving, adapted


class DerivedCell(nn.Module):
    """One cell of a genotype: the outputs of the last two cells -> its own."""

    def __init__(self, genotype: Genotype, place: layout.Place) -> None:
        """`place` says how wide it is and whether it halves the sides."""
        super().__init__()
        edges = genotype.edges(reduction=place.reduction)
        entry = Halving if place.after_reduction else adapted
        self.entries = nn.ModuleList([entry(place.before_last, place.channels), adapted(place.last, place.channels)])
        self.sources = [source for _, source in edges]
        self.operations = nn.ModuleList(
            MODULES[name](place.channels, 2 if place.reduction and source < INPUTS else 1, True) for name, source in edges
        )
        self.concat = genotype.concat(reduction=place.reduction)

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """[batch, channels of the nodes in `concat`, height, width]."""
        states = [entry(one) for entry, one in zip(self.entries, (before_last, last), strict=True)]
        for first in range(0, len(self.sources), KEPT):
            one, other = (self.operations[edge](states[self.sources[edge]]) for edge in range(first, first + KEPT))
            states.append(one + other)
        return torch.cat([states[one] for one in self.concat], dim=1)


class Derived(nn.Module):
    """One layer of one input as an image -> logits [1, batch, classes]; the embedding is what the last layer is given."""

    def __init__(self, genotype: Genotype, one: Input, *, layers: int, channels: int, frames: int, classes: int) -> None:
        """`layers` cells, the first `channels` wide, on images of `frames` rows."""
        super().__init__()
        outputs = (len(genotype.normal_concat), len(genotype.reduce_concat))
        self.images = Images(one, frames)
        stem = layout.STEM * channels
        self.stem = nn.Sequential(nn.Conv2d(1, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList(DerivedCell(genotype, place) for place in layout.places(layers, channels, *outputs))
        self.classify = nn.Linear(layout.width(layers, channels, *outputs), classes)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy."""
        (packed,) = batch.inputs
        image = self.images(packed).contiguous(memory_format=torch.channels_last)
        before_last = last = self.stem(image)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        embedding = last.mean((2, 3))
        logits = self.classify(embedding)[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, embedding[None])


def network(genotype: Genotype, inputs: Sequence[Input], *, layers: int, channels: int, frames: int, classes: int) -> Derived:
    """The network on one input."""
    (one,) = inputs
    return Derived(genotype, one, layers=layers, channels=channels, frames=frames, classes=classes)
