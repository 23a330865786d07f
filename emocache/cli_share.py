"""Shared caches on the command line: push, pull, and what lies at a source."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from emocache import places, show
from emocache.errors import UsageError
from emocache.files import read_ids
from emocache.layers import ranges
from emocache.options import AllArgument, CacheOption, DataOption, DryOption, JsonOption, cache_of, root_of, say

WHERE = "A folder, s3://BUCKET/PREFIX, hf://OWNER/NAME"


def push(
    dest: Annotated[str, typer.Argument(metavar="DEST[@VERSION]", help=f"{WHERE}; VERSION names what is pushed (default: the time).")],
    names: AllArgument = None,
    corpus: Annotated[str | None, typer.Option(help="Corpora to push, with commas between.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Feature sets to push, with commas between.")] = None,
    may_share: Annotated[
        str | None,
        typer.Option("--i-may-share", metavar="REASON", help="Why you may pass features of a restricted corpus on; the card says so."),
    ] = None,
    asked: Annotated[str, typer.Option("--with", help="What goes only by name, where the licence lets it: transcripts, audio.")] = "",
    columns: Annotated[str, typer.Option("--columns", help="Further columns of the manifest that may go.")] = "",
    dry_run: DryOption = False,
    data: DataOption = Path("data"),
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pass features on: what is there already is not sent again, and nobody sees a part of a push."""
    from emocache.care.sets import find_sets
    from emocache.share.address import parse_address
    from emocache.share.push import Consent
    from emocache.share.push import push as push_sets

    address = parse_address(dest)
    wanted, models = _names(corpus), _names(model)
    sets = [
        paths
        for paths in find_sets(cache_of(cache), names or wanted)
        if paths.root.name in (models or [paths.root.name]) and paths.root.parent.name in (wanted or [paths.root.parent.name])
    ]
    if not sets:
        raise UsageError("the cache holds no such features to push; `emocache ls` lists what it has")
    if address.kind == "folder":
        places.open_to_group(Path(address.where).expanduser())
    consent = Consent(asked=tuple(_names(asked)), columns=tuple(_names(columns)), reason=may_share)
    done = push_sets(address, sets, data, consent, dry_run=dry_run)
    for warning in done.warnings:
        say(f"mind: {warning}")
    if as_json:
        typer.echo(json.dumps(asdict(done) | {"dest": address.shown}))
        return
    verb = "would send" if dry_run else "sent"
    typer.echo(f"{address.shown}: {verb} {done.objects} objects, {show.size(done.bytes)}; {done.there} were there")
    if not dry_run:
        command = shlex.join(["emocache", "pull", address.typed(done.version)])
        typer.echo(f"version {done.version}: {', '.join(done.features)}; `{command}` brings it")


def pull(
    source: Annotated[str, typer.Argument(metavar="SOURCE[@VERSION]", help=f"{WHERE} or https://HOST/PATH.")],
    corpus: Annotated[str | None, typer.Option(help="Corpora, with commas between (default: all).")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Feature sets, with commas between (default: all).")] = None,
    levels: Annotated[str | None, typer.Option(help="Levels, such as frames,word (default: all).")] = None,
    layers: Annotated[str, typer.Option(help="all, last, or numbers such as 0-3,6.")] = "all",
    sessions: Annotated[str | None, typer.Option(help="Utterances of these sessions.")] = None,
    folds: Annotated[str | None, typer.Option(help="Utterances of these folds.")] = None,
    ids_from: Annotated[Path | None, typer.Option("--ids-from", help="File with the utterances wanted, one id a line.")] = None,
    audio: Annotated[bool, typer.Option("--audio", help="The audio too, where it was passed on.")] = False,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Your own copy of a restricted corpus's audio, which a pull asks for.")
    ] = None,
    dry_run: DryOption = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring features that somebody pushed, all or a part; a later pull adds the rest."""
    from emocache.share.address import parse_address
    from emocache.share.pull import pull as pull_sets
    from emocache.share.wish import Wish

    address = parse_address(source)
    wish = Wish(
        corpora=tuple(_names(corpus)), models=tuple(_names(model)), levels=tuple(_names(levels)), layers=layers,
        sessions=tuple(_names(sessions)), folds=tuple(_names(folds)), ids=tuple(read_ids(ids_from)) if ids_from else (), audio=audio,
    )  # fmt: skip
    root = root_of(cache)
    say(f"cache    {root}")
    try:
        came = pull_sets(address, root, wish, audio_root, dry_run=dry_run)
    except KeyboardInterrupt:
        say("interrupted; what has come is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in came]))
        return
    for one in came:
        if one.left_out:
            typer.echo(f"{one.features}@{one.version}: left out, since it has none of these levels and layers")
            continue
        verb = "would come" if dry_run else "came"
        held = "" if dry_run else f"; {one.utterances} of {one.planned} utterances are in the cache"
        typer.echo(f"{one.features}@{one.version}: {show.size(one.bytes)} {verb}{held}")
        if one.labels:
            say(f"mind: {one.features}: labels are those of version {one.labels}, whose manifest has other utterances or labels")


def list_source(source: str, as_json: bool) -> None:
    """Print what lies at a source."""
    from emocache.share.address import parse_address
    from emocache.share.offer import listed_versions, offer

    address = parse_address(source)
    there = offer(address)
    rows: list[dict[str, Any]] = []
    for name, version in sorted(there.features.items()):
        one = version.features[name]
        levels: dict[str, list[int]] = {}
        for array in one.arrays:
            level, _, layer = array.partition("/")
            levels.setdefault(level, []).append(int(layer))
        named = {level: ranges(sorted(layers)) for level, layers in sorted(levels.items())}
        about = {"features": name, "version": version.name, "made": version.made, "utterances": one.complete, "planned": one.planned}
        rows.append(about | {"levels": named, "dtype": one.dtype, "bytes": sum(one.arrays.values())})
    known = listed_versions(address) if not address.version else [address.version]
    if as_json:
        typer.echo(json.dumps({"source": address.shown, "versions": known, "features": rows}))
        return
    typer.echo(f"source {address.shown}, versions {', '.join(known)}")
    cells = [_cells(row) for row in rows]
    typer.echo(show.table(["features", "utterances", "levels and layers", "stored", "size", "version"], cells))


def _cells(row: Mapping[str, Any]) -> list[str]:
    """A feature set as cells."""
    levels = "; ".join(f"{level} {layers}" for level, layers in row["levels"].items())
    return [row["features"], f"{row['utterances']}/{row['planned']}", levels, row["dtype"], show.size(row["bytes"]), row["version"]]


def _names(text: str | None) -> list[str]:
    """Names with commas between."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


PUSH_EXAMPLES = (
    "emocache push /mnt/usb/emocache", "emocache push s3://lab/emocache@2026-11 --corpus cremad",
    "emocache push hf://lab/features --model hubert-large --i-may-share 'release form of 2026-03, members only'",
)  # fmt: skip
PULL_EXAMPLES = (
    "emocache pull hf://lab/features --corpus cremad --model hubert-large --layers last", "emocache pull s3://lab/emocache@2026-11",
    "emocache pull https://lab.example/emocache --corpus iemocap --sessions 1,2 --audio-root /data/IEMOCAP_full_release",
)  # fmt: skip
