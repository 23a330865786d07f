"""How long it takes to plan and to open a large feature set: real plan and commit entries, shards that are holes."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from store_cold import drop, drop_everything
from store_data import CORPUS, LAYERS, NAME, card, items

from emocache.store.layout import Level, Paths, to_json
from emocache.store.plan import read_generations
from emocache.store.seal import sealed
from emocache.store.shards import shard_index
from emocache.store.writer import FeatureWriter

LAYER = LAYERS - 1
BATCH = 32
ONCE = Path(__file__).with_name("store_open_once.py")


def plan(root: Path, count: int) -> float:
    """Plan `count` utterances in a new cache; the seconds it took, listing the work to do included."""
    todo = items(count)
    with FeatureWriter(root, CORPUS, NAME, card(todo, LAYERS)) as writer:
        began = time.perf_counter()
        writer.plan(todo, {"frames": range(LAYERS)})
        took = time.perf_counter() - began
    _commit(writer)
    return took


def opened(root: Path, _: int, *, cold: bool, everything: bool) -> dict[str, float]:
    """Open a cache in a process of its own; milliseconds of each step."""
    if cold and everything:
        drop_everything()
    elif cold:
        drop(path for path in root.rglob("*") if path.is_file())
    command = [sys.executable, str(ONCE), str(root), CORPUS, NAME, str(LAYER)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: seconds * 1000 for name, seconds in json.loads(found).items()}


def _commit(writer: FeatureWriter) -> None:
    """Commit entries as they are written for complete units, and for the units of the batch, shards of one layer that are holes."""
    paths, cut = writer.paths, writer.card.cut("frames")
    (generation,) = read_generations(paths)
    rows = generation.rows("frames")
    commits = paths.commits("0")
    commits.mkdir(parents=True)
    for unit, (shard, after) in enumerate(zip(rows.shard[:-1].tolist(), rows.shard[1:].tolist(), strict=True)):
        arrays = {f"frames/{layer}": _about(layer, shard, after) for layer in range(LAYERS)}
        text = sealed(to_json({"arrays": arrays, "failures": {}, "unit": unit}))
        (commits / f"{unit}.json").write_text(text, encoding="utf-8")
    batch = np.random.default_rng(2).choice(len(generation.ids), BATCH, replace=False).tolist()
    _batch(paths.root.parent.parent).write_text(json.dumps([generation.names[i] for i in batch]), encoding="utf-8")
    for unit in {int(generation.unit_of[i]) for i in batch}:
        members = generation.unit_range(unit)
        _hole(paths, cut, int(rows.shard[unit]), int(rows.length[members.start : members.stop].sum()))


def _about(layer: int, shard: int, after: int) -> dict[str, object]:
    """What a commit entry says of one array."""
    sums = {str(number): hashlib.sha256(b"%d %d" % (layer, number)).hexdigest() for number in range(shard, after)}
    return {"dtype": "float16", "wide": False, "largest": 12.3125, "sha256": sums}


def _hole(paths: Paths, cut: Level, shard: int, rows: int) -> None:
    """A shard of zeros that takes no room, with its index."""
    with paths.shard("frames", str(LAYER), shard).open("wb") as file:
        file.seek(-(-rows // cut.chunk_rows) * cut.chunk_rows * cut.dim * 2)
        file.write(shard_index(rows, cut, 2))


def _batch(root: Path) -> Path:
    """The ids of the first batch, beside the cache."""
    return root.with_name(f"{root.name}.json")
