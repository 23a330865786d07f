"""What has come of one feature set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emocache.share.fetch import Rows
from emocache.share.shards import Outline
from emocache.store import Features
from emocache.store.index import Array, Index


@dataclass(frozen=True)
class Arrival:
    """What has come of one feature set: its plan and commits, the units that came whole, and rows.

    `alike`: the plan that is here, if any, is the same as far as both go. `objects` is the folder that shards lie in by their
    SHA-256; `groups` says of utterances what a user may want alone later.
    """

    features: Features
    index: Index
    outlines: Mapping[Array, Outline]
    whole: Mapping[Array, Sequence[int]]
    rows: Sequence[Rows]
    alike: bool
    objects: Path
    groups: Mapping[str, str]
