"""What is asked for of a paper's table, and the experiment of each row, as far as the cache has what they need."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import heads
from emocache import manifest
from emocache.errors import CacheError, UsageError
from emocache.places import cache_path
from emocache.store import Cache, open_cache
from emocache.store.layout import MARKER, SOURCE
from heads import lacking
from heads.config import Training, override
from heads.plan import Experiment, Plan, plan
from heads.recipes.recipe import CELLS, Recipe, Row, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for. `encoders` maps the paper's names to feature sets of ours.

    `alignment`, `protocol` and `settings` of the heads replace the paper's.
    """

    recipe: Recipe
    corpus: str
    encoders: Mapping[str, str]
    rows: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    max_epochs: int | None = None
    cells: int = CELLS
    """Cells that a recurrent search tries."""
    alignment: str | None = None
    protocol: str | None = None
    select: str = "validation"
    test_text: str | None = None
    """Features of other transcripts, for the rows that are predicted with such."""
    runs: Path = Path("runs")
    data: Path = Path("data")
    cache: Path = Path("cache")
    device: str | None = None
    allow_counts: bool = False
    allow_missing: bool = False
    no_weights: bool = False

    def settings_of(self, row: Row) -> tuple[str, ...]:
        """The settings asked for that the head of a row has, or one that it combines."""
        names = {one.name for trained in self.recipe.trained(row) for one in fields(heads.head(trained.head).Config)}
        return tuple(one for one in self.settings if one.partition("=")[0] in names)

    def encoder(self, source: Source) -> str:
        """Our feature set for an input."""
        return self.encoders.get(source.encoder, source.encoder)

    def level(self, source: Source) -> str:
        """Our level for an input."""
        kind, at, paper = source.level.partition(SOURCE)
        return f"{kind}{at}{self.alignment or paper}" if at else kind


def asked_of(wish: Wish, recipes: Sequence[Recipe]) -> list[Wish]:
    """The same wish of each of several recipes, on its own corpus where none is named, with those of the rows that it has.

    UsageError for a row that none has.
    """
    known = [row.name for recipe in recipes for row in recipe.rows]
    if unknown := [name for name in wish.rows if name not in known]:
        raise UsageError(f"--rows {unknown[0]}: no such row; there are: {', '.join(known)}")
    found = [
        replace(wish, recipe=one, corpus=wish.corpus or one.corpus, rows=tuple(row.name for row in one.rows if row.name in wish.rows))
        for one in recipes
    ]
    return [one for one in found if one.rows or not wish.rows]


def plans(wish: Wish) -> dict[str, Plan]:
    """The experiment of every row that is asked for and has a head, by the row's name.

    Raises UsageError for names that are not the recipe's, and CacheError that lists the commands which make what is lacking.
    """
    check_names(wish)
    recipe = wish.recipe
    picked = [row for row in recipe.pick(wish.rows) if built(recipe, row)]
    if not picked:
        raise UsageError(f"{recipe.name}: no head of these rows is built yet; there are: {', '.join(heads.HEADS)}")
    trained = {one.name: one for row in _with_text(wish, picked) for one in recipe.trained(row)}
    _check_settings(wish, list(trained.values()))
    if wish.no_weights and (searched := [row.name for row in trained.values() if row.search == "spectrogram"]):
        raise UsageError(f"--no-weights: the cells of {', '.join(searched)} are read from the weights of a search; leave it out")
    check_features(wish, list(trained.values()))
    cache = open_cache(wish.cache)
    return {name: plan(experiment_of(wish, row), cache) for name, row in trained.items()}


def _with_text(wish: Wish, rows: Sequence[Row]) -> list[Row]:
    """The rows that there is text for; UsageError where that leaves none, or there is text that none takes."""
    found = [row for row in rows if wish.test_text or not row.other_text]
    if not found:
        raise UsageError(f"{wish.recipe.name}: these rows need --test-text CORPUS/NAME, features of other transcripts")
    if wish.test_text and not any(row.other_text for row in found):
        raise UsageError(f"--test-text {wish.test_text}: no row of these is predicted with other transcripts")
    return found


def built(recipe: Recipe, row: Row) -> bool:
    """Whether there is a head for a row, or for all that it combines."""
    return all(one.head in heads.HEADS for one in recipe.trained(row))


def check_names(wish: Wish) -> None:
    """UsageError for an encoder that the paper does not have."""
    if unknown := [name for name in wish.encoders if name not in wish.recipe.encoders]:
        raise UsageError(f"--encoders {unknown[0]}=...: {wish.recipe.name} has the encoders {', '.join(wish.recipe.encoders)}")


def _check_settings(wish: Wish, rows: Sequence[Row]) -> None:
    """UsageError for a setting that no head of these rows has."""
    if unknown := [one for one in wish.settings if not any(one in wish.settings_of(row) for row in rows)]:
        override(heads.head(rows[0].head).Config(), unknown)  # says what there is


def check_features(wish: Wish, rows: Sequence[Row]) -> None:
    """CacheError with one command a line when the cache lacks anything that the rows need."""
    cache = open_cache(wish.cache) if any((root / MARKER).is_file() for root in cache_path(wish.cache)) else None
    needed: dict[str, list[str]] = {}
    for source in dict.fromkeys(source for row in rows for source in row.sources):
        needed.setdefault(wish.encoder(source), []).append(wish.level(source))
    if commands := lacking.commands(cache, wish.corpus, needed, _ids(wish, cache), wish.recipe.layers):
        where = shlex.join(["--data", str(wish.data), "--cache", str(wish.cache)])
        listed = "\n".join(f"  {command} {where}" for command in commands)
        raise CacheError(
            f"{wish.corpus}: the cache lacks what {wish.recipe.name} needs; run, or name other features with --encoders:\n{listed}"
        )


def _ids(wish: Wish, cache: Cache | None) -> list[str]:
    """The utterances that have an emotion; UsageError where the corpus is not prepared."""
    if wish.corpus in manifest.names(wish.data):
        corpus = manifest.load(wish.data, wish.corpus)
    elif cache and wish.corpus in cache.corpora():
        corpus = cache.corpus(wish.corpus)
    else:
        raise UsageError(f"no corpus {wish.corpus!r} in {wish.data} or the cache; run `emocache prepare`, or name another with --corpus")
    return [utterance.id for utterance in corpus.utterances if utterance.emotion]


def experiment_of(wish: Wish, row: Row) -> Experiment:
    """The experiment of a row."""
    epochs = override(config_of(row), wish.settings_of(row)).epochs
    shorter = (f"epochs={wish.max_epochs}",) if wish.max_epochs is not None and wish.max_epochs < epochs else ()
    return Experiment(
        head=row.head,
        corpus=wish.corpus,
        encoders=tuple(wish.encoder(source) for source in row.sources),
        levels=tuple(wish.level(source) for source in row.sources),
        layers=wish.recipe.layers,
        protocol=wish.protocol or wish.recipe.protocol_of(row),
        seeds=wish.seeds or wish.recipe.seeds,
        settings=(*row.settings, *wish.settings_of(row), *shorter),
        select=wish.select,
        test_text=wish.test_text if row.other_text else None,
        runs=wish.runs,
        data=wish.data,
        cache=wish.cache,
        device=wish.device,
        allow_counts=wish.allow_counts,
        allow_missing=wish.allow_missing,
        no_weights=wish.no_weights,
    )


def config_of(row: Row) -> Training:
    """The configuration of a row as the recipe has it."""
    return override(heads.head(row.head).Config(), row.settings)
