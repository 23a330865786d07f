"""Features as a head sees them: ragged sequences end to end, without padding, in the dtype they are stored in.

    values   [layers, rows, dim]     |--- utterance 0 ---|- 1 -|------ 2 ------| ...
    offsets  [utterances + 1]        0                   5     7               13

A batch is gathered by index arithmetic: no Python per utterance, and no answer can depend on padding.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from emocache.errors import CacheError
from emocache.store import Features, Packed

CHUNK = 4096
"""Rows that are frozen at a time."""
AHEAD = 3
"""Batches that are read while the head learns from one."""


T = TypeVar("T")


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
    """Some utterances: one packed tensor for each input of the head, and their classes.

    `weights` are 1 for the utterances that a run learns from, else 0; None: every run learns from all of them.
    """

    inputs: tuple[PackedTensor, ...]
    labels: Int[Tensor, " batch"]
    weights: Float[Tensor, "runs batch"] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a head says of a batch: logits, and the losses of each run by name (means over the batch; their sum is trained).

    `embedding` is each utterance before the last layer, for pictures.
    """

    logits: Float[Tensor, "runs batch classes"]
    losses: Mapping[str, Float[Tensor, " runs"]]
    embedding: Float[Tensor, "runs batch width"] | None = None


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
    frozen: bool = False
    """The rows are standardised, and normalised one by one, already: see `frozen`."""


@dataclass(frozen=True, slots=True)
class Examples:
    """All utterances of an experiment, loaded once for all folds and seeds."""

    ids: tuple[str, ...]
    inputs: "tuple[PackedTensor | Mapped, ...]"
    labels: Int[Tensor, " utterances"]

    @property
    def lengths(self) -> Int[Tensor, " utterances"]:
        """How many rows each utterance has, over all inputs."""
        return torch.stack([packed.offsets.diff() for packed in self.inputs]).sum(0)

    def batch(self, which: Tensor) -> Batch:
        """The utterances `which` [batch]."""
        return Batch(tuple(packed.take(which) for packed in self.inputs), self.labels[which])

    def batches(self, parts: Sequence[Tensor]) -> Iterator[Batch]:
        """One batch after the other; the next one is read from the cache meanwhile, where an input is not in memory."""
        if all(isinstance(packed, PackedTensor) for packed in self.inputs):
            yield from map(self.batch, parts)
            return
        yield from read_ahead(self.batch, parts)

    def indices(self, ids: Sequence[str]) -> Tensor:
        """Where utterances lie: int64 [ids], on the device of the labels."""
        at = {name: i for i, name in enumerate(self.ids)}
        return torch.tensor([at[name] for name in ids], dtype=torch.int64, device=self.labels.device)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Ragged sequences that are read from the cache when they are wanted, since all of them would not fit."""

    features: Features
    level: str
    layers: tuple[int, ...]
    ids: tuple[str, ...]
    offsets: Int[Tensor, " edges"]
    device: torch.device

    def take(self, which: Int[Tensor, " batch"]) -> PackedTensor:
        """The utterances `which` [batch], in that order."""
        ids = [self.ids[i] for i in which.tolist()]
        return to_tensor(self.features.read_many(ids, self.level, self.layers), self.features.name, ids, self.device)


def read_ahead(read: Callable[[Tensor], T], parts: Sequence[Tensor]) -> Iterator[T]:
    """What `read` gives of one part after the other, AHEAD of them being read while the caller works on one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(read, part) for part in parts[:AHEAD])
        for part in [*parts[AHEAD:], *[None] * min(AHEAD, len(parts))]:
            ready = waiting.popleft()
            if part is not None:
                waiting.append(pool.submit(read, part))
            yield ready.result()


def frozen(packed: PackedTensor, found: Moments | None, dtype: torch.dtype) -> PackedTensor:
    """A single layer, standardised, and each row normalised to mean 0 and deviation 1, in the type that is computed in.

    That is what a head does first that `freezes`; it depends on the fold alone, so it is done once for all epochs and seeds.
    """
    (values,) = packed.values
    done = values.new_empty(1, *values.shape, dtype=dtype)
    for at in range(0, len(values), CHUNK):
        rows = values[at : at + CHUNK].float()
        if found is not None:
            rows = torch.addcmul(-found.mean[0] / found.std[0], rows, 1 / found.std[0])
        done[0, at : at + CHUNK] = F.layer_norm(rows, rows.shape[-1:])
    return PackedTensor(done, packed.offsets)


def to_tensor(packed: Packed, where: str, ids: Sequence[str], device: torch.device) -> PackedTensor:
    """Rows read from the cache as tensors on the device. CacheError for an utterance without rows."""
    check_rows(packed.offsets, where, ids)
    values = torch.from_numpy(np.require(packed.values, requirements=["C", "W"]))
    return PackedTensor(values.to(device), torch.from_numpy(np.asarray(packed.offsets, dtype=np.int64)).to(device))


def check_rows(offsets: NDArray[np.int64], where: str, ids: Sequence[str]) -> None:
    """CacheError for an utterance without rows."""
    if (empty := np.flatnonzero(np.diff(offsets) == 0)).size:
        raise CacheError(f"{where}: {empty.size} utterances have no rows, first {ids[empty[0]]}; leave them out of the manifest")
