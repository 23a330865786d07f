"""One of the processes of --jobs: trains its share of the runs and leaves them in the folder of finished ones. See `jobs`."""

import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from emocache.devices import pick_device
from emocache.errors import EmocacheError, ProtocolError
from emocache.store import open_cache
from heads.experiment import examples_of, grid_of, searched
from heads.plan import Experiment, plan


def main() -> None:
    """Do what the first line of standard input says; an error is one line and exit code 2."""
    about: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(about)
    except EmocacheError as error:
        sys.exit(f"emocache: {error}")


def work(about: Mapping[str, Any]) -> None:
    """Train every stack whose number leaves the rest `share[0]` when divided by `share[1]`."""
    ask = experiment_of(about["ask"])
    planned = plan(ask, open_cache(about["cache"]))
    if planned.digest != about["digest"]:
        raise ProtocolError(f"{ask.corpus}: the corpus or the cache changed while the run began; run it again")
    device = pick_device(ask.device)
    grid = grid_of(planned, examples_of(planned, device, quiet=True), device)
    first, jobs = about["share"]
    grid.train(searched(planned), quiet=True, stacks=grid.stacks()[first::jobs])


def experiment_of(values: Mapping[str, Any]) -> Experiment:
    """An experiment from JSON, in which tuples are lists and paths are texts."""
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    paths = {field.name: Path(known[field.name]) for field in fields(Experiment) if field.type is Path}
    return Experiment(**known | paths)


def _end_with_parent() -> None:
    """End at once when the parent has closed our standard input; what is finished is whole on the disk."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
