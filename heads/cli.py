"""`emocache train`: options and examples. Everything heavy is imported when the command runs."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from emocache.errors import UsageError
from emocache.places import CACHE_HELP
from heads import HEADS

MOST_SEEDS = 1_000_000
PROTOCOL_HELP = (
    "loso (session), lopo (person), speaker-folds, given (the manifest's fold or split), emotionnas (also -swap, -both); "
    "with speakers on both sides: ra (ten shuffles), random-80-20."
)
EXAMPLES = (
    "emocache train linear --encoders whisper-tiny.en --protocol given",
    "emocache train late --corpus iemocap --encoders hubert-large,bert-base --protocol loso --seeds 0-4 --json",
    "emocache train linear --encoders hubert-large --protocol loso --random-labels",
)


HeadArgument = Annotated[str, typer.Argument(help=f"Which head: {', '.join(HEADS)}.")]
EncodersOption = Annotated[str, typer.Option("--encoders", "--encoder", help="Feature sets in the cache, such as whisper-tiny.en,ecapa.")]
ProtocolOption = Annotated[str, typer.Option(help=PROTOCOL_HELP)]
CorpusOption = Annotated[str | None, typer.Option(help="Which corpus (needed when several are prepared).")]
SeedsOption = Annotated[str, typer.Option(help="0-2, or 0,3,5.")]
LabelOption = Annotated[str, typer.Option(help="The manifest's column to learn.")]
LevelsOption = Annotated[str | None, typer.Option(help="One level for all encoders, or one for each (default: the encoder's own).")]
LayersOption = Annotated[str, typer.Option(help="all, last, blocks (all but layer 0), or numbers such as 0-3,6.")]
ValidationOption = Annotated[
    str | None,
    typer.Option(
        help="random (a tenth of the training utterances) or speaker (one of theirs); default: random, or what the corpus brings."
    ),
]
FoldsOption = Annotated[int | None, typer.Option(help="How many speaker-folds (default: 5).")]
TestSplitOption = Annotated[str | None, typer.Option(help="With given: which of several test splits, such as test1.")]
RunsOption = Annotated[Path, typer.Option(help="Folder that runs are written to.")]
DataOption = Annotated[Path, typer.Option(help="Folder of prepared corpora.")]
CacheOption = Annotated[Path | None, typer.Option(help=CACHE_HELP)]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")]
JobsOption = Annotated[int, typer.Option(min=1, help="Processes that share the folds, and the GPUs where there are several.")]
AllowCountsOption = Annotated[bool, typer.Option("--allow-counts", help="Train although the corpus is not as published.")]
AllowMissingOption = Annotated[bool, typer.Option("--allow-missing", help="Leave out labelled utterances that have no features.")]
AllowOverlapOption = Annotated[bool, typer.Option("--allow-speaker-overlap", help="Accept given folds that share speakers.")]
NoWeightsOption = Annotated[
    bool, typer.Option("--no-weights", help="Keep no weights in RUNS/NAME/checkpoints, which are large for some heads.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def train(
    head: HeadArgument,
    encoders: EncodersOption,
    protocol: ProtocolOption,
    corpus: CorpusOption = None,
    seeds: SeedsOption = "0",
    label: LabelOption = "emotion",
    levels: LevelsOption = None,
    layers: LayersOption = "all",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting such as lr=1e-4, repeatable")] = None,
    genotype: Annotated[
        Path | None, typer.Option(help="With the head cell: the file of a searched cell; what it holds becomes a setting.")
    ] = None,
    validation: ValidationOption = None,
    folds: FoldsOption = None,
    test_split: TestSplitOption = None,
    select: Annotated[
        str, typer.Option(help="Choose the epoch on validation; or on test, as some papers do: marked wherever the result is shown.")
    ] = "validation",
    name: Annotated[str | None, typer.Option(help="What to call the run (default: made from head, corpus, protocol and a digest).")] = None,
    runs: RunsOption = Path("runs"),
    data: DataOption = Path("data"),
    cache: CacheOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = 1,
    allow_counts: AllowCountsOption = False,
    allow_missing: AllowMissingOption = False,
    allow_speaker_overlap: AllowOverlapOption = False,
    random_labels: Annotated[
        bool,
        typer.Option(
            "--random-labels", help="Learn permuted labels: a floor, marked as such. It takes many seeds: see its spread over them."
        ),
    ] = False,
    test_text: Annotated[
        str | None,
        typer.Option(
            help="CORPUS/NAME, or a table FILE.csv: features of other transcripts of the same utterances, for the test part alone."
        ),
    ] = None,
    no_weights: NoWeightsOption = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves as event files too, to RUNS/NAME/tensorboard/.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a head on cached features over all folds and seeds of a protocol; results go to RUNS/NAME/.

    Other --seeds are another run; those that RUNS holds already, of the same experiment, are taken from there, not trained again.
    """
    if head not in HEADS:
        raise UsageError(f"no head {head!r}; there are: {', '.join(HEADS)}")
    chosen, numbers = corpus or only_corpus(data), parse_seeds(seeds)

    from emocache.store import open_cache
    from heads import report, stored
    from heads import tensorboard as events
    from heads.emotionnas import cellfile
    from heads.experiment import run
    from heads.plan import Experiment

    if genotype and any(one.partition("=")[0].strip() == "genotype" for one in settings or ()):
        raise UsageError("--genotype and --set genotype=... each name a cell; leave one of them out")
    if tensorboard:
        events.writer()
    ask = Experiment(
        head=head,
        corpus=chosen,
        encoders=names(encoders),
        protocol=protocol,
        seeds=numbers,
        label=label,
        levels=names(levels or ""),
        layers=layers,
        settings=(*(settings or ()), *([f"genotype={cellfile.load(genotype).cell.setting}"] if genotype else [])),
        validation=validation,
        folds=folds,
        test_split=test_split,
        select=select,
        name=name,
        runs=runs,
        data=data,
        cache=cache,
        device=device,
        allow_counts=allow_counts,
        allow_missing=allow_missing,
        allow_speaker_overlap=allow_speaker_overlap,
        random_labels=random_labels,
        test_text=test_text,
        no_weights=no_weights,
    )
    result = run(ask, open_cache(cache), jobs=jobs, quiet=quiet)
    if tensorboard:
        events.write(result.path, stored.curves(result.path))
    typer.echo(json.dumps(report.to_json(result)) if as_json else report.to_text(result))


def only_corpus(data: Path) -> str:
    """The one prepared corpus, or a UsageError that lists them."""
    from emocache import manifest

    known = manifest.names(data)
    if len(known) != 1:
        raise UsageError(f"{data} holds {', '.join(known) or 'no prepared corpus'}; say which with --corpus")
    return known[0]


def parse_seeds(text: str) -> tuple[int, ...]:
    """'0-2' or '0,3,5' or both as numbers, each once, in their order."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"--seeds {text!r}: expected numbers such as 0-2 or 0,3,5")
        if int(match[2] or match[1]) >= MOST_SEEDS:
            raise UsageError(f"--seeds {text!r}: expected numbers below {MOST_SEEDS}")
        numbers.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(dict.fromkeys(numbers))


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
