"""`emocache sweep`: which settings of a head are best on the validation parts. Everything heavy is imported when the command runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emocache.errors import UsageError
from heads import HEADS
from heads import cli as options
from heads.cli import names, only_corpus, parse_seeds

EXAMPLES = (
    "emocache sweep linear --encoders hubert-large --protocol loso --set lr=1e-3,1e-4 --set hidden=64,128",
    "emocache sweep linear --encoders hubert-large --protocol loso --method tpe --trials 50 --set lr=log:1e-5:1e-2 --set dropout=0:0.5",
    "emocache sweep late --encoders hubert-large,bert-base --protocol loso --set hidden=64,128 --nested",
)


def sweep(
    head: options.HeadArgument,
    encoders: options.EncodersOption,
    protocol: options.ProtocolOption,
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUES", help="lr=1e-3,1e-4; a range lr=log:1e-5:1e-2 or hidden=32:256; or one value."),
    ],
    method: Annotated[
        str, typer.Option(help="grid (every combination); random or tpe (they take ranges, and stop trials that are behind).")
    ] = "grid",
    objective: Annotated[str, typer.Option(help="Judge by ua or by loss, on the validation parts alone.")] = "ua",
    trials: Annotated[int | None, typer.Option(min=1, help="How many, with random and tpe (default: 20).")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="MIN", help="Begin no trial after so many minutes.")] = None,
    nested: Annotated[
        bool, typer.Option("--nested", help="Then train and test each fold with what its own validation part chose (grid, random).")
    ] = False,
    corpus: options.CorpusOption = None,
    seeds: options.SeedsOption = "0",
    label: options.LabelOption = "emotion",
    levels: options.LevelsOption = None,
    layers: options.LayersOption = "all",
    validation: options.ValidationOption = None,
    folds: options.FoldsOption = None,
    test_split: options.TestSplitOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the sweep (default: made from what it is of, and a digest).")] = None,
    runs: options.RunsOption = Path("runs"),
    data: options.DataOption = Path("data"),
    cache: options.CacheOption = None,
    device: options.DeviceOption = None,
    allow_counts: options.AllowCountsOption = False,
    allow_missing: options.AllowMissingOption = False,
    allow_speaker_overlap: options.AllowOverlapOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Try settings of a head on the validation parts of a protocol's folds; the test parts are not looked at.

    The same command goes on where it stopped, and several may run at once on one folder.
    """
    if head not in HEADS:
        raise UsageError(f"no head {head!r}; there are: {', '.join(HEADS)}")
    chosen, numbers = corpus or only_corpus(data), parse_seeds(seeds)

    from emocache.store import open_cache
    from heads import nested as by_fold
    from heads import sweep_report
    from heads.plan import Experiment
    from heads.sweep import Wish, carry_out, prepare

    ask = Experiment(
        head=head, corpus=chosen, encoders=names(encoders), protocol=protocol, seeds=numbers, label=label, levels=names(levels or ""),
        layers=layers, settings=tuple(settings), validation=validation, folds=folds, test_split=test_split, name=name, runs=runs,
        data=data, cache=cache, device=device, allow_counts=allow_counts, allow_missing=allow_missing,
        allow_speaker_overlap=allow_speaker_overlap,
    )  # fmt: skip
    wish = Wish(ask=ask, method=method, objective=objective, trials=trials, timeout=timeout, nested=nested)
    one = prepare(wish, open_cache(cache), quiet=quiet)
    done = carry_out(one, quiet=quiet)
    sweep_report.write(one, done)
    if not as_json:
        typer.echo(sweep_report.to_text(one, done))
    trained = by_fold.nested(one, done, quiet=quiet) if nested else None
    if as_json:
        typer.echo(json.dumps(sweep_report.to_json(one, done) | ({"nested": by_fold.to_json(trained)} if trained else {})))
    elif trained:
        typer.echo("\n" + by_fold.to_text(trained))
