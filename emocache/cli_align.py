"""`emocache align`: options and examples. Everything heavy is imported when the command runs."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocache import alignment, show
from emocache.alignment import SPEECH, Alignment
from emocache.errors import UsageError
from emocache.options import DataOption, JsonOption, corpora_of, say
from emocache.places import plain_name

if TYPE_CHECKING:
    from emocache.aligners.base import Aligner
    from emocache.aligners.run import Outcome
    from emocache.types import Corpus

EXAMPLES = (
    "emocache align --corpus ravdess",
    "emocache align --corpus ravdess --model wav2vec2-base-960h",
    "emocache align --corpus iemocap --from /data/IEMOCAP_full_release",
    "emocache align --corpus mine --from mfa-output --format textgrid --name mfa",
    "emocache align --list",
)
LISTING = ("--list", "--corpus", "--all", "--data", "--json")
"""What goes together with --list."""
LISTED = 10
"""Most utterances that are listed one by one; the saved file and --json list all."""


def align(
    ctx: typer.Context,
    corpus: Annotated[str | None, typer.Option(help="Which prepared corpus (needed when there are several).")] = None,
    every: Annotated[bool, typer.Option("--all", help="All prepared corpora.")] = False,
    model: Annotated[
        str | None, typer.Option(help="A CTC model instead of pocketsphinx: a named encoder, a hub id, or a folder; words alone.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Read the folder or file that another aligner wrote.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="Of --from: sphinx, textgrid, mfa-json, mfa-csv, ctm or emodb (default: as found)."),
    ] = None,
    shift: Annotated[float, typer.Option(help="Of --from: seconds to add to every time.")] = 0.0,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Of --from: leave out files that cannot be read, listed by id.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What to call the alignment (default: the aligner's or format's name).")] = None,
    oov: Annotated[
        str,
        typer.Option(
            help="pocketsphinx: an utterance with a word that its dictionary lacks is left out (skip), or said as espeak-ng would (guess)."
        ),
    ] = "skip",
    language: Annotated[str | None, typer.Option(help="`any` aligns utterances whatever language the manifest says they are in.")] = None,
    workers: Annotated[int | None, typer.Option(help="pocketsphinx: processes (default: the cores).")] = None,
    device: Annotated[str | None, typer.Option(help="--model: cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Only list the alignments that there are.")] = False,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Say when each phone, syllable and word was spoken, or read what another aligner said.

    The alignment goes to DATA/NAME/alignments/. A further run aligns only what is new or has changed. Any text is placed in
    any audio, as well as it can be: whether it was said there is for you to know.
    """
    if listed:
        _check_listing(ctx)
    corpora = corpora_of(data, corpus, every or (listed and corpus is None))
    if listed:
        _list([_row(data, found.name, one) for found in corpora for one in alignment.sources(data, found.name)], as_json)
        return
    _check(model, source, form, shift, skip_broken, language, workers, device, oov, name)
    lacking = 0
    for found in corpora:
        if source is not None:
            from emocache.alignments.imports import read_corpus

            made = read_corpus(source, found, data, format=form, source=name, shift_s=shift, skip_broken=skip_broken)
            with _alone(data, found.name, made.source):
                _check_free(data, found.name, made.source, made_here=False)
                lacking += _save(made, data, found, as_json)
            continue
        aligner, called = _aligner(model, device, oov)
        with _alone(data, found.name, name or called):
            _check_free(data, found.name, name or called, made_here=True)
            try:
                outcome = _run(found, data, aligner, name or called, workers or (1 if model else os.cpu_count() or 1), language == "any")
            except KeyboardInterrupt:
                say("interrupted; what was aligned is kept, and the same command goes on from there")
                raise typer.Exit(130) from None
            lacking += _save(outcome.alignment, data, found, as_json, outcome)
    raise typer.Exit(1 if lacking else 0)


