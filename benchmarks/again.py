"""How far hidden states move when the same encoder runs in another way: bounds for `emocache verify --reencode`.

    python benchmarks/again.py MANIFEST.csv [--models whisper-tiny.en,all-minilm-l6-v2,ecapa]

For each precision on the CPU: two threads instead of one, other kernels (oneDNN off), and against fp32; largest
max|a - b| / max|b| over utterances and layers.
"""

import argparse
from pathlib import Path

import torch

from emocache import audio, encoders, manifest

TEXT = "kids are talking by the door"


def main() -> None:
    """Print one line per encoder and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--models", default="whisper-tiny.en,all-minilm-l6-v2,ecapa")
    parser.add_argument("--utterances", type=int, default=4)
    chosen = parser.parse_args()
    waves = [audio.load_utterance(u, chosen.manifest.parent) for u in manifest.read_csv(chosen.manifest)[: chosen.utterances]]
    texts = [TEXT + " and" * (i % 9) for i in range(len(waves))]
    for name in chosen.models.split(","):
        exact = None
        for precision in ("fp32", "bf16", "fp16"):
            encoder = encoders.load(encoders.find(name), torch.device("cpu"), precision)
            inputs = texts if encoder.modality == "text" else waves
            torch.set_num_threads(1)
            one = states(encoder, inputs)
            torch.set_num_threads(2)
            two = states(encoder, inputs)
            torch.set_num_threads(1)
            with torch.backends.mkldnn.flags(enabled=False):
                other = states(encoder, inputs)
            exact = exact or one
            print(f"{name:18} {precision}  threads {apart(two, one):.1e}  kernels {apart(other, one):.1e}  fp32 {apart(one, exact):.1e}")


def states(encoder: encoders.Encoder, inputs: list) -> list[torch.Tensor]:
    """[layers, rows, dim] of each input, encoded alone."""
    return [encoder.encode([value], encoder.layers)[0].float() for value in inputs]


def apart(some: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """The largest max|a - b| / max|b| over utterances and layers."""
    pairs = zip(some, others, strict=True)
    return max(float(((a - b).abs().amax((1, 2)) / b.abs().amax((1, 2))).max()) for a, b in pairs)


if __name__ == "__main__":
    main()
