"""`emocache transcribe`: options and examples. Everything heavy is imported when the command runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocache.errors import UsageError
from emocache.options import DataOption, JsonOption, corpora_of, names_of, say
from emocache.places import plain_name

if TYPE_CHECKING:
    from emocache.transcribe import Outcome
    from emocache.types import Corpus

EXAMPLES = (
    "emocache transcribe --corpus iemocap --model whisper-small.en",
    "emocache transcribe --corpus iemocap --from asr.csv --name iemocap-asr",
    "emocache extract --corpus iemocap-asr --model roberta-base",
    "emocache train mmer --corpus iemocap --encoders wav2vec2-base,roberta-base --protocol loso --test-text iemocap-asr/roberta-base",
)
BATCH = 16
"""Recordings that are heard at once where nothing else is said."""


def transcribe(
    corpus: Annotated[str | None, typer.Option(help="Which prepared corpus (needed when there are several).")] = None,
    model: Annotated[str | None, typer.Option(help="A Whisper model: a named encoder, a hub id org/name@revision, or a folder.")] = None,
    table: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="Take transcripts from a table: utterance_id, transcript.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the corpus in these words (default: CORPUS-MODEL, or CORPUS-TABLE).")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Which language is spoken, such as en (default: as Whisper hears).")] = None,
    batch: Annotated[int | None, typer.Option(help=f"Recordings that are heard at once (default: {BATCH}).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Give a corpus other transcripts: what Whisper hears, or those of a table.

    They make a corpus of their own in DATA/NAME/: the same utterances, labels and audio in other words, for `extract` and for
    `train --test-text`. The transcripts of the corpus itself stay as they are. A further run hears only what is new or has changed.
    """
    if (model is None) == (table is None):
        raise UsageError("give --model, which hears, or --from, which reads a table: one of the two")
    if batch is not None and batch < 1:
        raise UsageError(f"--batch {batch}: expected 1 or more")
    hearing = {"--language": language, "--batch": batch, "--device": device}
    if table is not None and (idle := [option for option, value in hearing.items() if value is not None]):
        raise UsageError(f"{idle[0]} does nothing with --from; leave it out")
    (found,) = corpora_of(data, names_of(data, corpus, every=False)[0], every=False)
    outcome = run(found, data, model, table, name, language, batch or BATCH, device)
    if as_json:
        typer.echo(json.dumps(about(outcome, found)))
    else:
        report(outcome, found)


def run(
    corpus: "Corpus",
    data: Path,
    model: str | None,
    table: Path | None,
    name: str | None,
    language: str | None,
    batch: int,
    device: str | None,
) -> "Outcome":
    """One corpus in other words."""
    from emocache import transcribe as work
    from emocache.store.claims import claim

    if table is not None:
        called = plain_name(name or f"{corpus.name}-{table.stem}", "--name")
        return work.from_table(corpus, data, called, table)
    from emocache.devices import pick_device
    from emocache.recogniser import Recogniser

    recogniser = Recogniser(model or "", pick_device(device), language)
    called = plain_name(name or f"{corpus.name}-{recogniser.name}", "--name")
    say(f"corpus   {corpus.name}: {len(corpus.utterances)} utterances\nhears    {recogniser.about}")
    with claim(data / corpus.name, called, wait=False) as held:
        if not held:
            raise UsageError(f"{called}: another command is at work on it; wait for it to end, then repeat")
        try:
            return work.transcribe(corpus, data, called, recogniser, batch)
        except KeyboardInterrupt:
            say("interrupted; what was heard is kept, and the same command goes on from there")
            raise typer.Exit(130) from None


def about(outcome: "Outcome", corpus: "Corpus") -> dict[str, object]:
    """What was made, and how far the words are from those that the corpus has itself."""
    made = outcome.corpus
    found = {"corpus": made.name, "of": corpus.name, "manifest": str(outcome.manifest), "utterances": len(made.utterances)}
    heard = {"now": outcome.now, "work_s": outcome.work_s, "without_words": outcome.silent}
    return found | heard | {"words": outcome.words, "errors": outcome.errors, "word_error_rate": rate(outcome)}


def report(outcome: "Outcome", corpus: "Corpus") -> None:
    """The same for people."""
    made = outcome.corpus
    typer.echo(f"{outcome.manifest}: {len(made.utterances)} utterances of {corpus.name} in other words, {outcome.now} heard now")
    if (errors := rate(outcome)) is not None:
        typer.echo(f"word error rate {100 * errors:.1f} % ({outcome.errors} of {outcome.words} words; lower case, no punctuation)")
    if outcome.silent:
        say(f"note: no word in {outcome.silent} utterances; a text encoder sees its special tokens alone there")
    say(f"next     emocache extract --corpus {made.name} --model ...")


def rate(outcome: "Outcome") -> float | None:
    """Wrong words by all words; None where there are none to compare with."""
    return outcome.errors / outcome.words if outcome.words else None
