"""`emocache encoders` and `emocache fetch`: which encoders there are, and what offline use of them needs."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocache import languages, show
from emocache.errors import EmocacheError, EncoderError, UsageError

if TYPE_CHECKING:
    from emocache.encoders.catalogue import EncoderSpec
    from emocache.encoders.weights import Source

ENCODERS_EXAMPLES = ("emocache encoders", "emocache encoders whisper", "emocache encoders hubert-large", "emocache encoders --json zh")
FETCH_EXAMPLES = (
    "emocache fetch hubert-large bert-base",
    "emocache fetch openai/whisper-small@main",
    "HF_HOME=/shared/hub emocache fetch wavlm-large",
)
HEADER = ("name", "hub id", "family", "layers", "width", "hop", "languages", "licence", "here")
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def encoders(
    wanted: Annotated[
        str | None,
        typer.Argument(metavar="[FILTER]", help="A name for all about it, or a part of a name, hub id, family, language or licence."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the encoders by name, and whether their weights are on this machine.

    Layers 0..N can be cached; hop is in samples at 16 kHz. Any other Hub id or folder of these families works too.
    """
    from emocache.encoders.catalogue import ENCODERS

    rows = {name: _row(name, spec) for name, spec in ENCODERS.items()}
    if wanted is not None:
        rows = _matching(rows, wanted)
    if as_json:
        typer.echo(json.dumps(list(rows.values())))
    elif len(rows) == 1:
        typer.echo("\n".join(_card(*rows.values())))
    else:
        typer.echo(show.table(HEADER, [_cells(row) for row in rows.values()]))


def fetch(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Named encoders, hub ids org/name@revision, or folders ./name.")],
    check: Annotated[bool, typer.Option(help="Open each on the CPU, as an extraction would.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Download all that the encoders need, so that they work without a network; what is here already is not downloaded again.

    An interrupted download goes on where it stopped; weights are verified by their SHA-256.
    """
    done: list[dict[str, Any]] = []
    sources: list[Source] = []
    for model in models:
        try:
            source, size = _fetched(model, check)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from there", err=True)
            raise typer.Exit(130) from None
        except EmocacheError as error:
            typer.echo(f"emocache: {error}", err=True)
            continue
        sources.append(source)
        done.append(
            {"model": model, "name": source.name, "path": str(source.folder), "bytes": size, "origin": source.origin}
            | {"revision": source.revision, "checked": check}
        )
        if not as_json:
            checked = ", opened" if check else ""
            where = "there is nothing to download" if source.computed else source.folder
            typer.echo(f"{source.name}: {show.size(size)} from {source.origin} at {source.revision[:12]}{checked}: {where}")
    if as_json:
        typer.echo(json.dumps(done))
    for line in _offline(sources):
        typer.echo(line, err=True)
    raise typer.Exit(2 if len(done) < len(models) else 0)


def _fetched(model: str, check: bool) -> tuple["Source", int]:
    """A model, brought here and (with `check`) opened; and its bytes."""
    from emocache.encoders import find, hub, load, snapshot

    source = find(model)
    lacks = snapshot.lacks(source.folder, source.spec.file if source.spec else "") if hub.cache_root() in source.folder.parents else None
    if lacks is not None:
        raise EncoderError(f"{model}: cannot be used as it is on the Hub: {lacks}")
    if check:
        import torch

        load(source, torch.device("cpu"))
    return source, 0 if source.computed else snapshot.size(source.folder)


def _offline(sources: Sequence["Source"]) -> list[str]:
    """What to do on a machine without a network, for where the weights are."""
    from emocache.encoders import hub
    from emocache.places import weights_root

    root, wheels = hub.cache_root(), weights_root()
    lines = []
    if any(root in source.folder.parents for source in sources):
        where = f"HF_HOME={root.parent}" if root.name == "hub" else f"HF_HUB_CACHE={root}"
        lines.append(f"without a network: export {where} HF_HUB_OFFLINE=1; to another machine, copy it with its links (rsync -a)")
    if any(wheels in source.folder.parents for source in sources):
        lines.append(f"without a network: export XDG_CACHE_HOME={wheels.parent} HF_HUB_OFFLINE=1; to another machine, copy {wheels}")
    return lines


def _row(name: str, spec: "EncoderSpec") -> dict[str, Any]:
    """One encoder, with where its weights are on this machine."""
    from emocache.encoders.weights import here

    folder = here(name) if spec.repo else None
    paper = spec.paper and {"key": spec.paper.key, "title": spec.paper.title, "venue": spec.paper.venue}
    facts = {"repo": spec.repo, "revision": spec.revision, "family": spec.family, "layers": spec.layers, "width": spec.width}
    more = {"hop": spec.hop, "receptive": spec.receptive, "languages": spec.languages, "licence": spec.licence, "paper": paper}
    return {"name": name} | facts | more | {"path": None if folder is None else str(folder)}


def _matching(rows: dict[str, dict[str, Any]], wanted: str) -> dict[str, dict[str, Any]]:
    """The rows that are meant; UsageError when there is none."""
    asked = wanted.lower()
    for field in ("name", "repo"):
        if exact := {name: row for name, row in rows.items() if row[field].lower() == asked}:
            return exact
    language = languages.known(asked)
    found = {name: row for name, row in rows.items() if (_speaks(row, language) if language else _says(row, asked))}
    if not found:
        raise UsageError(f"no encoder matches {wanted!r}; `emocache encoders` lists all {len(rows)}, and any hub id or folder works too")
    return found


def _speaks(row: dict[str, Any], language: str) -> bool:
    """Whether an encoder was trained on a language, or on so many that it may have been."""
    return isinstance(row["languages"], int) or language in row["languages"]


def _says(row: dict[str, Any], asked: str) -> bool:
    """Whether a text stands in a row's name, hub id, family or licence."""
    return any(asked in str(row[field]).lower() for field in ("name", "repo", "family", "licence"))


def _cells(row: dict[str, Any]) -> list[str]:
    """One encoder as cells."""
    numbers = [f"0-{row['layers']}" if row["layers"] else "0", str(row["width"]), str(row["hop"]) if row["hop"] else "-"]
    known = languages.named(row["languages"])
    at_hand = "yes" if row["path"] or not row["repo"] else "no"
    return [row["name"], row["repo"] or "-", row["family"], *numbers, known, row["licence"], at_hand]


def _card(row: dict[str, Any]) -> list[str]:
    """All about one encoder."""
    cells = dict(zip(HEADER, _cells(row), strict=True))
    frames = (
        f"{row['width']} wide, one row per {row['hop']} samples at 16 kHz, each hears {row['receptive']}" if row["hop"] else row["width"]
    )
    paper = row["paper"]
    facts = {
        "encoder": row["name"],
        "hub id": f"{row['repo']} at {row['revision']}" if row["repo"] else "none: computed from samples alone",
        "family": row["family"],
        "layers": cells["layers"],
        "width": frames,
        "languages": cells["languages"],
        "licence": row["licence"],
        "cite": f"{paper['title']}. {paper['venue']} [{paper['key']}]" if paper else "-",
        "weights": row["path"] or (f"not here; `emocache fetch {row['name']}` downloads them" if row["repo"] else "none"),
    }
    return [f"{name:<10}{value}" for name, value in facts.items()]
