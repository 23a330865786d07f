"""What is wrong with a feature set, file by file, and which commit entries that condemns."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emocache.care.litter import Litter
from emocache.errors import EmocacheError
from emocache.store.index import Array
from emocache.store.layout import Paths

Entry = tuple[str, int]
"""A commit entry: (folder, unit)."""
Kind = Literal["card", "generation", "level", "entry", "removed", "zarr", "audio", "encoding"]
"""What is damaged: card, plan of a generation, plan of a level, a commit entry (itself or its rows),
`removed.json`, `zarr.json`; or what does not agree with the audio or with a second encoding.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that is not as it should be; `entries` can no longer be believed because of it."""

    kind: Kind
    path: Path
    what: str
    entries: frozenset[Entry] = frozenset()


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one feature set; `units` is how many have anything committed, `size` the bytes that were read.

    `arrays` are those that anything was asked to be extracted of.
    """

    paths: Paths
    units: int = 0
    size: int = 0
    findings: tuple[Finding, ...] = ()
    litter: tuple[Litter, ...] = ()
    arrays: frozenset[Array] = frozenset()

    @property
    def name(self) -> str:
        """CORPUS/FEATURES."""
        return f"{self.paths.root.parent.name}/{self.paths.root.name}"

    @property
    def condemned(self) -> frozenset[int]:
        """Units that have to be made again."""
        return frozenset(unit for finding in self.findings for _, unit in finding.entries)

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of some kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]

    def where(self, finding: Finding) -> str:
        """The file of a finding, as seen from the feature set; what does not agree with something outside is named by that."""
        if finding.kind in {"audio", "encoding"}:
            return finding.kind
        return str(finding.path.relative_to(self.paths.root)) if finding.path.is_relative_to(self.paths.root) else str(finding.path)


def reason(error: EmocacheError | OSError, path: Path) -> str:
    """What an error says of a file, without its path and without what to do."""
    text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return text.removeprefix(f"{path}: ").partition("; ")[0]


def entries_of(commits: Iterable[Entry], units: Iterable[int]) -> frozenset[Entry]:
    """The commit entries of some units."""
    wanted = frozenset(units)
    return frozenset(entry for entry in commits if entry[1] in wanted)
