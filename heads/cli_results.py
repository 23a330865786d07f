"""`emocache report`, `compare` and `combine`: options and examples. Everything heavy is imported when a command runs."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

REPORT_EXAMPLES = ("emocache report runs/", "emocache report runs/mine runs/theirs --out thesis/tables --bootstrap utterances")
COMPARE_EXAMPLES = ("emocache compare runs/linear-mine runs/late-mine", "emocache compare runs/a runs/b --json")
FUSE_EXAMPLES = ("emocache fuse runs/search-spectrogram runs/search-recurrent-nested",)
COMBINE_EXAMPLES = ("emocache combine runs/coattention-mine runs/late-mine", "emocache combine runs/a runs/b --name a-and-b --json")
BootstrapOption = Annotated[str, typer.Option(help="What intervals resample: speakers or utterances.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold some.")],
    out: Annotated[Path, typer.Option(help="Folder to write report.md, .csv, .tex and .html to.")] = Path("report"),
    bootstrap: BootstrapOption = "speakers",
    no_maps: Annotated[bool, typer.Option("--no-maps", help="Leave out the t-SNE maps, which take most of the time.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write tables and one self-contained page of the results of runs."""
    from heads import stored
    from heads.reporting import entries, files, tables
    from heads.scores import bootstrap_of

    kind = bootstrap_of(bootstrap)
    options = ["--out", str(out), "--bootstrap", kind, *(["--no-maps"] if no_maps else [])]
    command = shlex.join(["emocache", "report", *map(str, runs), *options])
    places = stored.find(runs)
    left_out = tuple(f"{path} is left out: it has no result yet" for path in places.unfinished)
    found = entries.read(places.runs, bootstrap=kind)
    written = files.write(entries.Report(entries=found, command=command, left_out=left_out, maps=not no_maps), out)
    if as_json:
        paths = {ending: str(path) for ending, path in written.items()}
        rows = [entries.to_json(entry) for entry in found]
        typer.echo(json.dumps({"runs": rows, "left_out": left_out, "files": paths, "command": command}))
        return
    typer.echo("\n".join([tables.plain(found), *left_out]))
    for path in written.values():
        typer.echo(f"written  {path}")


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run folder.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The run folder to hold against it.")],
    bootstrap: BootstrapOption = "speakers",
    as_json: JsonOption = False,
) -> None:
    """Compare two runs on the utterances that both tested: paired bootstrap and McNemar's test."""
    from heads import compare as comparing
    from heads import stored
    from heads.scores import bootstrap_of

    found = comparing.compare(stored.read(run_a), stored.read(run_b), bootstrap=bootstrap_of(bootstrap))
    typer.echo(json.dumps(comparing.to_json(found)) if as_json else comparing.to_text(found))


def combine(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run folder.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, of the same folds, seeds and utterances.")],
    name: Annotated[str | None, typer.Option(help="What to call it (default: made from corpus, protocol and a digest).")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that runs are written to.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Score the mean of two finished runs' logits; nothing is trained. The result is a run folder too."""
    from heads import combine as combining
    from heads import report as reporting

    found = combining.combine(run_a, run_b, runs, name)
    typer.echo(json.dumps(reporting.to_json(found)) if as_json else reporting.to_text(found))


def fuse(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run folder of supernet or cell.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, of the same folds, seeds and utterances.")],
    learns: Annotated[str, typer.Option(help="From what the runs say of which part: train, or validation.")] = "train",
    name: Annotated[str | None, typer.Option(help="What to call it (default: made from corpus, protocol and a digest).")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that runs are written to.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Train EmotionNAS's fusion on what two finished runs say, and score it. The result is a run folder too."""
    from heads import fuse as fusing
    from heads import report as reporting

    found = fusing.fuse(run_a, run_b, runs, name, learns)
    typer.echo(json.dumps(reporting.to_json(found)) if as_json else reporting.to_text(found))
