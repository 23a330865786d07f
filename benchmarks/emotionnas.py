"""The network of EmotionNAS's search with its edges computed together, against edge by edge as in DARTS's code.

    python -m benchmarks.emotionnas [--device cuda] [--sizes 3-4,3-6] [--batch 64] [--order first] [--precision fp32,bf16] [--repeats 3]

A step is one of the search: the gradient of the architecture weights on a batch, then forward, backward and update of the network's on
another; images are random, 140 x 140. The two networks have the same weights and are measured in turn, after one step each that
does not count. An epoch is 2280 utterances in batches of 64, so 2280 / 64 steps; with a smaller --batch its steps are scaled to as
many utterances. On a CPU seconds are CPU time of this process divided by its threads, which others at work on the machine change little;
on a GPU they are by the clock. Prints one Markdown table: seconds of both parts of a step, and of an epoch (extrapolated), how many
times as fast as edge by edge in fp32 (range over the turns), and the memory that the forward pass keeps for the backward pass.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from heads.config import override
from heads.data import Batch, Input, PackedTensor
from heads.emotionnas.gradients import Ahead, Order, architecture_gradient
from heads.learner import MOMENTUM
from heads.supernet import Config, build
from tests.heads.plain_supernet import PlainSupernet

SIDE, UTTERANCES, BATCH, CLASSES = 140, 2280, 64, 4


@dataclass(frozen=True)
class Seconds:
    """Of one step."""

    architecture: float
    network: float

    @property
    def both(self) -> float:
        """Of the whole."""
        return self.architecture + self.network


class Step:
    """A network and two batches."""

    def __init__(self, layers: int, channels: int, kind: str, precision: str, options: argparse.Namespace) -> None:
        config = override(Config(), [f"layers={layers}", f"channels={channels}"])
        torch.manual_seed(0)
        fast = build(config, [Input(name="images", level="frames", layers=(0,), dim=SIDE)], CLASSES)
        self.network: nn.Module = (fast if kind == "together" else PlainSupernet(fast)).to(options.device)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=config.lr, momentum=MOMENTUM, weight_decay=config.weight_decay)
        self.batches = [made(options) for _ in range(2)]
        self.half, self.order, self.device = precision == "bf16", options.order, torch.device(options.device)
        self()

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            said = self.network(batch)
        return F.cross_entropy((said if isinstance(said, Tensor) else said.logits[0]).float(), batch.labels)

    def architecture(self) -> None:
        """The gradient of the architecture weights."""
        alphas = self.network.alphas.requires_grad_()
        (group,) = self.optimiser.param_groups
        past = [self.optimiser.state[weight].get("momentum_buffer") for weight in group["params"]]
        ahead = Ahead(group["params"], past, group["lr"], MOMENTUM, group["weight_decay"])
        order: Order = self.order
        architecture_gradient(order, lambda: self.loss(self.batches[0]), lambda: self.loss(self.batches[1]), alphas, ahead)
        alphas.requires_grad_(False)

    def weights(self) -> None:
        """An update of the network's weights."""
        self.loss(self.batches[0]).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def __call__(self) -> Seconds:
        """One step."""
        return Seconds(self.timed(self.architecture), self.timed(self.weights))

    def timed(self, work: Callable[[], None]) -> float:
        """Seconds, see above."""
        began = self.clock()
        work()
        return self.clock() - began

    def clock(self) -> float:
        """Now."""
        if self.device.type == "cpu":
            return time.process_time() / torch.get_num_threads()
        torch.cuda.synchronize()
        return time.perf_counter()

    def kept_bytes(self) -> int:
        """What the forward pass keeps, weights and batch included; what several operations keep counts once."""
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self.loss(self.batches[0])
            total = sum(sizes.values())
        del loss
        return total


def made(options: argparse.Namespace) -> Batch:
    """Random images."""
    values = torch.randn(1, SIDE * options.batch, SIDE, device=options.device)
    offsets = torch.arange(options.batch + 1, device=options.device) * SIDE
    return Batch((PackedTensor(values, offsets),), torch.arange(options.batch, device=options.device) % CLASSES)


def rows(layers: int, channels: int, options: argparse.Namespace) -> list[str]:
    """One size: edge by edge in fp32, then together in every precision."""
    kinds = [("edge by edge", "fp32"), *(("together", precision) for precision in options.precision.split(","))]
    steps = {kind: Step(layers, channels, *kind, options) for kind in kinds}
    turns = [{kind: step() for kind, step in steps.items()} for _ in range(options.repeats)]
    found = []
    for kind, step in steps.items():
        each = [turn[kind] for turn in turns]
        faster = sorted(turn[kinds[0]].both / turn[kind].both for turn in turns)
        architecture, weights = (statistics.median(getattr(one, name) for one in each) for name in ("architecture", "network"))
        epoch = statistics.median(one.both for one in each) * UTTERANCES / options.batch
        cells = [f"({layers}, {channels})", *kind, f"{architecture:.3f}", f"{weights:.3f}", f"{epoch:.0f}"]
        cells += [
            f"{statistics.median(faster):.2f} ({faster[0]:.2f} to {faster[-1]:.2f})",
            f"{step.kept_bytes() / options.batch / 1e6:.0f}",
        ]
        found.append("| " + " | ".join(cells) + " |")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", default="3-4,3-6")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--order", choices=["first", "second", "second-order-exact"], default="first")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    where = torch.cuda.get_device_name(options.device) if options.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"batch {options.batch}, {options.order} order, {where}, {options.repeats} turns, torch {torch.__version__}\n")
    titles = ["(L, C)", "edges", "precision", "s architecture", "s network", "s an epoch of 2280", "times as fast", "MB kept an utterance"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for size in options.sizes.split(","):
        layers, channels = map(int, size.split("-"))
        print("\n".join(rows(layers, channels, options)), flush=True)


if __name__ == "__main__":
    main()
