"""What of a shared cache is wanted, as it is asked for on the command line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emocache.errors import UsageError
from emocache.layers import matching_layers, parse_layers
from emocache.store import Features
from emocache.store.index import Array
from emocache.types import Utterance


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Corpora and feature sets by name, levels, layers ('all', 'last' or numbers), and utterances; what is empty is not asked."""

    corpora: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    layers: str = "all"
    sessions: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    audio: bool = False

    @property
    def by_utterance(self) -> bool:
        """Whether some utterances alone are wanted."""
        return bool(self.sessions or self.folds or self.ids)


def chosen_sets(wish: Wish, there: Iterable[str], shown: str) -> list[str]:
    """The feature sets (CORPUS/NAME) that are wanted; UsageError for a name that is not there."""
    pairs = [tuple(name.split("/")) for name in sorted(there)]
    for kind, names, at in (("corpus", wish.corpora, 0), ("model", wish.models, 1)):
        known = sorted({pair[at] for pair in pairs})
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"{shown}: no {kind} {unknown[0]!r}; there are: {', '.join(known) or 'none'}")
    found = [f"{corpus}/{name}" for corpus, name in pairs if corpus in (wish.corpora or {corpus}) and name in (wish.models or {name})]
    if not found:
        raise UsageError(f"{shown}: no feature set is of both; `emocache ls {shown}` lists them")
    return found


def wanted_arrays(wish: Wish, features: Features, alone: bool) -> list[Array]:
    """The arrays of a feature set that are wanted. A level or layer that it lacks is a UsageError where it is the only set."""
    levels = features.levels
    if wish.levels:
        levels = tuple(features.find_level(name) for name in wish.levels) if alone else tuple(_there(wish.levels, features.levels))
    layers = parse_layers if alone else matching_layers
    return sorted({(level, layer) for level in levels for layer in layers(wish.layers, features.layers_of(level))})


def check_found(wish: Wish, levels: Iterable[str], found: bool, shown: str) -> None:
    """UsageError when of several feature sets, which have `levels`, none has a level that is wanted, or none of the layers."""
    there = sorted(set(levels))
    if unknown := [name for name in wish.levels if not any(_there([name], there))]:
        raise UsageError(f"{shown}: no feature set has level {unknown[0]!r}; there are: {', '.join(there) or 'none'}")
    if not found:
        raise UsageError(f"{shown}: no feature set has layers {wish.layers} of what is asked for; `emocache ls {shown}` lists them")


def _there(names: Sequence[str], levels: Sequence[str]) -> Iterable[str]:
    """The levels that are asked for by name or by kind."""
    return (level for level in levels if level in names or level.partition("@")[0] in names)


def wanted_ids(wish: Wish, utterances: Sequence[Utterance], corpus: str, *, alone: bool) -> set[str] | None:
    """The utterances of a corpus that are wanted; None for all. UsageError for a session, fold or id that it has not."""
    if not wish.by_utterance:
        return None
    known: Mapping[str, set[str]] = {
        "session": {one.session for one in utterances if one.session}, "fold": {one.fold for one in utterances if one.fold},
        "utterance": {one.id for one in utterances},
    }  # fmt: skip
    asked = {"session": set(wish.sessions), "fold": set(wish.folds), "utterance": set(wish.ids)}
    for kind, names in asked.items():
        if alone and (unknown := names - known[kind]):
            listed = ", ".join(sorted(known[kind])[:20])
            raise UsageError(f"{corpus}: no {kind} {min(unknown)!r} ({len(unknown)} are not there); there are: {listed or 'none'}")
    found = {one.id for one in utterances}
    for kind, names in asked.items():
        field = {"session": "session", "fold": "fold", "utterance": "id"}[kind]
        found &= {one.id for one in utterances if not names or getattr(one, field) in names}
    return found
