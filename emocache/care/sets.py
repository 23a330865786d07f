"""Feature sets by the names that a user gives them, damaged ones too."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from emocache.care.findings import reason
from emocache.errors import CacheError, NewerFormat
from emocache.files import write_whole
from emocache.places import plain_name
from emocache.store.layout import FORMAT, MARKER, Paths, check_root, to_json

PARTS = ("card.json", "plan", "commits", "features.zarr")
"""A folder that holds any of these is, or was, a feature set."""


def find_sets(root: Path, names: Sequence[str] = ()) -> list[Paths]:
    """The feature sets called CORPUS/FEATURES, all of CORPUS, or by default all; CacheError for a name that is not there.

    Those of which only the hidden copies of an interrupted rewriting are there are among them.
    """
    found: dict[Path, Paths] = {}
    for name in names or _corpora(root):
        corpus, slash, features = name.partition("/")
        there = list(sets_of(root / plain_name(corpus, "corpus")))
        chosen = [paths for paths in there if not slash or paths.root.name == features]
        if names and not chosen:
            choices = [f"{corpus}/{paths.root.name}" for paths in there] or _corpora(root)
            raise CacheError(f"{root}: holds no {name!r}; there are: {', '.join(choices) or 'none'}")
        found |= {paths.root: paths for paths in chosen}
    return list(found.values())


def check_no_links(sets: Sequence[Paths]) -> None:
    """CacheError for a feature set, or a corpus, that is a link: what is behind it would neither be removed nor rewritten."""
    for paths in sets:
        for folder in (paths.root, paths.root.parent):
            if folder.is_symlink():
                raise CacheError(f"{folder}: is a link to {folder.resolve()}; run the command on the cache that holds it")


def marker_fault(root: Path) -> str | None:
    """What is wrong with the file that says that this is a cache; CacheError when it is none, or a newer one."""
    if not (root / MARKER).is_file():
        check_root(root)
    try:
        check_root(root)
    except NewerFormat:
        raise
    except CacheError as error:
        return reason(error, root / MARKER)
    return None


def mend_marker(root: Path) -> None:
    """Write it anew."""
    write_whole(root / MARKER, to_json({"format": FORMAT}))


def _corpora(root: Path) -> list[str]:
    """The corpora of a cache."""
    return [folder.name for folder in sorted(root.iterdir()) if not folder.name.startswith(".") and any(sets_of(folder))]


def sets_of(corpus: Path) -> Iterator[Paths]:
    """The feature sets of a corpus."""
    folders = sorted(path for path in corpus.iterdir() if path.is_dir()) if corpus.is_dir() else []
    names = {path.name for path in folders if not path.name.startswith(".") and any((path / part).exists() for part in PARTS)}
    hidden = [path for path in folders if path.name.startswith(".") and path.suffix in {".old", ".rewrite"}]
    yield from (Paths(corpus / name) for name in sorted(names | {path.stem[1:] for path in hidden}))
