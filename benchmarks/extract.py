"""Extraction against the plain loop: one utterance at a time as a model card shows it, all layers to one .npy each.

    python benchmarks/extract.py [--sizes base,large] [--precisions fp32,bf16] [--seconds 300] [--repeats 5] [--device cpu] [--layers all]

HuBERT-base and HuBERT-large sized checkpoints with random weights (speed does not depend on them), audio of
IEMOCAP-like lengths. Both ways run in turn in one process, with the model loaded beforehand; scanning (decoding and
hashing once, which the plain loop does not do) is timed by itself. Batches and their padding are counted as the encoder
gets them. The first pass, which is not timed, counts the multiplications; "of peak" is theirs over the wall time, against
the best large matmul of that precision on this device. On a GPU one more pass is profiled for the time in which no
kernel ran. Prints one Markdown table.
"""

import argparse
import contextlib
import json
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

from emocache import encoders, pipeline
from emocache.types import SAMPLE_RATE, Corpus, Utterance

SIZES: dict[str, dict[str, Any]] = {
    "base": {},
    "large": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True,
    },
}  # fmt: skip
LENGTHS_S = {"mean": 4.5, "sigma": 0.65, "least": 0.6, "most": 34.0}


def main() -> None:
    """Measure every size and precision in a process of its own; print the table."""
    options = arguments()
    rows = []
    for size in options.sizes.split(","):
        for precision in options.precisions.split(","):
            command = [sys.executable, __file__, *sys.argv[1:], "--one", size, precision]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    header = list(rows[0])
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, device {options.device}")
    print(f"{options.seconds:g} s of audio, layers {options.layers}, medians of {options.repeats}\n")
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in header) + " |")


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="base,large")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--batch", type=float)
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "PRECISION"))
    parsed = parser.parse_args()
    if parsed.one:
        one(parsed, *parsed.one)
        raise SystemExit
    return parsed


def one(options: argparse.Namespace, size: str, precision: str) -> None:
    """One size in one precision: both ways in turn, as one JSON line."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = checkpoint(root / f"hubert-{size}", size)
        found = corpus(root / "audio", options.seconds)
        began = time.perf_counter()
        job = pipeline.prepare_job(
            found, root / "data", str(model), cache=root / "cache", precision=precision, device=options.device, layers=options.layers,
            batch=options.batch,
        )  # fmt: skip
        scan = time.perf_counter() - began
        plain = plain_loop(model, found, root / "npy", precision, options.device)
        passed = Passes(job)
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for repeat in range(options.repeats + 1):  # the first is for warming up, and for memory
            counter = FlopCounterMode(display=False)
            with contextlib.nullcontext() if repeat else counter:
                ours.append(timed(lambda: passed.extract(root / "cache"), options.device))
            if not repeat:
                peak, flops = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, counter.get_total_flops()
            theirs.append(timed(plain, options.device))
        row = report(options, size, precision, passed, ours[1:], theirs[1:])
        row["scan s"], row["peak GB over start"] = round(scan, 2), round((peak - before) / 1e6, 2)
        wall = statistics.median(run["wall"] for run in ours[1:])
        row["of peak"] = f"{100 * flops / wall / matmul_peak(precision, options.device):.0f} %"
        row["device idle"] = f"{100 * idle(passed, root / 'cache'):.1f} %" if options.device.startswith("cuda") else "-"
        print(json.dumps(row))


def report(
    options: argparse.Namespace, size: str, precision: str, passed: "Passes", ours: list[dict[str, float]], theirs: list[dict[str, float]]
) -> dict[str, Any]:  # fmt: skip
    """The medians as one row."""
    job = passed.job
    audio = sum(u.samples or 0 for u in job.utterances) / SAMPLE_RATE
    middle = {name: statistics.median(run[name] for run in ours) for name in ours[0]}
    plain = {name: statistics.median(run[name] for run in theirs) for name in theirs[0]}
    ratios = [b["wall"] / a["wall"] for a, b in zip(ours, theirs, strict=True)]
    return {
        "model": f"hubert-{size}", "precision": precision, "layers": options.layers,
        "audio s / CPU s": round(audio / middle["cpu"], 2), "plain": round(audio / plain["cpu"], 2),
        "wall s": round(middle["wall"], 1), "plain wall s": round(plain["wall"], 1),
        "times as fast (min to max)": f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "not forward": f"{100 * (1 - middle['forward'] / middle['wall']):.1f} %",
        "utterances per forward": round(sum(map(len, passed.lengths)) / len(passed.lengths), 2),
        "padding": f"{100 * (sum(max(one) * len(one) for one in passed.lengths) / sum(map(sum, passed.lengths)) - 1):.1f} %",
        "batch against alone": f"{batch_error(job.encoder):.1e}",
        "real-time factor": f"{middle['wall'] / audio:.4f}",
    }  # fmt: skip


def batch_error(encoder: encoders.Encoder) -> float:
    """Largest max|a-b| / max|b| over layers and utterances of 0.7 to 9 s, encoded together and alone."""
    rng = np.random.default_rng(1)
    waves = [(rng.standard_normal(round(s * SAMPLE_RATE)) * 0.1).astype(np.float32) for s in (9.0, 4.1, 2.2, 0.7)]
    worst = 0.0
    for wave, together in zip(waves, encoder.encode(waves, encoder.layers), strict=True):
        alone = encoder.encode([wave], encoder.layers)[0]
        worst = max(worst, float(((together - alone).abs().amax((1, 2)) / alone.abs().amax((1, 2))).max()))
    return worst


def timed(work: Callable[[], float], device: str) -> dict[str, float]:
    """Wall and CPU seconds of a piece of work, and the seconds of the forward passes that it reports."""
    wall, cpu = time.perf_counter(), time.process_time()
    forward = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "forward": forward}


class Passes:
    """A job whose forward passes are watched: `lengths` holds the samples of each utterance, pass by pass, of the last extraction."""

    def __init__(self, job: pipeline.Job) -> None:
        self.job = job
        self.lengths: list[list[int]] = []
        self._forward = job.encoder.forward
        self._spent = 0.0
        job.encoder.forward = self._watched  # type: ignore[method-assign]

    def extract(self, cache: Path) -> float:
        """Extract into an empty cache; seconds spent in forward passes."""
        shutil.rmtree(cache, ignore_errors=True)
        self.lengths, self._spent = [], 0.0
        outcome = pipeline.extract(self.job)
        assert outcome.encoded == len(self.job.utterances)
        return self._spent

    def _watched(self, batch: Any, layers: Any) -> Any:
        self.lengths.append([len(values) for values in batch])
        synchronize(self.job.encoder.device)
        began = time.perf_counter()
        try:
            return self._forward(batch, layers)
        finally:
            synchronize(self.job.encoder.device)
            self._spent += time.perf_counter() - began


def synchronize(device: torch.device) -> None:
    """Wait for the device, where it does not compute at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_peak(precision: str, device: str) -> float:
    """Floating-point operations a second of the best of twenty large matmuls."""
    side = 8192 if device.startswith("cuda") else 2048
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(20):
        synchronize(a.device)
        began = time.perf_counter()
        a @ b
        synchronize(a.device)
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds)


