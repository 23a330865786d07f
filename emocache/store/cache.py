"""A cache, or several that are read as one: corpora and their feature sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emocache import manifest
from emocache.errors import CacheError
from emocache.manifest import MANIFEST
from emocache.places import cache_path, join
from emocache.store.card import read_card
from emocache.store.layered import LayeredFeatures
from emocache.store.layout import MARKER, Paths, check_not_aside, check_root
from emocache.store.reader import Features
from emocache.types import Corpus


def open_cache(path: str | Path | None = None) -> "Cache":
    """The cache in a folder, or those in several with ':' between (by default `places.cache_path()`).

    CacheError where there is none; of several, the last may be one that nothing has been written to yet.
    """
    *below, root = cache_path(path)
    for folder in below:
        if not (folder / MARKER).is_file():
            raise CacheError(f"{folder}: is no emocache (no {MARKER} in it); mount it, or take it out of EMOCACHE_PATH or --cache")
        check_root(folder)
    if not below or (root.exists() and any(root.iterdir())):
        check_root(root)
    return Cache(root, tuple(below))


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of corpora, each with feature sets; `below` are others that are read as well and never written to, the last one first."""

    root: Path
    below: tuple[Path, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders, the one to write to last."""
        return (*self.below, self.root)

    @property
    def path(self) -> Path:
        """What `open_cache` takes to open the same."""
        return join(self.roots)

    def corpora(self) -> list[str]:
        """Corpora that have features here."""
        return sorted({folder.name for root in self.roots for folder in _folders(root) if _names(folder)})

    def names(self, corpus: str) -> list[str]:
        """Names of the feature sets of a corpus."""
        return sorted({name for root in self.roots for name in _names(root / corpus)})

    def features(self, corpus: str, model: str) -> Features:
        """The feature set of that name, or the only one made by the encoder of that name; else the choices are listed."""
        for root in self.roots:
            check_not_aside(Paths(root / corpus / model))
        if corpus not in self.corpora():
            raise CacheError(f"{self.path}: no corpus {corpus!r}; there are: {', '.join(self.corpora()) or 'none'}")
        names = self.names(corpus)
        if model in names:
            return self._named(corpus, model)
        made_by = [name for name in names if self._encoder(corpus, name) == model]
        if len(made_by) == 1:
            return self._named(corpus, made_by[0])
        choices = ", ".join(made_by or names)
        raise CacheError(f"{self.path}: {len(made_by) or 'no'} feature sets {model!r} of {corpus}; choose one of: {choices}")

    def beneath(self, corpus: str, name: str) -> Features | None:
        """What there is of a feature set in the folders that are not written to."""
        return _layered([Features(paths) for paths in self._sets(corpus, name, self.below)])

    def own(self, corpus: str, name: str) -> Features | None:
        """What there is of it in the one that is."""
        return _layered([Features(paths) for paths in self._sets(corpus, name, (self.root,))])

    def corpus(self, name: str) -> Corpus:
        """The corpus as it was when features were last extracted: labels, speakers, folds; where its audio lay is not kept."""
        there = [root for root in self.roots if (root / name / MANIFEST).is_file()]
        return manifest.load(there[-1] if there else self.root, name)

    def _named(self, corpus: str, name: str) -> Features:
        """The feature set of that name, wherever parts of it lie."""
        found = _layered([Features(paths) for paths in self._sets(corpus, name, self.roots)])
        if found is None:
            raise CacheError(f"{self.path}: {corpus}/{name} was removed in this moment; repeat the command")
        return found

    def _sets(self, corpus: str, name: str, roots: Sequence[Path]) -> list[Paths]:
        """Its folders in some caches."""
        return [Paths(root / corpus / name) for root in roots if (root / corpus / name / "card.json").is_file()]

    def _encoder(self, corpus: str, name: str) -> str:
        """What made a feature set."""
        return read_card(self._sets(corpus, name, self.roots)[-1].card).encoder


def _layered(parts: Sequence[Features]) -> Features | None:
    """Parts of one feature set as one."""
    return None if not parts else parts[0] if len(parts) == 1 else LayeredFeatures(parts)


def _names(corpus: Path) -> list[str]:
    """The feature sets in a corpus's folder."""
    return [one.name for one in _folders(corpus) if (one / "card.json").is_file()]


def _folders(root: Path) -> list[Path]:
    """The folders in a folder, less the hidden ones of a rewriting or removal."""
    return [one for one in root.iterdir() if one.is_dir() and not one.name.startswith(".")] if root.is_dir() else []
