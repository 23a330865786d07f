"""RAVDESS through real Whisper tiny.en, MiniLM and ECAPA weights: emocache against one utterance at a time.

    python benchmarks/real_weights.py PATH/TO/ravdess/manifest.csv [--every 4] [--repeats 3]

Every fourth utterance, both ways in turn in one process, models loaded beforehand. The plain loop decodes, encodes and
saves all layers of one utterance to one .npy, with the library that the weights are for. Prints one Markdown table.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from emocache import encoders, manifest, pipeline
from emocache.corpora.prepare import prepare
from emocache.types import SAMPLE_RATE, Corpus, Utterance

MODELS = ("whisper-tiny.en", "all-minilm-l6-v2", "ecapa")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare("csv", options.manifest, name="ravdess", data=root / "data")
        whole = manifest.load(root / "data", "ravdess")
        corpus = replace(whole, utterances=whole.utterances[:: options.every])
        print(f"{len(corpus.utterances)} utterances, {torch.get_num_threads()} threads, medians of {options.repeats}\n")
        print(
            "| encoder | emocache s | one at a time s | ratio (min to max) | largest difference (fp16 rounds at 4.9e-4) |\n"
            "|---|---|---|---|---|"
        )
        for model in MODELS:
            print(row(model, corpus, root, options.repeats), flush=True)


def row(model: str, corpus: Corpus, root: Path, repeats: int) -> str:
    """Both ways in turn for one encoder."""
    job = pipeline.prepare_job(corpus, root / "data", model, cache=root / "cache", device="cpu")
    alone = PLAIN[model](job.encoder)
    ours, theirs = [], []
    for _ in range(repeats):
        shutil.rmtree(root / "cache", ignore_errors=True)
        began = time.perf_counter()
        features = pipeline.extract(job).features
        ours.append(time.perf_counter() - began)
        shutil.rmtree(root / "npy", ignore_errors=True)
        (root / "npy").mkdir()
        began = time.perf_counter()
        for utterance in corpus.utterances:
            np.save(root / "npy" / utterance.id, alone(utterance, corpus.audio_root))
        theirs.append(time.perf_counter() - began)
    worst = max(difference(features.read(u.id), np.load(root / "npy" / f"{u.id}.npy")) for u in corpus.utterances)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {model} | {statistics.median(ours):.1f} | {statistics.median(theirs):.1f} | {spread} | {worst:.1e} |"


def difference(stored: np.ndarray, direct: np.ndarray) -> float:
    """max|a-b| / max|b| of the worst layer."""
    assert stored.shape == direct.shape
    return float((np.abs(stored.astype(np.float32) - direct).max((1, 2)) / np.abs(direct).max((1, 2))).max())


def whisper(encoder: Any) -> Callable[[Utterance, Path], np.ndarray]:
    """transformers, 30 s of padding, cropped to the audio."""
    import transformers

    folder = str(encoders.find("whisper-tiny.en").folder)
    extract = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    model = transformers.WhisperModel.from_pretrained(folder).encoder.eval()

    def one(utterance: Utterance, root: Path) -> np.ndarray:
        wave, _ = soundfile.read(root / utterance.path, dtype="float32")
        with torch.no_grad():
            output = model(extract(wave, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features, output_hidden_states=True)
        frames = -(-len(wave) // 320)
        return torch.cat([*output.hidden_states[:-1], output.last_hidden_state])[:, :frames].numpy()

    return one


def minilm(encoder: Any) -> Callable[[Utterance, Path], np.ndarray]:
    """Transformers."""
    import transformers

    folder = str(encoders.find("all-minilm-l6-v2").folder)
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()

    def one(utterance: Utterance, root: Path) -> np.ndarray:
        with torch.no_grad():
            states = model(**tokenizer(utterance.transcript or "", return_tensors="pt"), output_hidden_states=True).hidden_states
        return torch.cat(states).numpy()

    return one


def ecapa(encoder: Any) -> Callable[[Utterance, Path], np.ndarray]:
    """SpeechBrain's modules."""

    def one(utterance: Utterance, root: Path) -> np.ndarray:
        wave, _ = soundfile.read(root / utterance.path, dtype="float32")
        with torch.no_grad():
            signal, whole = torch.from_numpy(wave)[None], torch.ones(1)
            return encoder._model(encoder._normalise(encoder._bands(signal), whole), whole).numpy()

    return one


PLAIN = {"whisper-tiny.en": whisper, "all-minilm-l6-v2": minilm, "ecapa": ecapa}


if __name__ == "__main__":
    main()