def _check_listing(ctx: typer.Context) -> None:
    """UsageError when --list is given beside an option that says what to align, or how."""
    options = {str(one.name): one.opts[0] for one in ctx.command.params}
    given = [option for name, option in options.items() if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if others := [option for option in given if option not in LISTING]:
        raise UsageError(f"--list lists the alignments that there are, and {others[0]} would do nothing; give one of them alone")


def _check(
    model: str | None, source: Path | None, form: str | None, shift: float, skip_broken: bool, language: str | None,
    workers: int | None, device: str | None, oov: str, name: str | None,
) -> None:  # fmt: skip
    """UsageError for options that do not go together."""
    if model is not None and source is not None:
        raise UsageError(f"--model {model} and --from {source} exclude each other; give one")
    if source is None and (form is not None or shift or skip_broken):
        raise UsageError("--format, --shift and --skip-broken say how to read a folder; give it with --from")
    if source is not None and not source.exists():
        raise UsageError(f"--from {source}: no such folder or file; give where the aligner wrote")
    if source is not None and language is not None:
        raise UsageError("--language is for aligning, that is, without --from")
    if language not in (None, "any"):
        raise UsageError(f"--language {language}: expected any; the language of an utterance stands in the manifest")
    if (model is not None or source is not None) and (workers is not None or oov != "skip"):
        raise UsageError("--workers and --oov are for pocketsphinx, that is, without --model and --from")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: expected 1 or more")
    if model is None and device is not None:
        raise UsageError("--device is for --model; everything else is done on the CPU")
    if name is not None:
        plain_name(name, "--name")


@contextmanager
def _alone(data: Path, corpus: str, source: str) -> Iterator[None]:
    """Hold an alignment while it is made and written; UsageError when another command does."""
    from emocache.store.claims import claim

    folder = data / corpus / alignment.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with claim(folder, plain_name(source, "alignment"), wait=False) as held:
        if not held:
            raise UsageError(f"{corpus}: another command is making alignment {source!r}; wait for it to end, then repeat, or give --name")
        yield


def _check_free(data: Path, corpus: str, source: str, *, made_here: bool) -> None:
    """UsageError when a name is taken by an alignment that came in the other way: it would be lost. What is made here has a
    journal, also when it is not finished.
    """
    folder = data / corpus / alignment.FOLDER
    begun = (folder / f"{source}.jsonl").is_file()
    if begun != made_here and (begun or (folder / f"{source}.csv").is_file()):
        other = "was read from files" if made_here else "an aligner made here"
        raise UsageError(f"{corpus} has an alignment {source!r} that {other}; give another --name")


def _aligner(model: str | None, device: str | None, oov: str) -> tuple["Aligner", str]:
    """The aligner asked for, and the name of what it makes."""
    if model is None:
        from emocache.aligners import pocketsphinx

        return pocketsphinx.find(oov), pocketsphinx.NAME
    from emocache.aligners import ctc
    from emocache.devices import pick_device

    return ctc.load(model, pick_device(device))


def _run(corpus: "Corpus", data: Path, aligner: "Aligner", source: str, workers: int, any_language: bool) -> "Outcome":
    """Align a corpus, after saying what with."""
    from emocache.aligners import run

    say(f"corpus   {corpus.name}: {len(corpus.utterances)} utterances")
    say(f"aligner  {aligner.about}")
    return run.align(corpus, data, aligner, source=source, workers=workers, any_language=any_language)


def _save(made: Alignment, data: Path, corpus: "Corpus", as_json: bool, outcome: "Outcome | None" = None) -> int:
    """Write an alignment and say what is in it; how many utterances have none."""
    path = alignment.save(made, data, corpus.name)
    segments = {level: sum(one.kind == SPEECH for rows in made.segments[level].values() for one in rows) for level in made.levels}
    aligned = len(corpus.utterances) - len(made.without)
    about: dict[str, Any] = {"corpus": corpus.name, "source": made.source, "path": str(path), "about": made.about, "segments": segments}
    about |= {"aligned": aligned, "without": dict(made.without), "notes": dict(made.notes)}
    if outcome is not None:
        about |= {"now": outcome.now, "audio_s": outcome.audio_s, "work_s": outcome.work_s}
    if as_json:
        typer.echo(json.dumps(about))
        return len(made.without)
    counts = ", ".join(f"{count} {level}s" for level, count in segments.items()) or "no segments"
    typer.echo(f"{corpus.name}/{made.source}: {aligned} of {len(corpus.utterances)} utterances, {counts}, at {path}")
    if outcome is not None and outcome.now:
        speed = outcome.work_s / outcome.audio_s if outcome.audio_s else 0.0
        typer.echo(f"{outcome.now} utterances worked on now: {speed:.3f} s of work per second of audio")
    for note in show.noted(made.notes):
        say(f"note: {note}")
    if made.without:
        more = f", here the first {LISTED} ({path.with_suffix('.json')} lists all)" if len(made.without) > LISTED else ""
        say(f"without alignment: {len(made.without)}{more}")
    for utterance, reason in list(made.without.items())[:LISTED]:
        say(f"  {utterance}: {reason}")
    return len(made.without)


def _row(data: Path, corpus: str, source: str) -> dict[str, Any]:
    """One alignment as a row."""
    found = alignment.load(data, corpus, source)
    aligned = len({name for by_id in found.segments.values() for name in by_id})
    about = {"corpus": corpus, "source": source, "levels": list(found.levels), "utterances": aligned}
    return about | {"without": len(found.without), "about": found.about}


def _list(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print the alignments that there are."""
    if as_json:
        typer.echo(json.dumps(rows))
        return
    cells = [
        [row["corpus"], row["source"], ",".join(row["levels"]), str(row["utterances"]), str(row["without"]), row["about"]] for row in rows
    ]
    typer.echo(show.table(["corpus", "source", "levels", "utterances", "without", "how"], cells))
