"""What of a feature set goes: its small files in one pack, its shards as they are, and digests of their rows."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emocache.errors import CacheError
from emocache.share import policy
from emocache.share.format import Object, SharedSet
from emocache.share.pack import FILE, packed
from emocache.share.shards import Outline, Shard, digest_rows
from emocache.share.staged import lay_out
from emocache.store import Features
from emocache.store.card import read_card
from emocache.store.index import Index, commit_entries, read_index, removed_arrays
from emocache.store.layout import FORMAT, Paths, to_json
from emocache.store.seal import SEALED, sealed


@dataclass(frozen=True)
class Outgoing:
    """One feature set as others will see it. `outlines` are its arrays by 'frames/12', `paths` where its shards lie."""

    name: str
    paths: Paths
    features: Features
    index: Index
    pack: bytes
    outlines: dict[str, Outline]

    @property
    def shards(self) -> dict[str, list[Shard]]:
        """Every shard of every array."""
        return {name: [one for unit in outline.units for one in outline.shards(unit)] for name, outline in self.outlines.items()}

    def of(self, array: str) -> str:
        """What the digests of an array's rows are made of: another one whenever they may be others."""
        level = array.partition("/")[0]
        table = self.index.table(level)
        found = hashlib.sha256(table.start.tobytes() + table.length.tobytes())
        for shard in self.shards[array]:
            found.update(f"{shard.name} {shard.number} {shard.sha256}\n".encode())
        return found.hexdigest()

    def rows(self, array: str) -> bytes:
        """The digests of an array's rows."""
        return digest_rows(self.outlines[array], self.paths, len(self.index.names)).tobytes()

    def described(self, rows: dict[str, Object]) -> SharedSet:
        """What a version says of it."""
        return SharedSet(
            pack=object_of(self.pack),
            rows=rows,
            made_of={array: self.of(array) for array in self.outlines},
            arrays={array: sum(one.size for one in shards) for array, shards in self.shards.items()},
            complete=len(self.features.ids),
            planned=self.features.planned,
            dtype=self.features.card.key.dtype,
        )


def object_of(data: bytes) -> Object:
    """Bytes as an object."""
    return Object(hashlib.sha256(data).hexdigest(), len(data))


def outgoing(paths: Paths, allowed: policy.Allowed, staging: Path) -> Outgoing:
    """A feature set as it is now, less what may not go. CacheError when it holds nothing, or is damaged."""
    name = f"{paths.root.parent.name}/{paths.root.name}"
    if (found := read_card(paths.card).key.format) != FORMAT:
        raise CacheError(f"{name}: has format {found}, and format {FORMAT} alone is passed on; run `emocache migrate {name}` first")
    files = small_files(paths, lambda path: policy.goes(path, allowed), lambda path, data: policy.public_bytes(path, data, allowed))
    features = lay_out(files, staging / name, name)
    index = read_index(features.paths)
    if not index.commits.stored:
        raise CacheError(f"{name}: holds no rows yet; extract it first, or leave it out")
    outlines = {f"{level}/{layer}": Outline(features, index, (level, layer)) for level, layer in sorted(index.commits.stored)}
    return Outgoing(name, Paths(paths.root, features.card.key.format), features, index, packed(files), outlines)


def small_files(paths: Paths, goes: Callable[[PurePosixPath], bool], public: Callable[[PurePosixPath, bytes], bytes]) -> dict[str, bytes]:
    """Card, commit entries and plan as they may go, by their names; the plan last, since units are planned before they are committed."""
    entries = list(commit_entries(paths))
    folders = {path.parent for path in entries}
    gone = {folder: removed_arrays(folder / "removed.json") for folder in folders if (folder / "removed.json").exists()}
    found: dict[str, bytes] = {}
    for path in [paths.card, *entries, *_plan_files(paths)]:
        name = path.relative_to(paths.root)
        pure = PurePosixPath(name.as_posix())
        if not FILE.fullmatch(str(pure)) or not goes(pure):
            continue
        try:
            data = public(pure, path.read_bytes())
        except FileNotFoundError:
            raise CacheError(f"{paths.root}: was changed in this moment; repeat the command") from None
        if path.parent in gone:
            data = _without(data, gone[path.parent])
        if data:
            found[str(pure)] = data
    return found


def _plan_files(paths: Paths) -> Iterable[Path]:
    """Every file of the plan that is in its place."""
    for folder, folders, names in os.walk(paths.root / "plan"):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names))


def _without(data: bytes, arrays: frozenset[str]) -> bytes:
    """A commit entry less arrays that were removed since; nothing where no other is in it."""
    found = {name: value for name, value in json.loads(data).items() if name != SEALED}
    found["arrays"] = {name: about for name, about in found["arrays"].items() if name not in arrays}
    return sealed(to_json(found)).encode() if found["arrays"] else b""
