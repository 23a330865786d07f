"""`emocache export` and `emocache import`: options and examples. Everything heavy is imported when the command runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from emocache import layers as layer_numbers
from emocache import places, show
from emocache.errors import UsageError
from emocache.files import read_ids
from emocache.places import CACHE_HELP

EXPORT_EXAMPLES = (
    "emocache export iemocap/hubert-large hubert.h5 --layers 12",
    "emocache export iemocap/bert-base bert.zip --levels tokens --compress",
)
IMPORT_EXAMPLES = (
    "emocache import npy features/hubert-large-UTT --corpus iemocap --name mertools-hubert --encoder hubert-large",
    "emocache import flat emotion2vec/train --corpus iemocap --name emotion2vec --hop 320",
)
LISTED = 20
"""Most utterances that are listed one by one; --json lists all."""

CacheOption = Annotated[Path | None, typer.Option("--cache", help=CACHE_HELP)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def export(
    features: Annotated[str, typer.Argument(metavar="CORPUS/FEATURES", help="As `emocache ls` names them.")],
    target: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write.")],
    form: Annotated[str | None, typer.Option("--format", help="h5, npz or zip (a zipped Zarr); default: by the file's suffix.")] = None,
    levels: Annotated[str | None, typer.Option(help="Such as frames,utterance (default: all that are cached).")] = None,
    layers: Annotated[str, typer.Option(help="all, last, or numbers such as 0-3,6.")] = "all",
    ids_from: Annotated[Path | None, typer.Option("--ids-from", help="File with the ids to export, one a line, in that order.")] = None,
    compress: Annotated[bool, typer.Option("--compress", help="Smaller by about a tenth, and slower to read.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write features to one file for other tools.

    What is cached is written. Utterances that lack any of it are listed, and the exit code is then 1.
    """
    from emocache.exchange import export as exporting
    from emocache.store import open_cache

    corpus, _, name = features.partition("/")
    if not name:
        raise UsageError(f"{features!r}: expected CORPUS/FEATURES, as `emocache ls` names them")
    chosen = exporting.form_of(target, form)
    ids = read_ids(ids_from) if ids_from else None
    selection = exporting.select(open_cache(cache).features(corpus, name), levels=_names(levels), layers=layers, ids=ids)
    card = selection.features.card
    if card.corpus_share == "forbidden":
        _say(f"warning: features of {corpus} may not be passed on (licence: {card.corpus_licence}); keep {target.name} to yourself")
    try:
        size = exporting.export(selection, target, chosen, compress=compress, overwrite=overwrite)
    except KeyboardInterrupt:
        _say(f"interrupted; {target} was not written")
        raise typer.Exit(130) from None
    levels_done = {
        rows.level: {"layers": list(rows.dtypes), "utterances": len(rows.ids), "rows": rows.count, "dim": rows.dim}
        for rows in selection.levels
    }
    if as_json:
        about = {"path": str(target), "format": chosen, "bytes": size, "features": f"{corpus}/{selection.features.name}"}
        more = {"digest": selection.features.digest, "levels": levels_done, "lacking": dict(selection.lacking)}
        typer.echo(json.dumps(about | more))
    else:
        typer.echo(f"{target}: {corpus}/{selection.features.name} as {chosen}, {show.size(size)}")
        for rows in selection.levels:
            held = f"{len(rows.ids)} utterances, {rows.count} rows of {rows.dim}, layers {layer_numbers.ranges(list(rows.dtypes))}"
            typer.echo(f"{rows.level}: {held}")
        _list("without features", selection.lacking)
    raise typer.Exit(1 if selection.lacking else 0)


