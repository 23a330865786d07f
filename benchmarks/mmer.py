"""MMER at the size of IEMOCAP: seconds per epoch by batch and bank, and the gradient norm of each loss.

    python -m benchmarks.mmer [--ways 4x4,4x4+bank256,256x1] [--updates 2] [--utterances 5531] [--device cpu] [--precision fp32]

Features are random and in memory, with IEMOCAP's lengths (lognormal, 4.5 s on average, 50 rows a second) and 768 dimensions; every
utterance has a transcript of 12 characters a second and a view, which is another utterance. A way is batch x accumulated steps. Only
some updates are made, by the product's own learner, and the seconds of an epoch are EXTRAPOLATED from them to the 3982
utterances that a fold of IEMOCAP trains on. Prints Markdown tables.
"""

import argparse
import time

import numpy as np
import torch

from benchmarks.train_data import CLASSES, DIM, FRAMES_S
from heads import mmer
from heads.config import override
from heads.data import Examples, Input, PackedTensor
from heads.learner import Learner
from heads.ragged import Ragged

TRAINED = round(5531 * 0.8 * 0.9)
CHARACTERS_S, TOKENS_S = 12, 3
INPUTS = [
    Input(name="speech", level="frames", layers=(12,), dim=DIM),
    Input(name="text", level="tokens", layers=(12,), dim=DIM, text=True),
]
LOSSES = ("cross_entropy", "ctc", "scl", "acl")


def made(utterances: int, device: torch.device) -> Examples:
    """Random examples."""
    rng, draw = np.random.default_rng(0), torch.Generator().manual_seed(0)
    seconds = np.clip(rng.lognormal(np.log(4.5) - 0.65**2 / 2, 0.65, utterances), 0.6, 34)

    def packed(rate: float) -> PackedTensor:
        lengths = torch.from_numpy(np.maximum((seconds * rate).astype(np.int64), 3))
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        values = torch.empty(1, int(offsets[-1]), DIM, dtype=torch.float16).normal_(generator=draw)
        return PackedTensor(values.to(device), offsets.to(device))

    said = [rng.integers(4, 32, max(1, int(length * CHARACTERS_S))).tolist() for length in seconds]
    views = [[(i + 1) % utterances] for i in range(utterances)]
    labels = torch.from_numpy(rng.integers(0, CLASSES, utterances)).to(device)
    ids = tuple(map(str, range(utterances)))
    inputs = (packed(FRAMES_S), packed(TOKENS_S))
    return Examples(ids, inputs, labels, targets=Ragged.of(said, device), views=Ragged.of(views, device))


def config_of(way: str, options: argparse.Namespace) -> mmer.Config:
    """'4x4+bank256' -> batch 4, accumulate 4, bank 256."""
    size, _, bank = way.partition("+bank")
    batch, accumulate = size.split("x")
    settings = [f"batch={batch}", f"accumulate={accumulate}", f"bank={bank or 0}", f"precision={options.precision}"]
    return override(mmer.Config(), settings)


def epoch(way: str, examples: Examples, options: argparse.Namespace) -> tuple[int, float]:
    """Utterances that were learnt from, and the seconds that took, the first update not counted."""
    config = config_of(way, options)
    counts = [config.batch * config.accumulate * updates for updates in (1, options.updates)]
    pools = [torch.randperm(len(examples.ids), generator=torch.Generator().manual_seed(1))[:count] for count in counts]
    for pool in pools:
        learner = Learner(mmer, config, INPUTS, examples, pool.to(examples.labels.device), None, CLASSES, [0])
        began = time.perf_counter()
        learner.epoch()
        if examples.labels.device.type == "cuda":
            torch.cuda.synchronize()
    return len(pools[-1]), time.perf_counter() - began


def gradients(way: str, examples: Examples, options: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Each loss with its weight, the norm of its gradient over what the classifier uses, and the cosine with cross-entropy's."""
    config = config_of(way, options)
    torch.manual_seed(0)
    model = mmer.build(config, INPUTS, CLASSES).to(examples.labels.device).train()
    draw = torch.Generator().manual_seed(2)
    parts = torch.randperm(len(examples.ids), generator=draw)[: config.batch * 8].to(examples.labels.device).split(config.batch)
    used = [weight for name, weight in model.named_parameters() if not name.startswith(("characters", "original", "augmented"))]
    mean = dict.fromkeys(LOSSES, torch.zeros(sum(weight.numel() for weight in used), device=parts[0].device))
    values = dict.fromkeys(LOSSES, 0.0)
    for part in parts:
        losses = model(examples.batch(part, draw)).losses
        for name in LOSSES:
            grads = torch.autograd.grad(losses[name].sum(), used, retain_graph=True, allow_unused=True)
            each = [torch.zeros_like(w) if g is None else g for g, w in zip(grads, used, strict=True)]
            mean[name] = mean[name] + torch.cat([g.flatten() for g in each]) / len(parts)
            values[name] += float(losses[name].detach()) / len(parts)
    base = mean["cross_entropy"]
    return {
        name: (values[name], float(grad.norm()), float(torch.nn.functional.cosine_similarity(grad, base, 0))) for name, grad in mean.items()
    }


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", default="4x4,4x4+bank256,256x1")
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--utterances", type=int, default=5531)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    examples = made(options.utterances, torch.device(options.device))
    print(f"{options.utterances} utterances, {options.device}, {torch.get_num_threads()} threads, {options.precision}\n")
    print(f"| batch | utterances timed | s | s per epoch of {TRAINED} (extrapolated) |\n|---|---|---|---|")
    for way in options.ways.split(","):
        count, seconds = epoch(way, examples, options)
        print(f"| {way} | {count} | {seconds:.1f} | {seconds * TRAINED / count:.0f} |", flush=True)
    print("\nAt the start of training, mean gradient of 8 batches over all parameters that the classifier uses:\n")
    print("| batch | loss | weighted value | gradient norm | cosine with cross-entropy's |\n|---|---|---|---|---|")
    for way in options.ways.split(","):
        if config_of(way, options).batch <= 16:
            for name, (value, norm, cosine) in gradients(way, examples, options).items():
                print(f"| {way} | {name} | {value:.3f} | {norm:.3f} | {cosine:.3f} |", flush=True)


if __name__ == "__main__":
    main()
