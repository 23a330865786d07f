"""The `emocache` command. stdout holds results, stderr progress; a known error is one line and exit code 2.

Exit codes: 0 all is well, 1 done but some utterances have no features, alignment or view, or verify found damage,
2 bad input, 130 interrupted.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from emocache import (
    __version__,
    cli_align,
    cli_augment,
    cli_cite,
    cli_corpora,
    cli_encoders,
    cli_exchange,
    cli_pool,
    cli_share,
    cli_store,
    cli_transcribe,
    manifest,
    places,
    show,
    views,
)
from emocache import layers as layer_numbers
from emocache.errors import EmocacheError, UsageError
from emocache.options import corpora_of
from emocache.places import CACHE_HELP
from heads import cli as heads_cli
from heads import cli_papers, cli_recurrent, cli_results, cli_search, cli_sweep

if TYPE_CHECKING:
    from emocache.pipeline import Job, Outcome
    from emocache.store import Cache
    from emocache.transcribe import Outcome as Heard

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run frozen speech and text encoders over a corpus once, cache every layer to Zarr, train emotion-recognition heads on the cache.",
)


def _examples(*lines: str) -> str:
    """Example commands under a command's help, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


DataOption = Annotated[Path, typer.Option("--data", help="Folder of prepared corpora.")]
CacheOption = Annotated[Path | None, typer.Option("--cache", help=CACHE_HELP)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except EmocacheError as error:
        typer.echo(f"emocache: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a disk, a permission, a file that vanished: the system's own words say which
        typer.echo(f"emocache: {error.filename or 'input or output'}: {error.strerror or error}", err=True)
        sys.exit(2)
    sys.exit(0)


app.command("train", epilog=_examples(*heads_cli.EXAMPLES))(heads_cli.train)
app.command("sweep", epilog=_examples(*cli_sweep.EXAMPLES))(cli_sweep.sweep)
app.command("reproduce", epilog=_examples(*cli_papers.REPRODUCE_EXAMPLES))(cli_papers.reproduce)
app.command("heads", epilog=_examples(*cli_papers.HEADS_EXAMPLES))(cli_papers.heads)
app.command("report", epilog=_examples(*cli_results.REPORT_EXAMPLES))(cli_results.report)
app.command("compare", epilog=_examples(*cli_results.COMPARE_EXAMPLES))(cli_results.compare)
app.command("combine", epilog=_examples(*cli_results.COMBINE_EXAMPLES))(cli_results.combine)
app.command("fuse", epilog=_examples(*cli_results.FUSE_EXAMPLES))(cli_results.fuse)
app.command("encoders", epilog=_examples(*cli_encoders.ENCODERS_EXAMPLES))(cli_encoders.encoders)
cli_search.app.command("recurrent", epilog=_examples(*cli_recurrent.EXAMPLES))(cli_recurrent.recurrent)
app.add_typer(cli_search.app, name="search")
app.command("align", epilog=_examples(*cli_align.EXAMPLES))(cli_align.align)
app.command("augment", epilog=_examples(*cli_augment.EXAMPLES))(cli_augment.augment)
app.command("transcribe", epilog=_examples(*cli_transcribe.EXAMPLES))(cli_transcribe.transcribe)
app.command("pool", epilog=_examples(*cli_pool.EXAMPLES))(cli_pool.pool)
app.command("corpora", epilog=_examples(*cli_corpora.EXAMPLES))(cli_corpora.corpora)
app.command("push", epilog=_examples(*cli_share.PUSH_EXAMPLES))(cli_share.push)
app.command("pull", epilog=_examples(*cli_share.PULL_EXAMPLES))(cli_share.pull)
app.command("fetch", epilog=_examples(*cli_encoders.FETCH_EXAMPLES))(cli_encoders.fetch)


@app.callback(invoke_without_command=True)
def _version(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command(
    epilog=_examples(
        "emocache prepare iemocap /data/IEMOCAP_full_release",
        "emocache prepare cremad /data/CREMA-D --scheme cremad-voted",
        "emocache prepare csv my.csv --name noise --root /data/wavs --licence 'CC BY 4.0' --share free",
    )
)
def prepare(
    reader: Annotated[str, typer.Argument(metavar="CORPUS", help="As `emocache corpora` names it; csv or jsonl for a list of your own.")],
    root: Annotated[Path, typer.Argument(help="The corpus's folder, or the list's file.")],
    name: Annotated[str | None, typer.Option(help="What to call it (default: the reader's name).")] = None,
    data: DataOption = Path("data"),
    audio_root: Annotated[Path | None, typer.Option("--root", help="Folder that audio paths are relative to.")] = None,
    scheme: Annotated[
        str | None, typer.Option(help="Label scheme, as `emocache corpora NAME` lists them; as-is keeps every label.")
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out audio that cannot be used, listed by id.")] = False,
    hear: Annotated[
        str | None,
        typer.Option("--transcribe", metavar="MODEL", help="Then have a Whisper model hear it, as `emocache transcribe` does."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of a corpus of your own: its licence, in words.")] = None,
    share: Annotated[
        str | None, typer.Option(help="Of a corpus of your own: may features be passed on? free, ask (default) or forbidden.")
    ] = None,
    passes: Annotated[
        str | None,
        typer.Option(help="And with them, of labels,speakers,folds,transcripts,audio (default: the first three; the others only by name)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a corpus and write its manifest to DATA/NAME/."""
    from emocache.corpora.prepare import prepare as prepare_corpus

    done = prepare_corpus(
        reader, root, name=name, data=data, audio_root=audio_root, scheme=scheme, skip_broken=skip_broken,
        licence=licence, share=share, passes=None if passes is None else [kind.strip() for kind in passes.split(",") if kind.strip()],
    )  # fmt: skip
    corpus = done.corpus
    counts = show.counts(corpus)
    notes = (*corpus.notes, *views.attach(corpus.utterances, done.manifest.with_name(views.FOLDER)).notes)
    if as_json:
        about = {"name": corpus.name, "manifest": str(done.manifest), "utterances": len(corpus.utterances), "seconds": done.seconds}
        more = {
            "scheme": corpus.scheme,
            "classes": counts,
            "left_out": dict(corpus.left_out),
            "skipped": dict(done.skipped),
            "differs": list(corpus.differs),
            "alignments": {
                one.source: {"segments": show.segments(one), "without": dict(one.without), "notes": dict(one.notes)}
                for one in done.alignments
            },
            "notes": list(notes),
        }
        heard = {"transcribed": cli_transcribe.about(_heard(data, corpus.name, hear), corpus)} if hear else {}
        typer.echo(json.dumps(about | more | heard))
        return
    typer.echo(f"{done.manifest}: {len(corpus.utterances)} utterances, {done.seconds / 3600:.2f} h, licence {corpus.licence}")
    typer.echo(f"label scheme {corpus.scheme}: " + ", ".join(f"{label} {count}" for label, count in counts.items()))
    if corpus.left_out:
        typer.echo("left out: " + ", ".join(f"{label} {count}" for label, count in corpus.left_out.items()))
        _say(f"left out by name: {done.manifest.with_name(manifest.LEFT_OUT)}")
    aligned = [line for one in done.alignments for line in show.aligned(one, len(corpus.utterances))]
    typer.echo("\n".join(aligned or ["alignments: the corpus brings none"]))
    for utterance, reason in done.skipped.items():
        _say(f"skipped {utterance}: {reason}")
    for difference in corpus.differs:
        _say(f"not as published: {difference}")
    for note in notes:
        _say(f"note: {note}")
    if hear:
        cli_transcribe.report(_heard(data, corpus.name, hear), corpus)


def _heard(data: Path, corpus: str, model: str) -> "Heard":
    """The prepared corpus in the words that a recogniser hears."""
    return cli_transcribe.run(manifest.load(data, corpus), data, model, None, None, None, cli_transcribe.BATCH, None)


@app.command(
    epilog=_examples(
        "emocache extract --model hubert-large --layers 12,18,24", "emocache extract --model ./my-checkpoint --levels frames,utterance"
    )
)
def extract(
    model: Annotated[str, typer.Option("--model", "--encoder", help="A named encoder, a hub id org/name@revision, or a folder ./name.")],
    corpus: Annotated[str | None, typer.Option(help="Which prepared corpus (needed when there are several).")] = None,
    every: Annotated[bool, typer.Option("--all", help="All prepared corpora.")] = False,
    data: DataOption = Path("data"),
    cache: CacheOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the features (default: the encoder's name).")] = None,
    layers: Annotated[str, typer.Option(help="all, last, or numbers such as 0-3,6.")] = "all",
    levels: Annotated[
        str | None,
        typer.Option(help="Of speech: frames, utterance (mean and deviation), phone, syllable, word; of text: tokens, word, sentence."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Stored as fp16 or fp32.")] = "fp16",
    precision: Annotated[str, typer.Option(help="Computed in fp32, tf32, bf16 or fp16.")] = "fp32",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    batch: Annotated[float | None, typer.Option(help="Seconds of audio (or tokens) in a forward pass, with padding.")] = None,
    window: Annotated[float | None, typer.Option(help="Whisper alone: seconds of its window instead of 30; other features.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try utterances again that failed before.")] = False,
    max_gb: Annotated[float | None, typer.Option("--max-gb", help="Stop when more than this would be stored.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Encode a corpus and store its features; what is there already is not encoded again."""
    from emocache import pipeline

    failed, (*below, root) = 0, places.cache_path(cache)
    for found in corpora_of(data, corpus, every):
        job = pipeline.prepare_job(
            found, data, model, cache=root, below=below, name=name, layers=layers, dtype=dtype, precision=precision,
            levels=[level.strip() for level in levels.split(",")] if levels else (), device=device, batch=batch, window_s=window,
        )  # fmt: skip
        _say("\n".join(show.announcement(job)))
        pipeline.check_room(job, max_gb)
        try:
            outcome = pipeline.extract(job, retry=retry)
        except KeyboardInterrupt:
            typer.echo("interrupted; what was committed is kept, and the same command goes on from there", err=True)
            raise typer.Exit(130) from None
        _report(job, outcome, as_json)
        failed += len(outcome.failures)
    raise typer.Exit(1 if failed else 0)


@app.command("ls", epilog=_examples("emocache ls --cache /lab/emocache", "emocache ls hf://lab/features"))
def list_features(
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE[@VERSION]]", help="A shared cache (default: your own).")] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is in a cache, or what `emocache pull` could bring from a source."""
    from emocache.store import open_cache

    if source is not None:
        cli_share.list_source(source, as_json)
        return
    opened = open_cache(cache)
    rows = [show.summary(opened.features(corpus, model)) for corpus in opened.corpora() for model in opened.names(corpus)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    typer.echo("\n".join(f"cache {root}" for root in opened.roots))
    typer.echo(show.features_table(rows, lies_in=len(opened.roots) > 1))
    for row in rows:
        if row["lacks"]:
            typer.echo(f"{row['features']}: {row['lacks']}")


@app.command(epilog=_examples("emocache info ravdess/whisper-tiny.en"))
def info(
    features: Annotated[str, typer.Argument(metavar="CORPUS/FEATURES", help="As `emocache ls` names them.")],
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how features were made and what of them is there."""
    from emocache.store import open_cache

    corpus, _, model = features.partition("/")
    if not model:
        raise UsageError(f"{features!r}: expected CORPUS/FEATURES, as `emocache ls` names them")
    found = open_cache(cache).features(corpus, model)
    about = show.summary(found) | {
        "path": show.places(found),
        "card": asdict(found.card),
        "failures": dict(found.failures),
        "digest": found.digest,
    }
    if as_json:
        typer.echo(json.dumps(about))
        return
    card = found.card
    typer.echo(f"{about['features']}: {len(found.ids)} of {found.planned} utterances, {show.size(about['bytes'])}")
    typer.echo(f"path      {show.places(found)}")
    if found.lacks:
        typer.echo(f"lacks     {found.lacks}")
    typer.echo(f"corpus    {card.corpus}, licence {card.corpus_licence}, features may be passed on: {card.corpus_share}")
    typer.echo(f"encoder   {card.encoder} from {card.origin} at {card.revision}, licence {card.encoder_licence}")
    typer.echo(f"digests   of the {'imported rows' if card.digests == 'imported' else card.digests}")
    for name in found.levels:
        typer.echo(
            f"level     {name}: layers {layer_numbers.ranges(found.layers_of(name))}, {found.dim(name)} wide; {card.cut(name).about}"
        )
    for name, value in asdict(card.key).items():
        typer.echo(f"key       {name}: {value}")
    typer.echo("made with " + ", ".join(f"{name} {number}" for name, number in card.made_with.items()))
    for utterance, reason in found.failures.items():
        typer.echo(f"failed    {utterance}: {reason}")


@app.command(epilog=_examples(*cli_cite.EXAMPLES))
def cite(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WHAT]...", help="Encoders, heads, corpora, CORPUS/FEATURES or run folders (default: all in the cache)."),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what to cite, as BibTeX. Of what nothing is known is said on stderr."""
    opened = cli_cite.opened(cache)
    found: list[cli_cite.Found] = [] if what else cli_cite.everything(opened)
    for name in what or ():
        found += _cited(name, opened)
    entries, unknown = cli_cite.lines(found)
    typer.echo(json.dumps(entries) if as_json else "\n\n".join(entries))
    for name in unknown:
        _say(f"nothing is known to cite for {name}")


def _cited(name: str, cache: "Cache | None") -> list[cli_cite.Found]:
    """What to cite for one name: of heads and runs here, since they are no part of emocache's own modules."""
    from heads import HEADS, cited

    if name in HEADS:
        return [(name, cited.entry(name))]
    if not (Path(name) / "config.json").is_file():
        return cli_cite.of_name(name, cache)
    run = cited.of_run(Path(name))
    features = [cli_cite.of_features(run.corpus, one, cache) for one in run.features]
    return [(f"head {run.head}", cited.entry(run.head)), *features, cli_cite.of_corpus(run.corpus, cache)]


DEMO_ENCODERS = ("whisper-tiny.en", "all-minilm-l6-v2", "ecapa")
DEMO_ROWS = (
    ("text alone", "linear", ("all-minilm-l6-v2",)),
    ("speech alone", "linear", ("whisper-tiny.en",)),
    ("speaker embedding alone", "linear", ("ecapa",)),
    ("text + speech + speaker", "late", DEMO_ENCODERS),
)
"""Row of the demo's table: name, head, encoders."""


@app.command(epilog=_examples("emocache demo", "emocache demo --folder my-demo --seeds 0-2"))
def demo(
    folder: Annotated[
        Path, typer.Option(help="Where corpus, cache and runs go; may be deleted (weights stay in the user's cache folder).")
    ] = Path("emocache-demo"),
    seeds: Annotated[str, typer.Option(help="0-2, or 0,3,5.")] = "0",
    as_json: JsonOption = False,
) -> None:
    """Speak a small corpus, encode it with genuine weights, train heads on it and print a table."""
    from emocache import pipeline
    from emocache.corpora.prepare import prepare as prepare_corpus
    from emocache.demo import corpus as spoken
    from emocache.store import open_cache
    from heads.experiment import run
    from heads.plan import Experiment

    numbers = heads_cli.parse_seeds(seeds)
    _say(f"1/3  speaking a corpus of ten synthetic voices, in the layout of IEMOCAP: {folder / 'corpus'}")
    spoken.write(folder / "corpus")
    prepare_corpus("iemocap", folder / "corpus", name="demo", data=folder / "data")
    corpus = manifest.load(folder / "data", "demo")  # with augmented views, where there are any
    _say(f"     {len(corpus.utterances)} utterances: " + ", ".join(f"{label} {count}" for label, count in show.counts(corpus).items()))
    for model in DEMO_ENCODERS:
        _say(f"2/3  encoding with {model} (weights are downloaded on first use)")
        job = pipeline.prepare_job(corpus, folder / "data", model, cache=folder / "cache", device=None)
        pipeline.check_room(job, None)
        _say(f"     {job.source.origin}, weights {job.encoder.weights[:16]}, {show.size(sum(job.size().values()))} to {job.cache}")
        pipeline.extract(job)
    _say("3/3  training by leave-one-session-out; epochs are chosen on a tenth of the training sessions")
    cache = open_cache(folder / "cache")
    ask = partial(Experiment, corpus="demo", protocol="loso", seeds=numbers, data=folder / "data", runs=folder / "runs")
    results = {name: run(ask(head=head, encoders=encoders), cache) for name, head, encoders in DEMO_ROWS}
    if as_json:
        from heads.report import to_json

        typer.echo(json.dumps({name: to_json(result) for name, result in results.items()}))
        return
    typer.echo(f"demo corpus, {len(corpus.utterances)} utterances of synthetic speech, 4 classes, leave one session out, seeds {seeds}")
    typer.echo(show.table(["", "UA %", "95 % interval", "WA %", "run"], [_demo_row(name, result) for name, result in results.items()]))
    for remark in dict.fromkeys(remark for result in results.values() for remark in (*result.deviations, *result.notes)):
        typer.echo(f"note  {remark}")
    typer.echo(f"corpus, cache and runs lie in {folder}/; look around with: emocache ls --cache {folder / 'cache'}")


app.command("export", epilog=_examples(*cli_exchange.EXPORT_EXAMPLES))(cli_exchange.export)
app.command("import", epilog=_examples(*cli_exchange.IMPORT_EXAMPLES))(cli_exchange.import_)
for _name, (_command, _lines) in cli_store.COMMANDS.items():
    app.command(_name, epilog=_examples(*_lines))(_command)


def _demo_row(name: str, result: Any) -> list[str]:
    """One head of the demo as cells."""
    ua, wa = result.scores.ua, result.scores.wa
    return [name, f"{100 * ua.mean:.1f}", f"{100 * ua.low:.1f} to {100 * ua.high:.1f}", f"{100 * wa.mean:.1f}", str(result.path)]


def _report(job: "Job", outcome: "Outcome", as_json: bool) -> None:
    """What an extraction did."""
    features = outcome.features
    if as_json:
        about = show.summary(features) | {"encoded": outcome.encoded, "failures": dict(outcome.failures), "notes": dict(job.notes)}
        about |= {"remarks": list(outcome.notes), "warnings": show.warnings(job), "segments": show.fallbacks(features, job.levels)}
        typer.echo(json.dumps(about | {"path": show.places(features), "digest": features.digest}))
        return
    name, held = f"{features.corpus}/{features.name}", min(len(features.held(level, job.layers)) for level in job.levels)
    typer.echo(f"{name}: {outcome.encoded} utterances encoded now, {held} in the cache, at {show.places(features)}")
    for line in show.fallback_lines(show.fallbacks(features, job.levels)):
        typer.echo(line)
    for note in (*show.noted(job.notes), *outcome.notes):
        _say(f"note: {note}")
    for utterance, reason in outcome.failures.items():
        _say(f"not encoded: {utterance}: {reason}")
    if outcome.failures:
        _say("mended audio is seen by itself; --retry tries the others again")


def _say(text: str) -> None:
    """A line of progress."""
    typer.echo(text, err=True)


if __name__ == "__main__":
    main()
