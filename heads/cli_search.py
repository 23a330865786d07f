"""`emocache search`: cells that fit a corpus. Everything heavy is imported when a command runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emocache.errors import UsageError
from heads import cli as options
from heads.cli import names, only_corpus, parse_seeds

SPECTROGRAM_EXAMPLES = (
    "emocache search spectrogram --corpus iemocap --encoders spectrogram-140 --protocol emotionnas --set layers=3 --set channels=6",
    "emocache search spectrogram --encoders spectrogram-140 --protocol given --set order=second --set epochs=20 --retrain epochs=20",
    "emocache train cell --genotype runs/NAME/cells/0-0.json --encoders spectrogram-140 --protocol given",
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Search for cells on cached features (EmotionNAS); `train cell --genotype FILE` trains the network of one.",
)
"""A command for each kind of cell."""


@app.callback()
def _several() -> None:
    """Search for cells on cached features (EmotionNAS); `train cell --genotype FILE` trains the network of one."""


@app.command("spectrogram", epilog="\b\nExamples:\n" + "\n".join(f"  {line}" for line in SPECTROGRAM_EXAMPLES))
def spectrogram(
    encoders: options.EncodersOption,
    protocol: options.ProtocolOption,
    corpus: options.CorpusOption = None,
    seeds: options.SeedsOption = "0",
    label: options.LabelOption = "emotion",
    levels: options.LevelsOption = None,
    layers: options.LayersOption = "all",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Of the search, such as layers=3, channels=6, order=second.")
    ] = None,
    retrain: Annotated[
        list[str] | None, typer.Option("--retrain", metavar="NAME=VALUE", help="Of the derived networks' training, such as epochs=20.")
    ] = None,
    search_only: Annotated[bool, typer.Option("--search-only", help="Train no derived networks.")] = False,
    validation: options.ValidationOption = None,
    folds: options.FoldsOption = None,
    test_split: options.TestSplitOption = None,
    name: Annotated[str | None, typer.Option(help="What to call it (default: made from head, corpus, protocol and a digest).")] = None,
    runs: options.RunsOption = Path("runs"),
    data: options.DataOption = Path("data"),
    cache: options.CacheOption = None,
    device: options.DeviceOption = None,
    jobs: options.JobsOption = 1,
    allow_counts: options.AllowCountsOption = False,
    allow_missing: options.AllowMissingOption = False,
    allow_speaker_overlap: options.AllowOverlapOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Search for the cells of a convolutional network, fold by fold, then train the derived networks; results go to RUNS/NAME/.

    Architecture weights learn from the validation part, the network's from the training part; the test part is predicted at the end. An
    interrupted command goes on after its last epoch.
    """
    if search_only and retrain:
        raise UsageError("--retrain is of the derived networks, and --search-only trains none; leave one of them out")
    chosen, numbers = corpus or only_corpus(data), parse_seeds(seeds)

    from heads import searched
    from heads.plan import Experiment

    ask = Experiment(
        head="supernet", corpus=chosen, encoders=names(encoders), protocol=protocol, seeds=numbers, label=label,
        levels=names(levels or ""), layers=layers, settings=tuple(settings or ()), validation=validation, folds=folds,
        test_split=test_split, name=name, runs=runs, data=data, cache=cache, device=device, allow_counts=allow_counts,
        allow_missing=allow_missing, allow_speaker_overlap=allow_speaker_overlap,
    )  # fmt: skip
    wish = searched.Wish(ask=ask, retrain=None if search_only else tuple(retrain or ()))
    found = searched.search(wish, jobs=jobs, quiet=quiet)
    typer.echo(json.dumps(searched.to_json(found)) if as_json else searched.to_text(found))
