"""The loop of stage 1: audio is loaded ahead by threads, batches go through the encoder, and rows leave for the store.

    units -> batches -> loaded and prepared (threads) -> forward (device) -> pooled, cast (device) -> put (writer thread)

Whoever encodes waits for neither disk. Batches are formed inside a unit, longest first, by what they cost when padded.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache import audio
from emocache.devices import out_of_memory
from emocache.encoders import Encoder
from emocache.errors import AudioError, EncoderError
from emocache.files import first_line
from emocache.levels import Level, pooled
from emocache.store.unit import UnitWriter
from emocache.store.writer import FeatureWriter, Work
from emocache.types import SAMPLE_RATE, Utterance

BUDGET = {
    ("audio", "cpu"): 40 * SAMPLE_RATE, ("audio", "cuda"): 320 * SAMPLE_RATE,
    ("text", "cpu"): 2048, ("text", "cuda"): 32_768,
}  # fmt: skip
"""Samples, or tokens, of one forward pass with its padding, unless the user says otherwise."""
PADDING = {"cpu": 0.05, "cuda": 0.25}
"""Most padding of a batch, relative to what it holds: a CPU pays for it in full, a GPU gains by larger batches."""
AHEAD = 3
"""Batches that are loaded while one is encoded."""
Loaded = list[tuple[Utterance, Any]]


class Loop:
    """Encodes the units of one job. `notes` say in words what did not go as planned, such as a batch that had to be halved."""

    def __init__(self, encoder: Encoder, levels: Mapping[str, Level], root: Path, dtype: str, budget: int | None = None) -> None:
        """`root` is where audio paths begin, `dtype` what is stored, `budget` the samples (or tokens) of a forward pass."""
        self._encoder = encoder
        self._levels = levels
        self._root = root
        self._dtype = dtype
        device = "cuda" if encoder.device.type == "cuda" else "cpu"
        self._budget = budget or BUDGET[encoder.modality, device]
        self._padding = PADDING[device]
        self._most = 1 << 62
        self.notes: list[str] = []

    def run(self, writer: FeatureWriter, work: Sequence[Work], by_id: Mapping[str, Utterance]) -> Iterator[Utterance]:
        """Make every unit; each utterance as it is done, or has failed."""
        tasks = [(item.unit, batch) for item in work for batch in self.batches([by_id[name] for name in item.ids])]
        with ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 1))) as pool:
            ahead = _Ahead(pool, tasks, self._load)
            for item, unit in writer.units(work):
                for loaded in ahead.of_unit(item.unit):
                    yield from self._encode(loaded, item, unit)
                unit.commit()

    def batches(self, utterances: Sequence[Utterance]) -> list[list[Utterance]]:
        """Utterances that follow on each other, longest first: as many as fit the budget when padded to the longest.

        A batch ends earlier when padding would pass its share, and where the encoder is exact at equal size alone.
        """
        found: list[list[Utterance]] = []
        first = total = 0
        for utterance in utterances:
            size = self._encoder.size(utterance)
            padded = max(size, first) * (len(found[-1]) + 1) if found else 0
            fits = padded <= self._budget and padded <= (1 + self._padding) * (total + size)
            if found and fits and (self._encoder.batching == "padded" or size == first):
                found[-1].append(utterance)
                total += size
            else:
                found.append([utterance])
                first = total = size
        return found

    def _load(self, batch: Sequence[Utterance]) -> list[tuple[Utterance, Any, str | None]]:
        """What the encoder is given of each utterance, or why there is nothing to give."""
        found: list[tuple[Utterance, Any, str | None]] = []
        for utterance in batch:
            try:
                found.append((utterance, self._encoder.prepare(self._value(utterance)), None))
            except AudioError as error:
                found.append((utterance, None, str(error)))
            except (ValueError, RuntimeError, MemoryError) as error:
                raise EncoderError(f"{utterance.id}: cannot be prepared for the encoder ({first_line(error)})") from error
        return found

    def _value(self, utterance: Utterance) -> NDArray[np.float32] | str:
        """Waveform or text; AudioError when the audio is no longer what was scanned."""
        if self._encoder.modality == "text":
            return utterance.transcript or ""
        wave = audio.load_utterance(utterance, self._root)
        if audio.digest(wave) != utterance.audio_sha256:
            raise AudioError("its audio changed while it was being extracted; run the command again")
        return wave

    def _encode(self, loaded: Sequence[tuple[Utterance, Any, str | None]], work: Work, unit: UnitWriter) -> Iterator[Utterance]:
        """Encode a batch of one unit and put its rows."""
        layers = sorted({layer for _, layer in work.arrays})
        wanted = {name for name, _ in work.arrays}
        good: Loaded = []
        for utterance, value, reason in loaded:
            if reason is None:
                good.append((utterance, value))
            else:
                unit.fail(utterance.id, reason)
                yield utterance
        for part in self._cut(good):
            for utterance, rows, size in self._forward(part, layers, wanted, unit):
                if rows is not None:
                    unit.put(utterance.id, by_array(rows, work, layers), size)
                yield utterance

    def _forward(self, batch: Loaded, layers: Sequence[int], wanted: set[str], unit: UnitWriter) -> Iterator[tuple[Utterance, Any, int]]:
        """Rows on their way to the host, and their bytes; where memory does not suffice, a batch is cut in halves.

        What is too large alone fails by name, and has None for rows.
        """
        if not batch:
            return
        try:
            states = self._encoder.forward([value for _, value in batch], layers)
            moving = [to_host(self._pooled(wanted, one, u), self._dtype) for (u, _), one in zip(batch, states, strict=True)]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise EncoderError(f"{batch[0][0].id} to {batch[-1][0].id}: the encoder failed ({first_line(error)})") from error
            reason = first_line(error)
        else:
            for (utterance, _), rows, one in zip(batch, moving, states, strict=True):
                yield utterance, rows, one.nbytes
            return
        if self._encoder.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            unit.fail(batch[0][0].id, f"out of memory: {reason}")
            yield batch[0][0], None, 0
            return
        note = f"out of memory with {len(batch)} utterances from {batch[0][0].id} on: encoded in halves"
        self.notes.append(note)
        unit.note(note)
        half = (len(batch) + 1) // 2
        self._most = min(self._most, sum(self._encoder.size(utterance) for utterance, _ in batch[:half]))
        yield from self._forward(batch[:half], layers, wanted, unit)
        yield from self._forward(batch[half:], layers, wanted, unit)

    def _pooled(self, wanted: set[str], states: Tensor, utterance: Utterance) -> dict[str, Tensor]:
        """The rows of the wanted levels."""
        return pooled(self._levels, wanted, states, utterance, self._dtype)

    def _cut(self, batch: Loaded) -> Iterator[Loaded]:
        """A batch in parts that are no larger than what has fitted since memory did not suffice."""
        part: Loaded = []
        for one in batch:
            first = self._encoder.size(part[0][0]) if part else self._encoder.size(one[0])
            if part and first * (len(part) + 1) > self._most:
                yield part
                part = []
            part.append(one)
        yield part


class _Ahead:
    """Batches being loaded by threads, AHEAD of the one that is encoded; those of units that others took are dropped."""

    def __init__(self, pool: ThreadPoolExecutor, tasks: Sequence[tuple[int, list[Utterance]]], load: Callable[..., Any]) -> None:
        self._pool = pool
        self._tasks = tasks
        self._load = load
        self._loading: dict[int, Future[Any]] = {}
        self._first: dict[int, int] = {}
        for number, (unit, _) in enumerate(tasks):
            self._first.setdefault(unit, number)

    def of_unit(self, unit: int) -> Iterator[list[tuple[Utterance, Any, str | None]]]:
        """The loaded batches of a unit, one after the other."""
        number = self._first[unit]
        while number < len(self._tasks) and self._tasks[number][0] == unit:
            for passed in [one for one in self._loading if not number <= one <= number + AHEAD]:
                self._loading.pop(passed).cancel()
            for soon in range(number, min(number + AHEAD + 1, len(self._tasks))):
                if soon not in self._loading:
                    self._loading[soon] = self._pool.submit(self._load, self._tasks[soon][1])
            yield self._loading.pop(number).result()
            number += 1


def to_host(levels: Mapping[str, Tensor], dtype: str) -> Callable[[], dict[str, list[NDArray[Any]]]]:
    """Begin moving rows [layers, rows, dim] to the host as they are stored; what is returned waits for them.

    A layer with values that float16 cannot hold comes in float32, for the store to decide.
    """
    if dtype != "fp16":
        return lambda: {name: list(states.cpu().numpy()) for name, states in levels.items()}
    device = next(iter(levels.values())).device
    with torch.inference_mode():
        halves = {name: states.half() for name, states in levels.items()}
        fit = {name: half.isfinite().flatten(1).all(1) for name, half in halves.items()}
    if device.type != "cuda":
        return lambda: _fitting(levels, halves, fit)
    begun = torch.cuda.Event()  # type: ignore[no-untyped-call]
    moved = {name: _pinned(half) for name, half in halves.items()}
    moved_fit = {name: _pinned(flags) for name, flags in fit.items()}
    begun.record(torch.cuda.current_stream(device))

    def wait() -> dict[str, list[NDArray[Any]]]:
        begun.synchronize()
        return _fitting(levels, moved, moved_fit)

    return wait


def _pinned(values: Tensor) -> Tensor:
    """A copy in pinned host memory that is under way."""
    target = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return target.copy_(values, non_blocking=True)


def _fitting(levels: Mapping[str, Tensor], halves: Mapping[str, Tensor], fit: Mapping[str, Tensor]) -> dict[str, list[NDArray[Any]]]:
    """The rows of every layer: in float16 where that holds them."""
    return {
        name: [half.numpy() if good else full.cpu().numpy() for full, half, good in zip(levels[name], halves[name], fit[name], strict=True)]
        for name in halves
    }


def by_array(
    rows: Callable[[], dict[str, list[NDArray[Any]]]], work: Work, layers: Sequence[int]
) -> Callable[[], dict[tuple[str, int], NDArray[Any]]]:
    """Rows by level and layer, as the store takes them."""

    def resolve() -> dict[tuple[str, int], NDArray[Any]]:
        found = rows()
        return {(name, layer): found[name][layers.index(layer)] for name, layer in work.arrays}

    return resolve
