"""Frames against poolings over a forced alignment, on a corpus that is prepared and aligned: sizes, fall-backs, and UA of `linear`.

    python benchmarks/segments.py ravdess --model whisper-tiny.en --alignment pocketsphinx --protocol given [--seeds 0-2]

Extracts frames and every level of the alignment in one pass (what is cached is not encoded again), trains `linear` with its
defaults on each, and prints one Markdown table. A UA with an asterisk is of a level where more than 5 % fell back.
"""

import argparse
import time
from pathlib import Path

from emocache import manifest, pipeline
from emocache.alignment import load
from emocache.store import Features, open_cache
from heads.cli import parse_seeds
from heads.experiment import run
from heads.plan import Experiment


def main() -> None:
    """Extract, train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--alignment", default="pocketsphinx")
    parser.add_argument("--protocol", default="given")
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    corpus = manifest.load(options.data, options.corpus)
    levels = ["frames", *(f"{kind}@{options.alignment}" for kind in load(options.data, corpus.name, options.alignment).levels)]
    job = pipeline.prepare_job(corpus, options.data, options.model, cache=options.cache, levels=levels)
    began = time.perf_counter()
    outcome = pipeline.extract(job)
    print(f"{outcome.encoded} utterances encoded in {time.perf_counter() - began:.0f} s, {len(outcome.failures)} failed\n")
    print("| level | rows | nearest frame | in one piece | MB | UA % | 95 % interval | WA % | training s |\n|" + "---|" * 9)
    for level in levels:
        print(row(outcome.features, level, options), flush=True)


def row(features: Features, level: str, options: argparse.Namespace) -> str:
    """One level as a row of the table."""
    result = run(
        Experiment(
            head="linear", corpus=options.corpus, encoders=(features.name,), levels=(level,), protocol=options.protocol,
            label=options.label, seeds=parse_seeds(options.seeds), data=options.data, runs=options.runs,
        ),
        open_cache(options.cache),
        quiet=True,
    )  # fmt: skip
    ids = features.held(level, features.layers_of(level))
    offsets, dtype = features.outline(level, features.layers_of(level)[0], ids)
    size = int(offsets[-1]) * features.dim(level) * dtype.itemsize * len(features.layers_of(level)) / 1e6
    count = next(iter(result.segments.values()), None)
    near, whole = ("-", "-") if count is None else (f"{100 * count.nearest / count.segments:.1f} %", f"{count.whole} of {count.utterances}")
    ua, wa = result.scores.ua, result.scores.wa
    mark = "*" if result.marked else ""
    interval = f"{100 * ua.low:.1f} to {100 * ua.high:.1f}"
    cells = [level, int(offsets[-1]), near, whole, f"{size:.0f}", f"{100 * ua.mean:.1f}{mark}", interval, f"{100 * wa.mean:.1f}"]
    return "| " + " | ".join(map(str, [*cells, f"{result.seconds:.0f}"])) + " |"


if __name__ == "__main__":
    main()
