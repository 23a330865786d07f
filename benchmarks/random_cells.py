"""Searched cells against cells drawn at random, all trained from the start with one budget on one corpus.

    python benchmarks/random_cells.py --corpus ravdess --encoders spectrogram-140 --protocol given --draws 10 \
        [--genotype FILE ...] [--set NAME=VALUE ...] [--validation RULE] [--data DIR] [--cache DIR] [--runs DIR] [--quiet]

Draws `--draws` genotypes (for each node two states and an operation but `none` for each, all equally likely; --seed), writes each as
RUNS/random/N.json, and trains the network of each and of every --genotype as `emocache train cell` does; finished runs are not trained
again. Prints one Markdown table: UA on the test part and on the validation part at the epoch that was chosen, and parameters.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch

from emocache.store import open_cache
from heads.emotionnas import cellfile, genotype
from heads.emotionnas.cellfile import Cell, Found
from heads.experiment import run
from heads.plan import Experiment


def drawn(options: argparse.Namespace) -> list[Path]:
    """The files of cells drawn at random."""
    generator = torch.Generator().manual_seed(options.seed)
    files = [options.runs / "random" / f"{number}.json" for number in range(options.draws)]
    for number, file in enumerate(files):
        cell = Cell.of("convolutional", genotype.to_json(genotype.drawn(generator)))
        cellfile.save(file, Found(cell=cell, found={"drawn": number, "seed": options.seed}))
    return files


def trained(file: Path, name: str, options: argparse.Namespace) -> tuple[float, float, str]:
    """Test UA and validation UA of a cell's network, and its row of the table."""
    settings = (*options.set, f"genotype={cellfile.load(file).cell.setting}")
    ask = Experiment(
        head="cell", corpus=options.corpus, encoders=(options.encoders,), protocol=options.protocol, settings=settings,
        runs=options.runs, data=options.data, cache=options.cache, validation=options.validation, device="cpu",
    )  # fmt: skip
    result = run(ask, open_cache(options.cache), quiet=options.quiet)
    curves = [stored["epochs"][stored["chosen"] - 1] for stored in _curves(result.path)]
    validation = statistics.fmean(one["validation_ua"] for one in curves)
    row = f"| {name} | {100 * result.scores.ua.mean:.1f} | {100 * validation:.1f} | {result.parameters:,} |"
    return result.scores.ua.mean, validation, row


def _curves(folder: Path) -> list[dict[str, object]]:
    """The curves of a run folder."""
    return json.loads((folder / "curves.json").read_text(encoding="utf-8"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--encoders", default="spectrogram-140")
    parser.add_argument("--protocol", default="given")
    parser.add_argument("--validation")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--genotype", type=Path, action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    for name in ("data", "cache", "runs"):
        parser.add_argument(f"--{name}", type=Path, default=Path(name))
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    print("| cell | UA % | validation UA % | parameters |\n|---|---|---|---|")
    for file in options.genotype:
        print(trained(file, f"searched {file.stem}", options)[2], flush=True)
    found = []
    for number, file in enumerate(drawn(options)):
        test, validation, row = trained(file, f"random {number}", options)
        found.append((test, validation))
        print(row, flush=True)
    if len(found) > 1:
        for at, what in enumerate(("test", "validation")):
            values = [100 * one[at] for one in found]
            print(f"\n{what} UA of {len(found)} at random: {statistics.fmean(values):.1f} +- {statistics.stdev(values):.1f}", flush=True)


if __name__ == "__main__":
    main()
