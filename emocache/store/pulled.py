"""Where a feature set was pulled from, and what more there is: `pulled.json` beside its card."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from emocache.errors import CacheError
from emocache.files import write_whole
from emocache.store.layout import read_sealed, to_json
from emocache.store.seal import sealed

PULLED = "pulled.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """The source with its version, without anything secret; its layers by level, and its utterances."""

    source: str
    arrays: Mapping[str, list[int]]
    utterances: int

    def command(self, corpus: str, name: str) -> str:
        """What brings the rest."""
        return shlex.join(["emocache", "pull", self.source, "--corpus", corpus, "--model", name])


def read_pulled(root: Path) -> Pulled | None:
    """What stands beside the card in a feature set's folder; None where it was not pulled, or nobody can read it any more."""
    try:
        found = read_sealed(root / PULLED)
        arrays = {str(level): [int(layer) for layer in layers] for level, layers in found["arrays"].items()}
        return Pulled(source=str(found["source"]), arrays=arrays, utterances=int(found["utterances"]))
    except (CacheError, KeyError, TypeError, ValueError, AttributeError):
        return None


def write_pulled(root: Path, pulled: Pulled) -> None:
    """Write it, or replace it."""
    write_whole(root / PULLED, sealed(to_json(asdict(pulled))))
