"""The main job on real speech with real weights: RAVDESS through Whisper tiny.en, MiniLM and ECAPA, then `linear` and `late`.

    python benchmarks/main_job.py PATH/TO/ravdess/manifest.csv [--work FOLDER]

Prints a Markdown table: wall time and size of each extraction, UA and WA of each head (8 classes, the manifest's folds,
3 seeds), and the independent reference that `linear` has to reach.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ENCODERS = ("whisper-tiny.en", "all-minilm-l6-v2", "ecapa")
HEADS = (("linear", "whisper-tiny.en"), ("linear", "ecapa"), ("late", "whisper-tiny.en,ecapa"))
REFERENCE_UA = 73.1
"""Logistic regression on the mean of Whisper's best layer, that layer read off the test folds."""


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--work", type=Path, default=Path("main-job"))
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    emocache("prepare", "csv", str(options.manifest.resolve()), "--name", "ravdess", cwd=work)
    print("| step | wall s | size | result |\n|---|---|---|---|")
    for model in ENCODERS:
        seconds, done = emocache("extract", "--model", model, "--cache", "cache", cwd=work)
        print(
            f"| extract {model}, layers {done['layers']} | {seconds:.0f} | {done['bytes'] / 1e6:.0f} MB | {done['utterances']} utterances |"
        )
    for head, encoders in HEADS:
        arguments = ("--encoders", encoders, "--protocol", "given", "--seeds", "0-2", "--cache", "cache")
        seconds, done = emocache("train", head, *arguments, cwd=work)
        scores = "; ".join(
            f"{name.upper()} {100 * done[name]['mean']:.1f} [{100 * done[name]['low']:.1f}, {100 * done[name]['high']:.1f}]"
            for name in ("ua", "wa")
        )
        print(f"| train {head} on {encoders} | {seconds:.0f} | {done['parameters']:,} parameters | {scores} |")
    print(f"\nReference for `linear` on Whisper: UA {REFERENCE_UA}.")


def emocache(*arguments: str, cwd: Path) -> tuple[float, dict]:
    """Run one command with --json; its wall time in seconds and its result."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "emocache.cli", *arguments, "--json"]
    done = subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - began, json.loads(done.stdout)


if __name__ == "__main__":
    main()
