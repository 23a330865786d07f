"""The recurrent branch of EmotionNAS at the paper's size: our interpreter beside a plain loop and torch.nn.LSTM, forward and backward.

    python -m benchmarks.emotionnas_recurrent [--device cuda] [--sizes 1x128,2x256] [--steps 727] [--repeats 3] [--recipe FILE]

A step learns from 32 utterances of 727 frames x 512, as the paper has them. The three take turns, after a step each that does not count;
an epoch is 2280 utterances, so its seconds are those of the median step times 71.25: extrapolated, never run. With fewer `--steps`
the frames of an utterance are fewer, and the seconds are multiplied by what is missing. The plain loop is the one that the tests hold the
interpreter against: step by step, node by node, a direction after the other. On a CPU seconds are CPU time of this process divided by
its threads, which others at work on the machine change little. The LSTM is a yardstick alone: in a direction it has 4 matrices on
hidden values where the default cell has 6, and 4 on the frame where that has 1. Prints one Markdown table.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from heads.emotionnas import cellfile, recipe, sampling
from heads.emotionnas.recurrence import Recurrence, steps_of
from heads.emotionnas.sampling import Family
from tests.heads.plain_cell import PlainLayer

BATCH, FRAMES, DIM, UTTERANCES = 32, 727, 512, 2280
KINDS = ("interpreter", "plain loop", "nn.LSTM")


class Stack(nn.Module):
    """Layers of one kind, on utterances of one length."""

    def __init__(self, kind: str, of: recipe.CellRecipe, layers: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        torch.manual_seed(0)
        fast = [Recurrence(of, 2 * width if number else DIM, width) for number in range(layers)]
        self.layers = nn.ModuleList(fast if kind == KINDS[0] else map(PlainLayer, fast))
        if kind == KINDS[2]:
            self.layers = nn.ModuleList([nn.LSTM(DIM, width, layers, batch_first=True, bidirectional=True)])

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, time, dim] -> [batch, time, 2 width]."""
        if self.kind == KINDS[2]:
            return self.layers[0](frames)[0]
        if self.kind == KINDS[1]:
            for layer in self.layers:
                frames = layer(frames)
            return frames
        batch, length, _ = frames.shape
        rows, steps = frames.flatten(0, 1), steps_of(torch.arange(batch + 1, device=frames.device) * length)
        for layer in self.layers:
            rows = layer(rows, steps)
        return rows.view(batch, length, -1)


def step(model: Stack, frames: Tensor) -> Callable[[], float]:
    """What takes a step and says its seconds."""

    def take() -> float:
        began = _now(frames)
        model(frames).square().mean().backward()
        taken = _now(frames) - began
        model.zero_grad(set_to_none=True)
        return taken

    return take


def _now(frames: Tensor) -> float:
    """Seconds: of this process by thread on a CPU; by the clock on a GPU, once it has done what it was given."""
    if frames.is_cuda:
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def row(size: str, of: recipe.CellRecipe, options: argparse.Namespace) -> str:
    """One size."""
    layers, width = map(int, size.split("x"))
    frames = torch.randn(BATCH, options.steps, DIM, device=options.device)
    each = {kind: step(Stack(kind, of, layers, width).to(options.device), frames) for kind in KINDS}
    for take in each.values():
        take()
    turns = [{kind: take() for kind, take in each.items()} for _ in range(options.repeats)]
    epoch = UTTERANCES / BATCH * FRAMES / options.steps
    seconds = {kind: statistics.median(turn[kind] for turn in turns) * epoch for kind in KINDS}
    faster = [sorted(turn[kind] / turn[KINDS[0]] for turn in turns) for kind in KINDS[1:]]
    cells = [f"{layers} of {width}", *(f"{seconds[kind]:.1f}" for kind in KINDS)]
    cells += [f"{statistics.median(one):.2f} ({one[0]:.2f} to {one[-1]:.2f})" for one in faster]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", default="1x128,2x256")
    parser.add_argument("--steps", type=int, default=FRAMES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recipe", type=Path)
    options = parser.parse_args()
    of = recipe.of_json(cellfile.load(options.recipe).cell.value) if options.recipe else sampling.sample(1, 0, Family())[0]
    where = torch.cuda.get_device_name(options.device) if options.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"cell {of.digest}: {of.words()}\n{where}, {options.repeats} turns of {BATCH} utterances x {options.steps} frames x {DIM}\n")
    titles = ["layers", *(f"{kind}, s an epoch" for kind in KINDS), "plain loop / interpreter", "nn.LSTM / interpreter"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for size in options.sizes.split(","):
        print(row(size, of, options), flush=True)


if __name__ == "__main__":
    main()
