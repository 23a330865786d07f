"""Opens one cache once in a process that has imported nothing else; prints the seconds of each step as JSON.

python benchmarks/store_open_once.py FOLDER CORPUS NAME LAYER    beside the folder lies FOLDER.json, the ids of a first batch
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emocache.store import open_cache


def main(root: Path, corpus: str, name: str, layer: str) -> None:
    """Open, read a first batch, list the ids."""
    took: dict[str, float] = {}
    ids = json.loads(root.with_name(f"{root.name}.json").read_text(encoding="utf-8"))
    with timed(took, "open"):
        features = open_cache(root).features(corpus, name)
    with timed(took, "first batch"):
        features.read_many(ids, features.native, [int(layer)])
    with timed(took, "ids"):
        len(features.ids)
    print(json.dumps(took))


@contextmanager
def timed(took: dict[str, float], name: str) -> Iterator[None]:
    """Note how long something takes."""
    began = time.perf_counter()
    yield
    took[name] = time.perf_counter() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
