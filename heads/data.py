"""Features as a head sees them: ragged sequences end to end, without padding, in the dtype they are stored in.

    values   [layers, rows, dim]     |--- utterance 0 ---|- 1 -|------ 2 ------| ...
    offsets  [utterances + 1]        0                   5     7               13

A batch is gathered by index arithmetic: no Python per utterance, and no answer can depend on padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from emocache.errors import CacheError
from emocache.store import Packed

CHUNK = 4096
"""Rows per step of a pass over all training rows."""
ROUNDING = 1e-6
"""A deviation below this share of the mean is rounding in the float32 mean of a chunk: the dimension is constant."""


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """Ragged sequences: utterance i is `values[:, offsets[i]:offsets[i + 1]]`."""

    values: Float[Tensor, "layers rows dim"]
    offsets: Int[Tensor, " edges"]

    def rows_of(self, which: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " batch+1"]]:
        """For utterances `which` [batch]: the rows they hold, in that order, and the offsets [batch + 1] among these."""
        starts, lengths = self.offsets[which], self.offsets[which + 1] - self.offsets[which]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shift = torch.repeat_interleave(starts - offsets[:-1], lengths)
        return shift + torch.arange(len(shift), device=shift.device), offsets

    def take(self, which: Int[Tensor, " batch"]) -> "PackedTensor":
        """The utterances `which` [batch], in that order."""
        rows, offsets = self.rows_of(which)
        values = self.values.new_empty(len(self.values), len(rows), self.values.shape[2])
        for layer, out in zip(self.values, values, strict=True):  # ten times as fast as index_select along dimension 1
            torch.index_select(layer, 0, rows, out=out)
        return PackedTensor(values, offsets)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some utterances: one packed tensor for each input of the head, and their classes."""

    inputs: tuple[PackedTensor, ...]
    labels: Int[Tensor, " batch"]


@dataclass(frozen=True, slots=True)
class Output:
    """What a head says of a batch: logits, and the losses by name (each a scalar, a mean over the batch; their sum is trained)."""

    logits: Float[Tensor, "batch classes"]
    losses: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation of each layer and dimension over rows; a constant dimension has 1 for its deviation."""

    mean: Float[Tensor, "layers dim"]
    std: Float[Tensor, "layers dim"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """What a head must know of one feature set. Without `moments` the features are taken as they are."""

    name: str
    level: str
    layers: tuple[int, ...]
    dim: int
    all_layers: tuple[int, ...] = ()
    """Every layer that the encoder has, in the cache or not."""
    encoder: str = "an unnamed encoder"
    """What made it, whatever the feature set is called."""
    text: bool = False
    """Made from words rather than from sound."""
    moments: Moments | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """All utterances of an experiment, loaded once for all folds and seeds."""

    ids: tuple[str, ...]
    inputs: tuple[PackedTensor, ...]
    labels: Int[Tensor, " utterances"]

    def batch(self, which: Tensor) -> Batch:
        """The utterances `which` [batch]."""
        return Batch(tuple(packed.take(which) for packed in self.inputs), self.labels[which])

    def indices(self, ids: Sequence[str]) -> Tensor:
        """Where utterances lie: int64 [ids], on the device of the labels."""
        at = {name: i for i, name in enumerate(self.ids)}
        return torch.tensor([at[name] for name in ids], dtype=torch.int64, device=self.labels.device)


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


def to_tensor(packed: Packed, where: str, ids: Sequence[str], device: torch.device) -> PackedTensor:
    """Rows read from the cache as tensors on the device. CacheError for an utterance without rows."""
    if (empty := np.flatnonzero(np.diff(packed.offsets) == 0)).size:
        raise CacheError(f"{where}: {empty.size} utterances have no rows, first {ids[empty[0]]}; leave them out of the manifest")
    values = torch.from_numpy(np.require(packed.values, requirements=["C", "W"]))
    return PackedTensor(values.to(device), torch.from_numpy(np.asarray(packed.offsets, dtype=np.int64)).to(device))


def moments(packed: PackedTensor, which: Int[Tensor, " batch"]) -> Moments:
    """Statistics over all rows of the utterances `which`: each chunk about its own mean, merged in float64 (Chan et al. 1979)."""
    rows, _ = packed.rows_of(which)
    layers, _, dim = packed.values.shape
    mean = torch.zeros(layers, dim, dtype=torch.float64, device=rows.device)
    squares = torch.zeros_like(mean)
    for layer in range(layers):
        seen = 0
        for part in torch.split(rows, CHUNK):
            x = packed.values[layer].index_select(0, part).float()
            chunk_mean = x.mean(0)
            chunk_squares = (x - chunk_mean).square_().sum(0)
            delta, new = chunk_mean.double() - mean[layer], len(part)
            mean[layer] += delta * (new / (seen + new))
            squares[layer] += chunk_squares.double() + delta.square() * (seen * new / (seen + new))
            seen += new
    std = (squares / max(len(rows), 1)).sqrt()
    return Moments(mean.float(), torch.where(std > ROUNDING * mean.abs(), std, 1.0).float())
