"""What is in a feature set: generations of utterances and the commits that say which of their rows are there."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emocache.errors import CacheError
from emocache.store.layout import Paths, array_name, read_json
from emocache.store.plan import Generation, read_generations

Array = tuple[str, int]
"""One array of a feature set: (level, layer)."""
SUPERSEDED = "superseded"
"""Why a commit has no rows of an utterance: a newer generation holds it."""


@dataclass(frozen=True)
class Index:
    """A snapshot of plan and commits.

    `stored` maps an array and a unit to the name of the Zarr array that holds it ('12', or '12.float32' where float16
    would have overflowed); `failed` maps an array to the (unit, id) pairs that a commit lists as failed, with the reason.
    """

    generations: list[Generation]
    stored: dict[Array, dict[int, str]] = field(default_factory=dict)
    failed: dict[Array, dict[tuple[int, str], str]] = field(default_factory=dict)
    commits: dict[tuple[str, int], str] = field(default_factory=dict)

    @cached_property
    def newest(self) -> dict[str, tuple[int, int]]:
        """Id -> (generation, position) where it was planned last."""
        return {name: (g.number, i) for g in self.generations for i, name in enumerate(g.names)}

    @cached_property
    def places(self) -> dict[str, list[tuple[int, int]]]:
        """Id -> every (generation, position), newest first."""
        places: dict[str, list[tuple[int, int]]] = {}
        for generation in reversed(self.generations):
            for i, name in enumerate(generation.names):
                places.setdefault(name, []).append((generation.number, i))
        return places

    def holds(self, array: Array, place: tuple[int, int]) -> bool:
        """Whether the rows of one planned utterance are committed in an array."""
        generation = self.generations[place[0]]
        unit = int(generation.unit_of[place[1]])
        failed = self.failed.get(array, {})
        return unit in self.stored.get(array, {}) and (unit, generation.names[place[1]]) not in failed

    def find(self, array: Array, name: str) -> tuple[int, int] | None:
        """Where the newest committed rows of an utterance are in an array; rows of an input that has changed since do not count."""
        places = self.places.get(name, ())
        wanted = {self._digest(place) for place in places[:1]}
        return next((place for place in places if self._digest(place) in wanted and self.holds(array, place)), None)

    def _digest(self, place: tuple[int, int]) -> str:
        """What a planned utterance was to be made from."""
        return self.generations[place[0]].digest(place[1])

    @cached_property
    def digest(self) -> str:
        """Changes with whatever is committed: SHA-256 over all commit entries."""
        lines = sorted(f"{pass_id}/{unit} {digest}" for (pass_id, unit), digest in self.commits.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_index(paths: Paths) -> Index:
    """Read plan and commits of a feature set."""
    index = Index(read_generations(paths))
    root = paths.root / "commits"
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        for path in sorted(folder.glob("[0-9]*.json")):
            entry = read_json(path)
            unit = int(path.stem)
            index.commits[folder.name, unit] = hashlib.sha256(path.read_bytes()).hexdigest()
            _add(index, unit, entry, str(path))
    return index


def _add(index: Index, unit: int, entry: Mapping[str, Any], where: str) -> None:
    """Enter one commit."""
    try:
        for name, shard in entry["arrays"].items():
            level, layer = name.split("/")
            array = (level, int(layer))
            index.stored.setdefault(array, {})[unit] = array_name(int(layer), wide=bool(shard["wide"]))
            for failed, reason in entry["failures"].items():
                index.failed.setdefault(array, {})[unit, failed] = reason
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise CacheError(f"{where}: not a commit entry ({error!r}); delete it to have its unit extracted again") from None


def arrays_of(wanted: Mapping[str, Iterable[int]]) -> list[Array]:
    """Level -> layers as a sorted list of arrays."""
    return sorted((level, layer) for level, layers in wanted.items() for layer in layers)
