"""Co-attention at the paper's size over all frames of IEMOCAP: fused kernels and batches of one length against the plain way.

    python -m benchmarks.fused_attention [--device cuda] [--precision bf16] [--levels F] [--steps 6] [--head coattention]
                                         [--ways fused+bucketed,...] [--width 768] [--layers 12]

fused    attention in torch's fused kernels: no matrix of all queries and keys
plain    the same head with that matrix in memory (torch's own reference, SDPBackend.MATH)
bucketed batches of about one length, as the trainer makes them
shuffled batches in random order, padded to the longest

Needs this repository alone: features are random, of lengths drawn as IEMOCAP's (5531 utterances, frames 50 a second, tokens by the
words), made batch by batch. One epoch of one fold is 3982 utterances in steps of 32. `--steps` of its steps are run, chosen at even
distances among all of them sorted by size, and the epoch is their mean times the number of steps: extrapolated, and validation is not in
it. On a CPU each way has a process of its own, and memory is its peak; on a GPU it is the peak of what torch holds.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import heads
from heads.attention import MULTIPLE
from heads.data import Batch, Input, PackedTensor
from heads.learner import DTYPES, bucketed

UTTERANCES, TRAINED, BATCH, CLASSES = 5531, 3982, 32, 4
"""Of the corpus; of the training part of a fold, less a tenth for validation."""
RATES = {"T": 3.2, "F": 50, "P": 11, "S": 4.4, "W": 3}
"""Rows a second: tokens (and two at the ends), frames, phones, syllables, words."""
FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
WAYS = ("fused+bucketed", "fused+shuffled", "plain+bucketed", "plain+shuffled")


def lengths_of(letters: Sequence[str]) -> Tensor:
    """Rows of every utterance: int64 [inputs, utterances]."""
    rng = np.random.default_rng(0)
    seconds = np.clip(rng.lognormal(np.log(4.5) - 0.65**2 / 2, 0.65, UTTERANCES), 0.6, 34)
    rows = [seconds * RATES[letter] + 2 * (letter == "T") for letter in letters]
    return torch.from_numpy(np.maximum(np.stack(rows), 1).astype(np.int64))


def batches_of(lengths: Tensor, order: str) -> list[Tensor]:
    """The batches of an epoch, smallest first."""
    draw = torch.Generator().manual_seed(0)
    pool = torch.randperm(UTTERANCES, generator=draw)[:TRAINED]
    parts = bucketed(pool, lengths.sum(0), BATCH, draw) if order == "bucketed" else list(torch.split(pool, BATCH))
    return sorted(parts, key=lambda part: padded_rows(lengths, part))


def padded_rows(lengths: Tensor, part: Tensor) -> int:
    """Rows of a batch, padding included."""
    return sum(len(part) * -(-int(of[part].max()) // MULTIPLE) * MULTIPLE for of in lengths)


def synthetic(lengths: Tensor, part: Tensor, options: argparse.Namespace) -> Batch:
    """Random features of a batch."""
    device = torch.device(options.device)
    draw = torch.Generator(device).manual_seed(0)
    inputs = []
    for of in lengths:
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), of[part].cumsum(0)]).to(device)
        shape = (options.layers, int(offsets[-1]), options.width)
        inputs.append(PackedTensor(torch.randn(shape, generator=draw, device=device).half(), offsets))
    return Batch(tuple(inputs), (part % CLASSES).to(device))


def measure(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of some steps of one way."""
    kernel, order = way.split("+")
    lengths = lengths_of(options.letters)
    batches = batches_of(lengths, order)
    chosen = [batches[int((i + 0.5) * len(batches) / options.steps)] for i in range(options.steps)]
    model, optimiser = made(options)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with sdpa_kernel(FUSED if kernel == "fused" else [SDPBackend.MATH]):
        step(model, optimiser, synthetic(lengths, chosen[0], options), options)
        seconds = [step(model, optimiser, synthetic(lengths, part, options), options) for part in chosen]
    rows = sum(padded_rows(lengths, part) for part in batches)
    return {
        "way": way,
        "seconds": seconds,
        "steps": len(batches),
        "padding": 1 - int(lengths[:, torch.cat(batches)].sum()) / rows,
        "gb": torch.cuda.max_memory_allocated() / 1e9
        if options.device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def peak_gb(options: argparse.Namespace) -> float:
    """The most memory that was taken at once: by torch on the GPU, or by this process."""
    if options.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def made(options: argparse.Namespace) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The head and its optimiser."""
    torch.manual_seed(0)
    head, layers = heads.head(options.head), tuple(range(1, options.layers + 1))
    inputs = [Input(name=one, level="rows", layers=layers, dim=options.width, text=one == "T") for one in options.letters]
    config = head.Config()
    model = head.build(config, inputs, CLASSES).to(options.device).train()
    return model, torch.optim.Adam(model.parameters(), lr=config.lr)


def step(model: torch.nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, options: argparse.Namespace) -> float:
    """Seconds of one update."""
    wait(options)
    began, dtype = time.perf_counter(), DTYPES[options.precision]
    with torch.autocast(options.device, dtype, enabled=dtype is not torch.float32):
        loss = model(batch).losses["cross_entropy"].sum()
    loss.backward()
    torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    wait(options)
    return time.perf_counter() - began


def wait(options: argparse.Namespace) -> None:
    """Until the device is done."""
    if options.device == "cuda":
        torch.cuda.synchronize()


def alone(way: str) -> dict[str, Any]:
    """One way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fused_attention", *sys.argv[1:], "--one", way]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def line(found: dict[str, Any], first: dict[str, Any]) -> str:
    """One row of the table."""
    mean, epochs = np.mean(found["seconds"]), [np.mean(one["seconds"]) * one["steps"] for one in (found, first)]
    spread = f"{min(found['seconds']):.3f} to {max(found['seconds']):.3f}"
    cells = (found["way"], f"{100 * found['padding']:.0f}", f"{mean:.3f} ({spread})", f"{epochs[0]:.0f}", f"{epochs[0] / epochs[1]:.2f}")
    return "| " + " | ".join((*cells, f"{found['gb']:.2f}")) + " |"


def main() -> None:
    """Let every way have its turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="fp32", choices=list(DTYPES))
    parser.add_argument("--head", default="coattention", choices=["coattention", "transformer"])
    parser.add_argument("--levels", default="F", help="frames, phones, syllables, words: F, F+P, ... F+P+S+W")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--one")
    options = parser.parse_args()
    options.letters = [*(["T"] if options.head == "coattention" else []), *options.levels.split("+")]
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    found = [measure(way, options) if options.device == "cuda" else alone(way) for way in options.ways.split(",")]
    cpu = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    where = torch.cuda.get_device_name() if options.device == "cuda" else cpu
    print(f"{options.head} over {options.levels}, {options.layers} layers of {options.width}, batch {BATCH}, {options.precision}, {where}")
    print(f"{options.steps} of {found[0]['steps']} steps run after one to warm up; the epoch is extrapolated from them\n")
    print("| way | padding % | s a step (fastest to slowest) | s an epoch, extrapolated | times the first | peak GB |")
    print("|---|---|---|---|---|---|")
    for one in found:
        print(line(one, found[0]))


if __name__ == "__main__":
    main()
