"""Mean and deviation of each layer and dimension over training folds: one pass over the rows serves all folds.

    utterances       |- tested in fold 1 -|- in fold 2 -|- in fold 3 -|     cells: whom no fold's pool tells apart
    pool of fold 2   |====================|      +      |=============|     the sums of its cells, merged

A cell is counted when a fold first needs it. Sums are merged in float64 and in one order, whichever folds are trained here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heads.data import Mapped, Moments, PackedTensor, read_ahead

CHUNK = 512
"""Rows whose sums are taken at once: about as many as stay in a CPU's cache."""
READ = 4
"""Utterances that are read at a time where they are not in memory: larger buffers would not be used again, and new memory is slow."""
MOST_CELLS = 256
"""With more cells every fold is counted by itself. Ten shuffles of IEMOCAP have about 230."""
ROUNDING = 1e-6
"""A deviation below this share of the mean is rounding in the float32 mean of a chunk: the dimension is constant."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of `seen` rows: their mean and the sum of squared distances from it, in float64; `+` is of both's rows (Chan et al. 1979)."""

    seen: int
    mean: Float[Tensor, "*layers dim"]
    squares: Float[Tensor, "*layers dim"]

    def __add__(self, other: "Sums") -> "Sums":
        seen, away = self.seen + other.seen, other.mean - self.mean
        squares = self.squares + other.squares + away.square() * (self.seen * other.seen / seen)
        return Sums(seen, self.mean + away * (other.seen / seen), squares)

    def moments(self) -> Moments:
        """Mean and deviation in float32; a constant dimension has the deviation 1."""
        std = (self.squares / self.seen).sqrt()
        return Moments(self.mean.float(), torch.where(std > ROUNDING * self.mean.abs(), std, 1.0).float())


class Statistics:
    """The moments of inputs over the pools of an experiment's folds, each int64 [utterances]."""

    def __init__(self, inputs: Sequence[PackedTensor | Mapped], pools: Sequence[Int[Tensor, " _"]]) -> None:
        """Nothing is read yet."""
        self._inputs = inputs
        member = torch.zeros(1 + max(int(pool.max()) for pool in pools), len(pools), dtype=torch.bool, device=pools[0].device)
        for column, pool in enumerate(pools):
            member[pool, column] = True
        found, self._cell_of = torch.unique(member, dim=0, return_inverse=True)
        self._few = len(found) <= MOST_CELLS
        self._counted: dict[tuple[int, int], Sums] = {}

    def of(self, number: int, pool: Int[Tensor, " pool"]) -> Moments:
        """Of input `number` over all rows of one of the pools."""
        if not self._few:
            return moments(self._inputs[number], pool)
        return reduce(add, (self._cell(number, cell) for cell in self._cell_of[pool].unique().tolist())).moments()

    def _cell(self, number: int, cell: int) -> Sums:
        """The sums of a cell, counted once."""
        if (number, cell) not in self._counted:
            members = torch.nonzero(self._cell_of == cell)[:, 0]
            self._counted[number, cell] = sums(self._inputs[number], members)
        return self._counted[number, cell]


def moments(packed: PackedTensor | Mapped, which: Int[Tensor, " batch"]) -> Moments:
    """Statistics over all rows of the utterances `which`."""
    return sums(packed, which).moments()


def sums(packed: PackedTensor | Mapped, which: Int[Tensor, " batch"]) -> Sums:
    """The sums of each layer and dimension over all rows of the utterances `which`."""
    if isinstance(packed, Mapped):
        return reduce(add, (_of_layers(some.values) for some in read_ahead(packed.take, torch.split(which, READ))))
    rows, _ = packed.rows_of(which)
    return _of_layers(packed.values, rows)


def _of_layers(values: Float[Tensor, "layers rows dim"], rows: Int[Tensor, " some"] | None = None) -> Sums:
    """The sums of some rows of each layer (None: of all)."""
    found = [reduce(add, map(_of_rows, _chunks(layer, rows))) for layer in values]
    return Sums(found[0].seen, torch.stack([one.mean for one in found]), torch.stack([one.squares for one in found]))


def _chunks(layer: Tensor, rows: Tensor | None) -> Iterable[Tensor]:
    """Some rows of a layer (None: all), CHUNK at a time."""
    return torch.split(layer, CHUNK) if rows is None else (layer.index_select(0, some) for some in torch.split(rows, CHUNK))


def _of_rows(rows: Float[Tensor, "rows dim"]) -> Sums:
    """The sums of a few rows, taken in float32."""
    mean = (values := rows.to(torch.float32, copy=True)).mean(0)
    return Sums(len(rows), mean.double(), values.sub_(mean).square_().sum(0).double())


def standardised_by_group(packed: PackedTensor, groups: Sequence[str]) -> PackedTensor:
    """Every utterance standardised with the statistics of its own group (one name an utterance), in the stored dtype."""
    values = torch.empty_like(packed.values)
    for name in dict.fromkeys(groups):
        members = torch.tensor([i for i, group in enumerate(groups) if group == name], device=values.device)
        of_group, (rows, _) = moments(packed, members), packed.rows_of(members)
        for layer in range(len(values)):
            centred = packed.values[layer, rows].float() - of_group.mean[layer]
            values[layer, rows] = (centred / of_group.std[layer]).to(values.dtype)
    return PackedTensor(values, packed.offsets)


def first_not_finite(packed: PackedTensor | Mapped, which: Int[Tensor, " batch"]) -> int | None:
    """The first of the utterances `which` with a value that is not finite."""
    for part, some in zip(parts := torch.split(which, READ), read_ahead(packed.take, parts), strict=True):
        if not some.values.isfinite().all():
            bad = (~some.values.isfinite().all(2)).any(0).nonzero()[0]
            return int(part[torch.searchsorted(some.offsets, bad, right=True) - 1])
    return None