def import_(
    kind: Annotated[str, typer.Argument(metavar="FORMAT", help="npy (a file an utterance), h5 (a dataset an utterance) or flat.")],
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Folder of .npy files; HDF5 file; X of X.npy, X.lengths and X.ids, X.emo or X.tsv.")
    ],
    corpus: Annotated[str, typer.Option(help="The prepared corpus that the utterances are of.")],
    name: Annotated[str, typer.Option(help="What to call the features.")],
    encoder: Annotated[str, typer.Option(help="What made them, if you know.")] = "",
    level: Annotated[str, typer.Option(help="frames, tokens, word, ... (default: by their shape, utterance or frames).")] = "",
    layers: Annotated[str | None, typer.Option(help="Numbers of the layers in the files, such as 12 or 0-24 (default: from 0).")] = None,
    hop: Annotated[int, typer.Option(help="Samples at 16 kHz from one frame to the next, if you know.", show_default=False)] = 0,
    modality: Annotated[str, typer.Option(help="What they were made from: audio or text (default: audio, but text for tokens).")] = "",
    dtype: Annotated[str | None, typer.Option(help="Stored as fp16 or fp32 (default: what loses nothing of float32).")] = None,
    ids: Annotated[Path | None, typer.Option("--ids", help="flat: file with the ids, in the first column.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept files that match no utterance, and utterances without a file; they are listed.")
    ] = False,
    data: Annotated[Path, typer.Option("--data", help="Folder of prepared corpora.")] = Path("data"),
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put features that another tool made into the cache.

    Arrays are [dim], [time, dim] or [layers, time, dim] in floating point. A name holds what one import brought: the
    same files again import nothing, changed or further files need another --name.
    """
    from emocache.exchange import imports
    from emocache.exchange.foreign import Said

    *below, root = places.cache_path(cache)
    if taken := [one for one in below if (one / corpus / name / "card.json").is_file()]:
        raise UsageError(f"--name {name}: {corpus}/{name} lies in {taken[0]}, which is only read; give another name")
    numbers = layer_numbers.name_layers(layers) if layers else ()
    said = Said(level=level, layers=numbers, hop=hop, modality=modality, encoder=encoder)
    intake = imports.look(
        kind, source, said, corpus=corpus, name=name, data=data, cache=root, dtype=dtype, ids=ids, allow_missing=allow_missing
    )
    card = intake.card
    _say(f"source   {card.origin}: {len(intake.items)} utterances of {corpus}, {card.dims[intake.level]} wide")
    _say(f"stored   {intake.level}, layers {layer_numbers.ranges(card.layers)}, {show.size(intake.bytes)} as {card.key.dtype}")
    _say(f"cache    {root} (free: {show.size(places.free_bytes(root))})")
    imports.check_room(intake)
    try:
        outcome = imports.write(intake)
    except KeyboardInterrupt:
        _say("interrupted; what was committed is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    features = outcome.features
    if as_json:
        about = show.summary(features) | {"imported": outcome.imported, "failures": dict(outcome.failures)}
        more = {"unknown": list(intake.match.unknown), "missing": list(intake.match.missing), "path": str(features.paths.root)}
        typer.echo(json.dumps(about | more | {"digest": features.digest}))
    else:
        where = f"{features.corpus}/{features.name}"
        typer.echo(f"{where}: {outcome.imported} utterances imported now, {len(features.ids)} in the cache, at {features.paths.root}")
        _list("not imported", outcome.failures)
        _list("not in the corpus", dict.fromkeys(intake.match.unknown, ""))
        _list("without features", dict.fromkeys(intake.match.missing, ""))
    raise typer.Exit(1 if outcome.failures else 0)


def _names(text: str | None) -> Sequence[str]:
    """Names with commas between."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _list(what: str, reasons: Mapping[str, str]) -> None:
    """Name on stderr what was left out: how many, and the first of them with the reason."""
    if reasons:
        _say(f"{what}: {len(reasons)}" + (f", here the first {LISTED} (--json lists all)" if len(reasons) > LISTED else ""))
    for name, reason in list(reasons.items())[:LISTED]:
        _say(f"  {name}: {reason}" if reason else f"  {name}")


def _say(text: str) -> None:
    """A line of progress."""
    typer.echo(text, err=True)
