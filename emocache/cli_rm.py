"""`emocache rm`: what is to go, whether it may, and how much that frees."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from emocache import places, show
from emocache.errors import UsageError
from emocache.files import read_ids
from emocache.manifest import MANIFEST
from emocache.options import CacheOption, JsonOption, cache_of, name_of

EXAMPLES = (
    "emocache rm iemocap/hubert-base",
    "emocache rm iemocap/hubert-large --levels frames --layers 0,1,2 --yes",
    "emocache rm iemocap --ids-from withdrawn.txt",
)


def rm(
    name: Annotated[str, typer.Argument(metavar="CORPUS[/FEATURES]", help="As `emocache ls` names them.")],
    ids_from: Annotated[Path | None, typer.Option("--ids-from", help="Only these utterances: a file with one id a line.")] = None,
    levels: Annotated[str | None, typer.Option(help="Only these levels, such as frames,utterance.")] = None,
    layers: Annotated[str | None, typer.Option(help="Only these layers: last, or numbers such as 0-3,6.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a corpus or feature set from the cache, or some utterances, levels or layers. A later extraction makes them again."""
    root = cache_of(cache)
    if ids_from is not None and (levels or layers):
        raise UsageError("--ids-from and --levels or --layers exclude each other; run the command twice")
    if ids_from is not None:
        done = _remove_utterances(root, name, ids_from, yes)
    elif levels or layers:
        done = _remove_arrays(root, name, [level.strip() for level in levels.split(",")] if levels else [], layers or "all", yes)
    else:
        done = _remove_all(root, name, yes)
    if as_json:
        typer.echo(json.dumps(done))
        return
    typer.echo(f"removed {done['what']}: {show.size(done['freed'])} freed")
    if done["later"]:
        typer.echo(f"their rows ({show.size(done['later'])}) lie in shards with others; `emocache gc {name} --compact` frees them")


def _remove_all(root: Path, name: str, yes: bool) -> dict[str, Any]:
    """Remove a feature set or a corpus."""
    from emocache.care.litter import size_of
    from emocache.care.remove import remove_sets
    from emocache.care.sets import check_no_links, find_sets, sets_of

    corpus = root / places.plain_name(name.partition("/")[0], "corpus")
    bare = "/" not in name and (corpus / MANIFEST).is_file() and not any(sets_of(corpus))
    sets = [] if bare else find_sets(root, [name])
    check_no_links(sets)
    folder = root / name
    freed = size_of(folder)
    _confirm(f"{name} ({', '.join([*(name_of(paths) for paths in sets), show.size(freed)])})", yes)
    remove_sets(folder, sets)
    return {"what": name, "freed": freed, "later": 0}


def _remove_utterances(root: Path, name: str, file: Path, yes: bool) -> dict[str, Any]:
    """Remove utterances from every feature set that holds them."""
    from emocache.care.remove import remove_utterances
    from emocache.care.sets import find_sets
    from emocache.care.usage import held_bytes

    ids = read_ids(file)
    held = {paths: held_bytes(paths, ids) for paths in find_sets(root, [name])}
    known = {one for found in held.values() for one in found}
    if unknown := [one for one in ids if one not in known]:
        raise UsageError(f"{file}: {len(unknown)} of {len(ids)} utterances are not in {name}, first {unknown[0]!r}; nothing was removed")
    _confirm(f"{len(ids)} utterances from {', '.join(name_of(paths) for paths, found in held.items() if found)}", yes)
    for paths, found in held.items():
        if found:
            remove_utterances(paths, list(found))
    return {"what": f"{len(ids)} utterances of {name}", "freed": 0, "later": sum(sum(found.values()) for found in held.values())}


def _remove_arrays(root: Path, name: str, levels: Sequence[str], layers: str, yes: bool) -> dict[str, Any]:
    """Remove levels or layers."""
    from emocache.care.litter import size_of
    from emocache.care.remove import choose_arrays, folders_of, remove_arrays
    from emocache.care.sets import find_sets
    from emocache.store.index import read_index

    chosen = {paths: choose_arrays(paths, read_index(paths), levels, layers) for paths in find_sets(root, [name])}
    freed = sum(size_of(folder) for paths, arrays in chosen.items() for folder in folders_of(paths, arrays))
    what = "; ".join(f"{', '.join(f'{level}/{layer}' for level, layer in arrays)} of {name_of(paths)}" for paths, arrays in chosen.items())
    _confirm(f"{what} ({show.size(freed)})", yes)
    for paths, arrays in chosen.items():
        remove_arrays(paths, arrays)
    return {"what": what, "freed": freed, "later": 0}


def _confirm(what: str, yes: bool) -> None:
    """Ask before something is removed; UsageError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"this would remove {what}; there is no terminal to ask on, so say --yes")
    typer.confirm(f"remove {what}?", abort=True, err=True)
