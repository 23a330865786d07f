"""Training on the cache against the usual loops, on a synthetic cache with IEMOCAP's 5531 utterances, lengths and four classes.

    python benchmarks/train.py [--layers 1] [--epochs 2] [--seeds 5] [--folds 1] [--ways npy,ram,emocache,emocache-bf16] [--device cpu]

npy        one .npy an utterance, a DataLoader with two workers, zero-padding to the longest of the batch, one fold and seed at a time
ram        the same with everything loaded beforehand
emocache   `linear` as `emocache train` runs it: rows without padding, the seeds of a fold together
emocache-bf16   the same with --set precision=bf16

The same head, batch size, optimiser, epochs and statistics of the training folds everywhere. The ways take turns, fold by fold; the
usual loops train one seed in each turn, ours all seeds. Every way runs in a process of its own, so that peak memory is its own.
Prints one Markdown table: seconds for one epoch of one seed, and UA over the tested folds; and what all folds and seeds took together.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.train_data import CLASSES, DIM, SESSIONS, make
from emocache.store import open_cache

BATCH = 32


class Usual(nn.Module):
    """`linear` as one would write it for padded batches."""

    def __init__(self, layers: int, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(layers))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.norm = nn.LayerNorm(DIM)
        self.dense = nn.Sequential(nn.Linear(DIM, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.2))
        self.classify = nn.Linear(128, CLASSES)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """float32 [batch, layers, time, dim] -> [batch, classes]."""
        standardised = (frames - self.mean[:, None]) / self.std[:, None]
        mixed = (standardised * (self.weight / self.weight.sum())[:, None, None]).sum(1)
        hidden = self.dense(self.norm(mixed))
        mask = (torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]).float()[:, :, None]
        return self.classify((hidden * mask).sum(1) / mask.sum(1))


class Npy(torch.utils.data.Dataset):
    """One .npy an utterance, or all of them in memory."""

    def __init__(self, folder: Path, names: list[str], labels: np.ndarray, *, ram: dict[str, np.ndarray] | None) -> None:
        self._folder, self._names, self._labels, self._ram = folder, names, labels, ram

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        name = self._names[i]
        values = self._ram[name] if self._ram is not None else np.load(self._folder / f"{name}.npy")
        return torch.from_numpy(values).float(), int(self._labels[i])


def padded(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """[batch, layers, longest, dim], lengths, labels."""
    lengths = torch.tensor([one.shape[1] for one, _ in batch])
    frames = torch.stack([F.pad(one, (0, 0, 0, int(lengths.max()) - one.shape[1])) for one, _ in batch])
    return frames, lengths, torch.tensor([label for _, label in batch])


def usual(work: Path, options: argparse.Namespace, way: str) -> Iterator[dict[str, Any]]:
    """The usual loop, one seed a turn."""
    labels, session = np.load(work / "labels.npy"), np.load(work / "session.npy")
    names = np.array([f"u{i:05}" for i in range(len(labels))])
    ram = {name: np.load(work / "npy" / f"{name}.npy") for name in names} if way == "ram" else None
    for fold in range(options.folds):
        train, test = np.flatnonzero(session != fold), np.flatnonzero(session == fold)
        held_out = np.random.default_rng(fold).permutation(train)[: len(train) // 10]
        train = np.setdiff1d(train, held_out)
        mean, std = (torch.from_numpy(np.load(work / f"{name}.npy")) for name in ("mean", "std"))
        torch.manual_seed(0)
        model = Usual(options.layers, mean, std).to(options.device)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        part = {key: Npy(work / "npy", names[which].tolist(), labels[which], ram=ram) for key, which in
                (("train", train), ("validation", held_out), ("test", test))}  # fmt: skip
        workers = 2 if way == "npy" else 0
        loaders = {
            key: torch.utils.data.DataLoader(one, BATCH, shuffle=key == "train", collate_fn=padded, num_workers=workers)
            for key, one in part.items()
        }  # fmt: skip
        began, cpu = time.perf_counter(), cpu_seconds()
        for _ in range(options.epochs):
            model.train()
            for frames, lengths, truth in loaders["train"]:
                loss = F.cross_entropy(model(frames.to(options.device), lengths.to(options.device)), truth.to(options.device))
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_value_(model.parameters(), 1.0)
                optimiser.step()
            answers(model, loaders["validation"], options.device)
        seconds = (time.perf_counter() - began, cpu_seconds() - cpu)
        truth, said = answers(model, loaders["test"], options.device)
        yield {"wall": seconds[0] / options.epochs, "cpu": seconds[1] / options.epochs, "ua": ua(truth, said)}


@torch.no_grad()
def answers(model: nn.Module, loader: Any, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and predictions."""
    model.eval()
    found = [(truth, model(frames.to(device), lengths.to(device)).argmax(1).cpu()) for frames, lengths, truth in loader]
    return tuple(torch.cat(column).numpy() for column in zip(*found, strict=True))  # type: ignore[return-value]


