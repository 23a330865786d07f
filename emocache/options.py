"""Options that several commands share, and how they go through the feature sets that they are given."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from emocache import manifest, places
from emocache.errors import CacheError, EmocacheError, UsageError
from emocache.places import CACHE_HELP

if TYPE_CHECKING:
    from emocache.store.layout import Paths
    from emocache.types import Corpus

T = TypeVar("T")

CacheOption = Annotated[Path | None, typer.Option("--cache", help=CACHE_HELP)]
DataOption = Annotated[Path, typer.Option("--data", help="Folder of prepared corpora.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
AllArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[CORPUS[/FEATURES]]...", help="As `emocache ls` names them (default: all in the cache).")
]


def names_of(data: Path, name: str | None, every: bool) -> list[str]:
    """The names of the prepared corpora that --corpus and --all mean; without either, that of the only one that there is."""
    known = manifest.names(data)
    if not known:
        raise UsageError(f"no prepared corpus in {data}; run `emocache prepare` first, or give --data")
    if name is not None and every:
        raise UsageError(f"--corpus {name} and --all exclude each other; give one")
    if name is None and not every and len(known) > 1:
        raise UsageError(f"{data} holds {', '.join(known)}; say which with --corpus, or --all")
    return known if name is None else [name]


def corpora_of(data: Path, name: str | None, every: bool) -> Iterator["Corpus"]:
    """The corpora of those names."""
    yield from (manifest.load(data, one) for one in names_of(data, name, every))


def root_of(cache: Path | None) -> Path:
    """The folder of the cache that is written to, whatever is in it."""
    root = places.cache_path(cache)[-1]
    places.open_to_group(root)
    return root


def cache_of(cache: Path | None) -> Path:
    """The folder of the cache that is written to; CacheError when it is none."""
    from emocache.store.layout import check_root

    root = root_of(cache)
    check_root(root)
    return root


def roots_of(cache: Path | None, *, sound: bool = True) -> tuple[Path, ...]:
    """The folders of all caches that are read; CacheError when one is none, but a single one is not looked at unless `sound`."""
    from emocache.store import open_cache

    found = places.cache_path(cache)
    if len(found) == 1 and not sound:
        return found
    return tuple(root for root in open_cache(cache).roots if root.exists())


def sets_in(roots: Sequence[Path], names: Sequence[str]) -> "dict[Path, list[Paths]]":
    """The feature sets of these names (by default all) in each of several caches; CacheError for one that is in none."""
    from emocache.care.sets import find_sets

    if not names:
        return {root: find_sets(root) for root in roots}
    found: dict[Path, list[Paths]] = {root: [] for root in roots}
    for name in names:
        refused: CacheError | None = None
        for root in roots:
            try:
                found[root] += find_sets(root, [name])
            except CacheError as error:
                refused = error
        if refused and not any(name in {paths.root.parent.name, name_of(paths)} for sets in found.values() for paths in sets):
            raise refused
    return found


def each_of(sets: "Sequence[Paths]", work: "Callable[[Paths], T]") -> tuple[list[T], bool]:
    """What came of each feature set, and whether some were refused; a single one is refused by its error."""
    done: list[T] = []
    failed = False
    for paths in sets:
        try:
            done.append(work(paths))
        except EmocacheError as error:
            if len(sets) == 1:
                raise
            say(f"emocache: {error}")
            failed = True
    return done, failed


def name_of(paths: "Paths") -> str:
    """CORPUS/FEATURES."""
    return f"{paths.root.parent.name}/{paths.root.name}"


def say(text: str) -> None:
    """A line of progress."""
    typer.echo(text, err=True)