def idle(passed: Passes, cache: Path) -> float:
    """Share of an extraction's wall time in which no kernel ran on the GPU; from one profiled pass."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        wall = timed(lambda: passed.extract(cache), "cuda")["wall"]
    kernels = sorted((event.time_range.start, event.time_range.end) for event in profile.events() if event.device_type.name == "CUDA")
    busy = end = 0.0
    for start, stop in kernels:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return 1 - busy / 1e6 / wall


def plain_loop(folder: Path, found: Corpus, target: Path, precision: str, device: str) -> Callable[[], float]:
    """What a script does that follows the model card."""
    import transformers

    extract = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval().to(device)

    def run() -> float:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for utterance in found.utterances:
            wave, rate = soundfile.read(found.audio_root / utterance.path, dtype="float32")
            inputs = extract(wave, sampling_rate=rate, return_tensors="pt").to(device)
            autocast = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")
            with torch.no_grad(), autocast:
                states = model(**inputs, output_hidden_states=True).hidden_states
            np.save(target / f"{utterance.id}.npy", torch.stack(states)[:, 0].float().cpu().numpy())
        return 0.0

    return run


def checkpoint(folder: Path, size: str) -> Path:
    """A HuBERT of this size with random weights."""
    encoders.make_torchaudio_importable()
    import transformers

    torch.manual_seed(0)
    transformers.HubertModel(transformers.HubertConfig(**SIZES[size])).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=size == "large", return_attention_mask=size == "large").save_pretrained(folder)
    return folder


def corpus(folder: Path, seconds: float) -> Corpus:
    """Noise in lengths as IEMOCAP has them, as 16-bit WAV."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    utterances: list[Utterance] = []
    total = 0.0
    while total < seconds:
        mu = np.log(LENGTHS_S["mean"]) - LENGTHS_S["sigma"] ** 2 / 2
        length = float(np.clip(rng.lognormal(mu, LENGTHS_S["sigma"]), LENGTHS_S["least"], LENGTHS_S["most"]))
        total += length
        name = f"u{len(utterances):04}"
        soundfile.write(folder / f"{name}.wav", rng.standard_normal(round(length * SAMPLE_RATE)) * 0.05, SAMPLE_RATE)
        utterances.append(Utterance(id=name, path=f"{name}.wav", session="1"))
    return Corpus(name="noise", reader="csv", scheme="as-is", audio_root=folder, utterances=tuple(utterances))


if __name__ == "__main__":
    main()