def ours(work: Path, options: argparse.Namespace, way: str) -> Iterator[dict[str, Any]]:
    """`linear` through the trainer, all seeds of a fold in one turn."""
    from heads import linear, material, trainer
    from heads.config import override
    from heads.data import Examples, Input

    cache = open_cache(work / "cache")
    features = cache.features("synthetic", "features")
    labels, session = np.load(work / "labels.npy"), np.load(work / "session.npy")
    ids = tuple(f"u{i:05}" for i in range(len(labels)))
    layers = tuple(range(options.layers))
    one = Input(name="features", level="frames", layers=layers, dim=DIM)
    began = time.perf_counter()
    device = torch.device(options.device)
    packed = material.load_input(features, one, ids, device)
    loading = time.perf_counter() - began
    examples = Examples(ids, (packed,), torch.from_numpy(labels).to(device))
    precision = "bf16" if way.endswith("bf16") else "fp32"
    config = override(linear.Config(), [f"epochs={options.epochs}", "patience=1000000", f"precision={precision}"])
    seeds = list(range(options.seeds))
    for fold in range(options.folds):
        pool, test = (torch.from_numpy(np.flatnonzero(which)).to(device) for which in (session != fold, session == fold))
        parts = []
        for seed in seeds:
            shuffled = pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed)).to(device)]
            cut = len(pool) // 10
            parts.append(trainer.Parts(shuffled[cut:], shuffled[:cut], test, pool))
        stamps: list[float] = []
        began, cpu = time.perf_counter(), cpu_seconds()
        fitted = trainer.fit(
            linear, config, [one], examples, parts, classes=CLASSES, seeds=seeds,
            on_epoch=lambda seed, number, epoch, stamps=stamps: stamps.append(time.perf_counter()),
        )  # fmt: skip
        share = options.epochs * len(seeds)
        truth = labels[test.numpy()]
        scores = [ua(truth, run.probabilities.argmax(1)) for run in fitted]
        yield {
            "wall": (time.perf_counter() - began) / share, "cpu": (cpu_seconds() - cpu) / share, "ua": float(np.mean(scores)),
            "loading": loading, "to first epoch": stamps[0] - began,
        }  # fmt: skip


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    return sum(
        one.ru_utime + one.ru_stime for one in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def ua(truth: np.ndarray, said: np.ndarray) -> float:
    """Mean recall."""
    return float(np.mean([(said[truth == one] == one).mean() for one in np.unique(truth)]))


def main() -> None:
    """Make the data, let the ways take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--utterances", type=int, default=5531)
    parser.add_argument("--ways", default="npy,ram,emocache,emocache-bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, help="where the data are, or are to be, kept")
    parser.add_argument("--one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        if options.one:
            serve(work, options)
            return
        make(work, options.layers, options.utterances, npy=bool({"npy", "ram"} & set(options.ways.split(","))))
        ways = options.ways.split(",")
        command = [sys.executable, "-m", "benchmarks.train", *sys.argv[1:], "--work", str(work), "--one"]
        running = {
            way: subprocess.Popen([*command, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for way in ways
        }  # fmt: skip
        found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(min(options.folds, SESSIONS)):
            for way, process in running.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                found[way].append(json.loads(process.stdout.readline()))
                print(way, found[way][-1], file=sys.stderr, flush=True)
        print(f"{options.utterances} utterances, {options.layers} layers of {DIM}, {options.epochs} epochs, {options.folds} folds")
        print(f"{options.seeds} seeds together, on {options.device}, {torch.get_num_threads()} threads\n")
        print("| way | s per epoch and seed | CPU s | times as fast as npy | as ram | peak GB | UA % |\n|---|---|---|---|---|---|---|")
        for way, turns in found.items():
            print(line(way, turns, found))
        for way, turns in found.items():
            if way.startswith("emocache"):
                together = sum(turn["wall"] for turn in turns) * options.epochs * options.seeds
                print(f"\n{way}: {len(turns) * options.seeds} runs of {options.epochs} epochs in {together:.1f} s, features loaded in "
                      f"{turns[0]['loading']:.1f} s, first epoch after {turns[0]['to first epoch']:.1f} s")  # fmt: skip


def line(way: str, turns: list[dict[str, float]], found: dict[str, list[dict[str, float]]]) -> str:
    """One row of the table."""
    wall = np.median([turn["wall"] for turn in turns])
    ratios = [f"{np.median([b['wall'] / a['wall'] for a, b in zip(turns, found[other], strict=True)]):.1f}" if other in found else "-"
              for other in ("npy", "ram")]  # fmt: skip
    cells = [way, f"{wall:.2f}", f"{np.median([turn['cpu'] for turn in turns]):.2f}", *ratios, f"{max(turn['peak'] for turn in turns):.1f}",
             f"{100 * np.mean([turn['ua'] for turn in turns]):.1f}"]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def serve(work: Path, options: argparse.Namespace) -> None:
    """One way: a turn for every line on stdin."""
    turns = (ours if options.one.startswith("emocache") else usual)(work, options, options.one)
    for _ in sys.stdin:
        found = next(turns)
        print(json.dumps(found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}), flush=True)


if __name__ == "__main__":
    main()
