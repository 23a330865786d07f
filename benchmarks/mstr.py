"""A block of MSTR against a block of a vanilla transformer (torch's fused attention), forward and backward, at several lengths.

    python benchmarks/mstr.py [--device cuda] [--times 326,1000,3000,10000] [--width 1024] [--frames 10000] [--repeats 5] [--precision bf16]

The two blocks have the same parameters and are measured in turn, after one step each that does not count; a step takes as many
utterances as `--frames` holds, at least one. Prints one Markdown table: milliseconds for one utterance (median), how many times as fast
MSTR is in the same turn (median, and its range), the same of the multiplications, nanoseconds for one frame, and the memory that a step
takes beyond the weights: on a GPU as its allocator counts, on a CPU of a process of its own. No cache is needed.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from heads.config import override
from heads.mstr import Config
from heads.mstr.cost import attention
from heads.mstr.layers import Block, Frames
from heads.mstr.model import block
from heads.mstr.scales import scales_of

KINDS = ("vanilla", "mstr")


class Step:
    """A block, what it is given, and what its answer is compared with."""

    def __init__(self, kind: str, time: int, options: argparse.Namespace) -> None:
        config = override(Config(), [f"attention={kind}", "dropout=0"])
        device = torch.device(options.device)
        utterances = max(1, options.frames // time)
        torch.manual_seed(0)
        self.block: Block = block(config, options.width).to(device)
        self.values = torch.randn(utterances, time, options.width, device=device, requires_grad=True)
        self.wanted = torch.randn(utterances, time, options.width, device=device)
        real = torch.ones(1, time, dtype=torch.bool, device=device)
        self.frames = Frames(None, scales_of(real, config.p, config.levels if kind == "mstr" else 0, floor=False))
        self.half = options.precision == "bf16"

    def __call__(self) -> None:
        """Forward and backward."""
        with torch.autocast(self.values.device.type, torch.bfloat16, enabled=self.half):
            found: Tensor = self.block(self.values, self.frames)
        (found.float() * self.wanted).mean().backward()
        self.block.zero_grad()
        self.values.grad = None


def seconds(step: Step) -> float:
    """Of one step."""
    wait(step)
    began = time.perf_counter()
    step()
    wait(step)
    return time.perf_counter() - began


def wait(step: Step) -> None:
    """Until the GPU has done what it was given."""
    if step.values.is_cuda:
        torch.cuda.synchronize()


def peak_bytes(kind: str, time: int, options: argparse.Namespace) -> int:
    """What a step takes beyond the block and its input."""
    if options.device == "cpu":
        command = [sys.executable, "-m", "benchmarks.mstr", *sys.argv[1:], "--one", kind, "--times", str(time)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    step = Step(kind, time, options)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def resident_growth(step: Step) -> int:
    """How much more memory this process had at its peak in a step than before it (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes, from what Linux says of this process."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def multiplications(kind: str, time: int, width: int) -> int:
    """Of a block, for one utterance."""
    config = override(Config(), [f"attention={kind}", f"frames={time}"])
    return time * (4 * width**2 + 2 * width * config.ffn_of(width)) + attention(config, width)


def row(time: int, options: argparse.Namespace) -> str:
    """One length."""
    steps = {kind: Step(kind, time, options) for kind in KINDS}
    for step in steps.values():
        step()
    turns = [{kind: seconds(step) for kind, step in steps.items()} for _ in range(options.repeats)]
    utterances = len(steps["mstr"].values)
    del steps
    each = {kind: statistics.median(turn[kind] for turn in turns) / utterances for kind in KINDS}
    faster = sorted(turn["vanilla"] / turn["mstr"] for turn in turns)
    counted = {kind: multiplications(kind, time, options.width) for kind in KINDS}
    cells = [str(time), str(utterances), *(f"{1e3 * each[kind]:.2f}" for kind in KINDS)]
    cells += [f"{statistics.median(faster):.2f} ({faster[0]:.2f} to {faster[-1]:.2f})", f"{counted['vanilla'] / counted['mstr']:.2f}"]
    cells += [f"{1e9 * each[kind] / time:.0f}" for kind in KINDS]
    cells += [f"{peak_bytes(kind, time, options) / 1e6:.0f}" for kind in KINDS]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--times", default="326,1000,3000,10000")
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--one")
    options = parser.parse_args()
    times = [int(one) for one in options.times.split(",")]
    if options.one:
        print(resident_growth(Step(options.one, times[0], options)))
        return
    where = torch.cuda.get_device_name(options.device) if options.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"width {options.width}, 16 heads, {options.precision}, {where}, {options.repeats} turns\n")
    titles = ["frames", "utterances", "vanilla ms", "mstr ms", "times as fast", "fewer multiplications", "vanilla ns a frame"]
    titles += ["mstr ns a frame", "vanilla MB", "mstr MB"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for one in times:
        print(row(one, options), flush=True)


if __name__ == "__main__":
    main()
