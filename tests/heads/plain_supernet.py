"""The network of the search as DARTS's code has it, edge by edge and operation by operation: what the fast one is held against."""

import torch
from torch import Tensor, nn

from heads.data import Batch
from heads.emotionnas import layout
from heads.emotionnas.genotype import EDGES, INPUTS, NODES, OPERATIONS
from heads.emotionnas.operations import MODULES, Halving, adapted
from heads.emotionnas.supernet import SearchCell, Supernet, edges_of


class MixedEdge(nn.Module):
    """All operations of one edge."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList()
        for name in OPERATIONS:
            one = MODULES[name](channels, stride, False)
            self.operations.append(nn.Sequential(one, nn.BatchNorm2d(channels, affine=False)) if "pool" in name else one)

    def forward(self, state: Tensor, weights: Tensor) -> Tensor:
        return sum(weight * one(state) for weight, one in zip(weights, self.operations, strict=True))


class PlainCell(nn.Module):
    """14 mixed edges."""

    def __init__(self, place: layout.Place) -> None:
        super().__init__()
        entry = Halving if place.after_reduction else adapted
        self.entries = nn.ModuleList(
            [entry(place.before_last, place.channels, affine=False), adapted(place.last, place.channels, affine=False)]
        )
        sources = [source for node in range(NODES) for source in range(INPUTS + node)]
        self.edges = nn.ModuleList(MixedEdge(place.channels, 2 if place.reduction and source < INPUTS else 1) for source in sources)

    def forward(self, before_last: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        states = [entry(one) for entry, one in zip(self.entries, (before_last, last), strict=True)]
        first = 0
        for _ in range(NODES):
            states.append(sum(self.edges[first + at](state, weights[first + at]) for at, state in enumerate(states)))
            first += len(states) - 1
        return torch.cat(states[INPUTS:], dim=1)


class PlainSupernet(nn.Module):
    """With the weights of a fast one."""

    def __init__(self, fast: Supernet) -> None:
        super().__init__()
        self.images, self.places = fast.images, fast.places
        self.stem, self.classify = nn.Sequential(fast.stem, fast.stem_norm), fast.classify
        self.cells = nn.ModuleList(PlainCell(place) for place in fast.places)
        for plain, cell in zip(self.cells, fast.cells, strict=True):
            copy_cell(cell, plain)
        self.register_buffer("alphas", fast.alphas.detach().clone())
        assert self.alphas.shape == (2, EDGES, len(OPERATIONS))

    def forward(self, batch: Batch) -> Tensor:
        weights = self.alphas.softmax(-1)
        before_last = last = self.stem(self.images(batch.inputs[0]))
        for place, cell in zip(self.places, self.cells, strict=True):
            before_last, last = last, cell(before_last, last, weights[int(place.reduction)])
        return self.classify(last.mean((2, 3)))


@torch.no_grad()
def copy_cell(fast: SearchCell, plain: PlainCell) -> None:
    """The weights of a cell."""
    for entry, to in zip(fast.entries, plain.entries, strict=True):
        if isinstance(to, Halving):
            to.even.weight.copy_(entry.convolve.even[0][:, :, None, None])
            to.odd.weight.copy_(entry.convolve.odd[0][:, :, None, None])
        else:
            to[1].weight.copy_(entry.convolve.weight)
    for state, fan in enumerate(fast.fans):
        for number, edge in enumerate(edges_of(state)):
            of = dict(zip(OPERATIONS, plain.edges[edge].operations, strict=True))
            for name, first in fan.first.items():
                _copy(first, number, of[name][1], of[name][2])
                _copy(fan.second[name], number, of[name][5], of[name][6])
            for name, dilated in fan.dilated.items():
                _copy(dilated, number, of[name][1], of[name][2])
            if fan.halve is not None:
                of["skip_connect"].even.weight.copy_(fan.halve.even[number][:, :, None, None])
                of["skip_connect"].odd.weight.copy_(fan.halve.odd[number][:, :, None, None])


def _copy(depthwise: nn.Module, number: int, alone: nn.Module, across: nn.Module) -> None:
    """Of one edge."""
    alone.weight.copy_(depthwise.alone[number][:, None])
    across.weight.copy_(depthwise.across[number][:, :, None, None])
