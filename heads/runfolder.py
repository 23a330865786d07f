"""The folder of an experiment, `runs/NAME/`: it appears whole or not at all, and never in the place of another experiment.

config.json       everything that decides the numbers, the versions that computed them, and the command
splits.json       the ids of every part, by seed and fold
predictions.csv   id, speaker, fold, seed, label, predicted, and one probability for each class
curves.json       losses and validation UA of every epoch, by seed and fold
result.json       scores, intervals, spread, marks, confusion matrix: what `--json` prints
embeddings.npy    float16 [rows of predictions.csv, width]: each tested utterance before the head's last layer, where it has one
                  (not where folds have layers of other widths: then those in checkpoints/ alone)
checkpoints/      the weights of every run (not with `--no-weights`), and what it needs not to be trained again (finished.py)
tensorboard/      the curves again, as event files: with `--tensorboard`
"""

import contextlib
import csv
import fcntl
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    _check_own(folder, digest, about)
    return folder


def _check_own(folder: Path, digest: str, about: str = CONFIG) -> None:
    """UsageError when a folder is there and holds anything but an earlier run of the experiment with this digest."""
    if not folder.exists():
        return
    try:
        found = json.loads((folder / about).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder}: is there and is no {'run' if about == CONFIG else 'sweep'} of emocache; give another --name") from None
    if found != digest:
        raise UsageError(f"{folder}: holds another experiment ({found[:8]}, this one is {digest[:8]}); give another --name or remove it")


@contextlib.contextmanager
def alone(folder: Path, digest: str) -> Iterator[None]:
    """Keep `runs/NAME` to this training until it is done; UsageError where another is at work on it, or was since `place`."""
    lock = _lock(folder)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: another training is at work on it; wait for it to end, or give another --name") from None
        except OSError:  # a file system without locks: the digest alone keeps two experiments apart
            pass
        try:
            _check_own(folder, digest)
            yield
        finally:
            lock.unlink(missing_ok=True)


def at_work(folder: Path) -> bool:
    """Whether a training is at work on `runs/NAME`."""
    try:
        with _lock(folder).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _lock(folder: Path) -> Path:
    """The file that is locked while a training is at work on `runs/NAME`."""
    return folder.with_name(f".{folder.name}.lock")


def _try_writing(runs: Path) -> None:
    """UsageError now, rather than after hours of training, when nothing can be written."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=runs, prefix=".try."):
            pass
    except OSError as error:
        raise UsageError(f"--runs {runs}: cannot be written ({error.strerror}); give another folder") from None


def write(folder: Path, files: Mapping[str, str], embeddings: NDArray[np.float16] | None = None, checkpoints: Path | None = None) -> None:
    """Write texts by file name, embeddings and what lies in `checkpoints` to a new folder, then put it in the place of an older one.

    What else lies in the older one, such as event files, is kept.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        part.chmod(0o755)  # mkdtemp's own mode would keep the runs from everybody else
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
        if embeddings is not None:
            np.save(part / EMBEDDINGS, embeddings, allow_pickle=False)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if checkpoints and checkpoints.is_dir():
        checkpoints.rename(part / CHECKPOINTS)
    old = part.with_name(f"{part.name}.old")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    if old.exists():
        for kept in old.iterdir():
            if kept.name not in {*files, EMBEDDINGS, CHECKPOINTS}:
                kept.rename(folder / kept.name)
        shutil.rmtree(old, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all, whoever else writes it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
