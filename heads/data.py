"""Features as a head sees them: ragged sequences end to end, without padding, in the dtype they are stored in.

    values   [layers, rows, dim]     |--- utterance 0 ---|- 1 -|------ 2 ------| ...
    offsets  [utterances + 1]        0                   5     7               13

A batch is gathered by index arithmetic: no Python per utterance, and no answer can depend on padding.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from emocache.errors import CacheError
from emocache.store import Features, Packed
from heads.ragged import Ragged, rows_of

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
        return rows_of(self.offsets, which)

    def take(self, which: Int[Tensor, " batch"]) -> "PackedTensor":
        """The utterances `which` [batch], in that order."""
        rows, offsets = self.rows_of(which)
        values = self.values.new_empty(len(self.values), len(rows), self.values.shape[2])
        for layer, out in zip(self.values, values, strict=True):  # ten times as fast as index_select along dimension 1
            torch.index_select(layer, 0, rows, out=out)
        return PackedTensor(values, offsets)


@dataclass(frozen=True, slots=True)
class Views:
    """One view each of some utterances of a batch: their places in it, and the features of the views."""

    of: Int[Tensor, " drawn"]
    inputs: tuple[PackedTensor, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some utterances: one packed tensor for each input of the head, and their classes.

    `weights` are 1 for the utterances that a run learns from, else 0; None: every run learns from all of them. `targets` are
    what the head makes of transcripts, for one that learns them; `views` are drawn for one that compares with these.
    """

    inputs: tuple[PackedTensor, ...]
    labels: Int[Tensor, " batch"]
    weights: Float[Tensor, "runs batch"] | None = None
    targets: Ragged | None = None
    views: Views | None = None


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
    longest: int = 0
    """Rows of the longest utterance, for heads that need to know."""
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
    """All utterances of an experiment, loaded once for all folds and seeds.

    `targets` are what the head makes of transcripts. `views` holds for each utterance where its views lie among these: those
    of one fold. `tested` are what stands for inputs, by their place, where the test part is predicted.
    """

    ids: tuple[str, ...]
    inputs: "tuple[PackedTensor | Mapped, ...]"
    labels: Int[Tensor, " utterances"]
    targets: Ragged | None = None
    views: Ragged | None = None
    tested: "Mapping[int, PackedTensor | Mapped]" = field(default_factory=dict)

    @property
    def lengths(self) -> Int[Tensor, " utterances"]:
        """How many rows each utterance has, over all inputs."""
        return torch.stack([packed.offsets.diff() for packed in self.inputs]).sum(0)

    def batch(self, which: Tensor, draw: torch.Generator | None = None) -> Batch:
        """The utterances `which` [batch]; `draw` chooses a view of each that has any, without it there are none."""
        inputs = tuple(packed.take(which) for packed in self.inputs)
        targets = None if self.targets is None else self.targets.take(which)
        return Batch(inputs, self.labels[which], targets=targets, views=None if draw is None else self._drawn(which, draw))

    def _drawn(self, which: Tensor, draw: torch.Generator) -> Views | None:
        """A view of each utterance of `which` that has any; None where none has."""
        if self.views is None:
            return None
        of, views = self.views.draw(which, draw)
        return Views(of, tuple(packed.take(views) for packed in self.inputs)) if len(of) else None

    def batches(self, parts: Sequence[Tensor], draw: torch.Generator | None = None) -> Iterator[Batch]:
        """One batch after the other; the next one is read from the cache meanwhile, where an input is not in memory."""
        if all(isinstance(packed, PackedTensor) for packed in self.inputs):
            yield from (self.batch(part, draw) for part in parts)
            return
        yield from read_ahead(lambda part: self.batch(part, draw), parts)

    def with_views(self, pairs: Sequence[tuple[str, str]]) -> "Examples":
        """The same with these views, each beside the utterance that it shows."""
        at = {name: i for i, name in enumerate(self.ids)}
        lists: list[list[int]] = [[] for _ in self.ids]
        for view, shown in pairs:
            lists[at[shown]].append(at[view])
        return replace(self, views=Ragged.of(lists, self.labels.device))

    def as_tested(self) -> "Examples":
        """The same with what the test part is predicted from."""
        return replace(self, inputs=tuple(self.tested.get(i, packed) for i, packed in enumerate(self.inputs)))

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
