"""MMER at the size of IEMOCAP: seconds per epoch by batch and bank, and the gradient norm of each loss.

    python -m benchmarks.mmer [--ways 4x4,4x4+bank256,256x1] [--updates 2] [--utterances 5531] [--device cpu] [--precision fp32] \
        [--set NAME=VALUE]
    python -m benchmarks.mmer --ways '' --cached demo,whisper-tiny.en,all-MiniLM-L6-v2 --cache C --data D [--set NAME=VALUE]

Features are random and in memory, with IEMOCAP's lengths (lognormal, 4.5 s on average, 50 rows a second) and 768 dimensions; every
utterance has a transcript of 12 characters a second and a view, which is another utterance. A way is batch x accumulated steps. Only
some updates are made, by the product's own learner, and the seconds of an epoch are EXTRAPOLATED from them to the 3982
utterances that a fold of IEMOCAP trains on. With --cached (a corpus with views, its speech and its text) gradient norms are those of
the first fold by session, before each of some epochs of training on it. Prints Markdown tables.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.train_data import CLASSES, DIM, FRAMES_S
from emocache.store import open_cache
from heads import mmer
from heads.config import override
from heads.data import Examples, Input, PackedTensor
from heads.experiment import examples_of
from heads.learner import Learner
from heads.plan import Experiment, plan
from heads.ragged import Ragged

TRAINED = round(5531 * 0.8 * 0.9)
CHARACTERS_S, TOKENS_S = 12, 3
INPUTS = [
    Input(name="speech", level="frames", layers=(12,), dim=DIM),
    Input(name="text", level="tokens", layers=(12,), dim=DIM, text=True),
]
LOSSES = ("cross_entropy", "ctc", "scl", "acl")
Norms = dict[str, tuple[float, float, float]]
"""Loss -> weighted value, norm of the gradient, its cosine with that of cross-entropy."""


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
    settings = [f"batch={batch}", f"accumulate={accumulate}", f"bank={bank or 0}", f"precision={options.precision}", *options.set]
    return override(mmer.Config(), settings)


class Few(Learner):
    """A learner whose epoch ends after some batches of a whole one: random ones, each of utterances of about one length."""

    most = 1

    def _parts(self, shuffled: Tensor) -> list[Tensor]:
        return list(super()._parts(shuffled))[: self.most]


def epoch(way: str, examples: Examples, options: argparse.Namespace) -> tuple[int, float]:
    """Utterances that were learnt from, and the seconds that took, after one update that is not counted."""
    config = config_of(way, options)
    device = examples.labels.device
    pool = torch.arange(min(TRAINED, len(examples.ids)), device=device)
    learner = Few(mmer, config, INPUTS, examples, pool, None, CLASSES, [0])
    learner.most = config.accumulate
    learner.epoch()
    learner.most = config.accumulate * options.updates
    began = time.perf_counter()
    learner.epoch()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return min(config.batch * learner.most, len(pool)), time.perf_counter() - began


def at_start(way: str, examples: Examples, options: argparse.Namespace) -> Norms:
    """`gradients` of an untrained head over 8 random batches."""
    config = config_of(way, options)
    torch.manual_seed(0)
    model = mmer.build(config, INPUTS, CLASSES).to(examples.labels.device).train()
    draw = torch.Generator().manual_seed(2)
    parts = torch.randperm(len(examples.ids), generator=draw)[: config.batch * 8].to(examples.labels.device).split(config.batch)
    return gradients(model, examples, parts, draw)


def gradients(model: nn.Module, examples: Examples, parts: Sequence[Tensor], draw: torch.Generator) -> Norms:
    """Each loss with its weight, the norm of its gradient over what the classifier uses, and the cosine with cross-entropy's."""
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


def while_trained(options: argparse.Namespace) -> Iterator[tuple[int, Norms]]:
    """`gradients` before the first and after some epochs on a fold of a corpus whose features are cached."""
    corpus, speech, text = options.cached.split(",")
    planned = plan(
        Experiment(
            head="mmer", corpus=corpus, encoders=(speech, text), protocol="loso", layers="last", settings=tuple(options.set),
            data=options.data, device=options.device,
        ),
        open_cache(options.cache),
    )  # fmt: skip
    fold, config = planned.folds[0][0], planned.config
    examples = examples_of(planned, torch.device(options.device), quiet=True)().with_views(fold.views)
    pool = examples.indices(fold.train)
    learner = Learner(mmer, config, planned.inputs, examples, pool, None, len(planned.material.classes), [0])
    draw = torch.Generator().manual_seed(2)
    parts = pool[torch.randperm(len(pool), generator=draw)[: config.batch * 8]].split(config.batch)
    for epoch in range(options.epochs + 1):
        if epoch in {0, 1, options.epochs // 2, options.epochs}:
            yield epoch, gradients(learner.model.train(), examples, parts, draw)
        if epoch < options.epochs:
            learner.epoch()


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", default="4x4,4x4+bank256,256x1")
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--utterances", type=int, default=5531)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--cached", help="CORPUS,SPEECH,TEXT")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    if options.cached:
        print("| epochs trained | loss | weighted value | gradient norm | cosine with cross-entropy's |\n|---|---|---|---|---|")
        for trained, found in while_trained(options):
            for name, (value, norm, cosine) in found.items():
                print(f"| {trained} | {name} | {value:.3f} | {norm:.3f} | {cosine:.3f} |", flush=True)
        return
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
            for name, (value, norm, cosine) in at_start(way, examples, options).items():
                print(f"| {way} | {name} | {value:.3f} | {norm:.3f} | {cosine:.3f} |", flush=True)


if __name__ == "__main__":
    main()
