"""`emocache search recurrent`: recurrent cells that fit a corpus. Everything heavy is imported when the command runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from heads import cli as options
from heads.cli import names, only_corpus, parse_seeds

EXAMPLES = (
    "emocache search recurrent --corpus iemocap --encoders wav2vec1-large --protocol emotionnas --recipes 20",
    "emocache search recurrent --encoders whisper-tiny.en --protocol given --set frames=64 --set mask=true --set epochs=10 --json",
)


def recurrent(
    encoders: options.EncodersOption,
    protocol: options.ProtocolOption = "emotionnas",
    recipes: Annotated[int, typer.Option(help="How many cells are drawn, trained and judged on the validation parts.")] = 20,
    states: Annotated[int, typer.Option(min=1, max=4, help="Hidden states of a cell.")] = 2,
    nodes: Annotated[int, typer.Option(min=1, max=40, help="Nodes that are drawn beside the hidden states.")] = 7,
    frame_matrices: Annotated[int, typer.Option(min=0, help="Matrices on the frame (a of the paper's counts); 0: any number.")] = 1,
    state_matrices: Annotated[int, typer.Option(min=0, help="Matrices on what is as wide as the cell (b); 0: any number.")] = 6,
    linear: Annotated[int, typer.Option(min=0, help="Linear nodes; 0: any number.")] = 3,
    corpus: options.CorpusOption = None,
    seeds: options.SeedsOption = "0",
    label: options.LabelOption = "emotion",
    levels: options.LevelsOption = None,
    layers: options.LayersOption = "last",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the head cell, such as epochs=10, repeatable.")
    ] = None,
    validation: options.ValidationOption = None,
    folds: options.FoldsOption = None,
    test_split: options.TestSplitOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the search (default: made from what it is of, and a digest).")] = None,
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
    """Draw recurrent cells, train each, and test what had the lowest validation loss; the test parts are not looked at before.

    The same command goes on where it stopped.
    """
    chosen, numbers = corpus or only_corpus(data), parse_seeds(seeds)

    from emocache.store import open_cache
    from heads import recurrent_search
    from heads.emotionnas.sampling import Family
    from heads.plan import Experiment

    ask = Experiment(
        head="cell", corpus=chosen, encoders=names(encoders), protocol=protocol, seeds=numbers, label=label, levels=names(levels or ""),
        layers=layers, settings=tuple(settings or ()), validation=validation, folds=folds, test_split=test_split, name=name, runs=runs,
        data=data, cache=cache, device=device, allow_counts=allow_counts, allow_missing=allow_missing,
        allow_speaker_overlap=allow_speaker_overlap,
    )  # fmt: skip
    family = Family(
        states=states, nodes=nodes, frame_matrices=frame_matrices, state_matrices=state_matrices, linear=linear
    )  # fmt: skip
    wish = recurrent_search.Wish(ask=ask, recipes=recipes, family=family)
    found = recurrent_search.carry_out(recurrent_search.prepare(wish, open_cache(cache), quiet=quiet), quiet=quiet)
    typer.echo(json.dumps(recurrent_search.to_json(found)) if as_json else recurrent_search.to_text(found))
