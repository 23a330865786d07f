"""Event files for TensorBoard hold the curves; without it, the option is refused before any training."""

import contextlib
import importlib
from pathlib import Path
from typing import Any

import pytest

from emocache.errors import UsageError
from heads import stored, tensorboard
from tests.heads.toy_runs import guesses, write


def test_the_curves_can_be_read_back_from_the_event_files(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed")
    run = write(tmp_path / "a", guesses(right=0.5, seeds=(0,)))
    root = tensorboard.write(run, stored.curves(run))
    assert sorted(path.name for path in root.iterdir()) == [f"fold-Ses{session}-seed-0" for session in (1, 2, 3)]
    events = accumulator.EventAccumulator(str(root / "fold-Ses1-seed-0"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss/validation")] == [(n, pytest.approx(1.2 / n)) for n in range(1, 5)]
    assert [one.value for one in events.Scalars("chosen epoch")] == [3]


def test_a_fold_of_any_name_stays_in_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Writer(contextlib.nullcontext["Writer"]):
        def __init__(self, folder: str) -> None:
            made.append(folder)
            super().__init__(self)

        def add_scalar(self, *_: object) -> None:
            pass

    monkeypatch.setattr(tensorboard, "writer", lambda: Writer)
    root = tensorboard.write(tmp_path, [stored.Curve("../../../elsewhere", 0, 1, (1.0,), (1.0,))])
    assert [Path(folder).resolve().parent for folder in made] == [root.resolve()]


def test_without_tensorboard_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r'pip install "emocache\[tensorboard\]"'):
        tensorboard.writer()
