"""The folder of an experiment, `runs/NAME/`: it appears whole or not at all, and never in the place of another experiment.

config.json       everything that decides the numbers, and the versions that computed them
splits.json       the ids of every part, by seed and fold
predictions.csv   id, speaker, fold, seed, label, predicted, and one probability for each class
curves.json       losses and validation UA of every epoch, by seed and fold
result.json       scores, intervals, confusion matrix: what `--json` prints
embeddings.npy    float16 [rows of predictions.csv, width]: each tested utterance before the head's last layer, where it has one
                  (not where folds have layers of other widths: then those in checkpoints/ alone)
checkpoints/      the weights of every run, and what it needs not to be trained again (finished.py)
"""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from emocache.places import plain_name

CONFIG = "config.json"
RESULT = "result.json"
EMBEDDINGS = "embeddings.npy"
CHECKPOINTS = "checkpoints"


def place(runs: Path, name: str, digest: str, about: str = CONFIG) -> Path:
    """`runs/NAME`. UsageError when that cannot be, or holds anything but an earlier run of the experiment with this digest.

    `about` is the file that says the digest.
    """
    folder = runs / plain_name(name, "--name")
    _try_writing(runs)
    if not folder.exists():
        return folder
    try:
        found = json.loads((folder / about).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder}: is there and is no {'run' if about == CONFIG else 'sweep'} of emocache; give another --name") from None
    if found != digest:
        raise UsageError(f"{folder}: holds another experiment ({found[:8]}, this one is {digest[:8]}); give another --name or remove it")
    return folder


def _try_writing(runs: Path) -> None:
    """UsageError now, rather than after hours of training, when nothing can be written."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=runs, prefix=".try."):
            pass
    except OSError as error:
        raise UsageError(f"--runs {runs}: cannot be written ({error.strerror}); give another folder") from None


def write(folder: Path, files: Mapping[str, str], embeddings: NDArray[np.float16] | None, checkpoints: Path) -> None:
    """Write texts by file name, embeddings and what lies in `checkpoints` to a new folder, then put it in the place of an older one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    part.chmod(0o755)  # mkdtemp's own mode would keep the runs from everybody else
    for name, text in files.items():
        (part / name).write_text(text, encoding="utf-8")
    if embeddings is not None:
        np.save(part / EMBEDDINGS, embeddings, allow_pickle=False)
    if checkpoints.is_dir():
        checkpoints.rename(part / CHECKPOINTS)
    old = part.with_name(f"{part.name}.old")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all, whoever else writes it."""
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
    Path(part).chmod(0o644)
    Path(part).replace(path)


def to_json(value: object) -> str:
    """Indented JSON; whatever JSON does not know is written as text."""
    return json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n"


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return sink.getvalue()
