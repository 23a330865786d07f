"""Maps of test embeddings: t-SNE of one fold of one seed, since every fold and seed trains a head with a space of its own."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from heads import stored
from heads.stored import StoredRun

MOST_POINTS = 2000
"""Points of a map; of more, as many are drawn at random."""
FEWEST_POINTS = 10
MOST_MAPS = 6
"""Maps of a run; the first folds are drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """Where the tested utterances of a fold lie: `points` [shown] in 0..1, with their label and speaker; `tested` counts all."""

    fold: str
    seed: int
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...]
    speakers: tuple[str, ...]
    tested: int


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps of a run, and in words what they are and what is not there."""

    maps: tuple[Map, ...]
    about: str


def maps_of(run: StoredRun) -> Maps:
    """The maps of a run's first seed. UsageError where its embeddings do not fit its predictions."""
    values = stored.embeddings(run)
    if values is None:
        return Maps((), f"No map of embeddings: the run folder has no {stored.EMBEDDINGS}.")
    predictions, seed = run.predictions, run.seeds[0]
    folds = list(dict.fromkeys(fold for fold, one in zip(predictions.folds, predictions.seeds, strict=True) if one == seed))
    finite = np.isfinite(values).all(1)
    of = {fold: np.flatnonzero((np.array(predictions.folds) == fold) & (predictions.seeds == seed) & finite) for fold in folds}
    large = [fold for fold in folds if len(of[fold]) >= FEWEST_POINTS]
    bar = tqdm(large[:MOST_MAPS], f"maps of {run.path.name}", unit="map", delay=2)
    drawn = tuple(_map(run, values, fold, of[fold]) for fold in bar)
    about = [f"t-SNE of the head's embeddings of tested utterances, seed {seed}; each fold has trained a head, and so a space, of its own."]
    if missing := int((~finite).sum()):
        about.append(f"{missing} of {len(values)} embeddings are too large for float16, and left out.")
    if len(large) > MOST_MAPS:
        about.append(f"{MOST_MAPS} of {len(large)} folds are shown.")
    if len(large) < len(folds):
        about.append(f"{len(folds) - len(large)} folds have fewer than {FEWEST_POINTS} utterances to draw and no map.")
    about += [
        f"Fold {one.fold}: {len(one.points)} of {one.tested} utterances, drawn at random." for one in drawn if len(one.points) < one.tested
    ]
    return Maps(drawn, " ".join(about))


def _map(run: StoredRun, values: NDArray[np.float16], fold: str, which: NDArray[np.int64]) -> Map:
    """The map of one fold; `which` are its rows."""
    chosen = which
    if len(which) > MOST_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(which, MOST_POINTS, replace=False))
    predictions = run.predictions.take(chosen)
    return Map(
        fold=fold,
        seed=run.seeds[0],
        points=_embedded(np.asarray(values[chosen], dtype=np.float32)),
        labels=tuple(run.classes[number] for number in predictions.truth.tolist()),
        speakers=predictions.speakers,
        tested=len(which),
    )


def _embedded(values: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    """Embeddings [points, dim] in the plane, each axis from 0 to 1. The same values give the same map."""
    from sklearn.manifold import TSNE

    if np.ptp(values, axis=0).max() == 0:
        return ((0.5, 0.5),) * len(values)
    with warnings.catch_warnings():  # that all points may be one is no news to whoever looks at the map
        warnings.simplefilter("ignore")
        plane = TSNE(
            init="pca" if values.shape[1] > 1 else "random", perplexity=min(30, (len(values) - 1) / 3), random_state=0
        ).fit_transform(values)
    scaled = (plane - plane.min(0)) / np.maximum(np.ptp(plane, axis=0), 1e-9)
    return tuple((float(x), float(y)) for x, y in scaled)


def kinds(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different values, sorted, and the number of each value among them."""
    names = sorted({*values})
    number = {name: i for i, name in enumerate(names)}
    return names, [number[value] for value in values]
