"""Run folders read back: what is damaged or foreign is named with its file and line."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from emocache.errors import UsageError
from heads import stored
from tests.heads.toy_runs import guesses, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "runs" / "a", guesses(right=0.5), embeddings=True)


def test_a_run_is_read_as_it_was_written(folder: Path) -> None:
    run = stored.read(folder)
    rows = guesses(right=0.5)
    assert (run.head, run.seeds, run.encoders, run.name) == ("linear", (0, 1), ("enc",), "a")
    assert list(run.predictions.ids) == [row[0] for row in rows]
    assert [run.classes[number] for number in run.predictions.predicted] == [row[5] for row in rows]
    assert len(stored.curves(folder)) == 6
    values = stored.embeddings(run)
    assert values is not None
    assert values.shape == (len(rows), 8)


@pytest.mark.parametrize("name", ["result.json", "predictions.csv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UsageError, match=rf"{name}: is missing, so .*a is no whole run"):
        stored.read(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", "config.json: is no JSON"),
        ("config.json", "{}", "lacks 'classes'"),
        ("config.json", "[" * 100_000, "config.json: is no JSON"),
        ("config.json", "[]", "is not as a run writes it"),
        ("result.json", "{}", "lacks 'encoders'"),
        ("predictions.csv", "id,label\n", "predictions.csv: line 1: expected the columns id, speaker, fold, seed"),
        ("predictions.csv", "\x00\xff", "line 1: expected the columns"),
    ],
)
def test_a_foreign_file_is_named(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        stored.read(folder)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("config.json", {"inputs": None}), ("config.json", {"inputs": "abc"}), ("config.json", {"inputs": [{"encoder": "x"}]}),
        ("config.json", {"config": [1]}), ("config.json", {"versions": None}), ("config.json", {"corpus": None}),
        ("config.json", {"seeds": []}), ("config.json", {"seeds": [7]}), ("config.json", {"classes": [1, 2, 3]}),
        ("result.json", {"notes": [1]}), ("result.json", {"marks": [1]}), ("result.json", {"deviations": "none"}),
    ],
)  # fmt: skip
def test_what_a_report_would_stumble_over_is_named(folder: Path, name: str, changes: dict[str, object]) -> None:
    (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | changes))
    with pytest.raises(UsageError, match=r"config.json or result.json (is not as a run writes it|lacks 'level')"):
        stored.read(folder)


@pytest.mark.parametrize(
    "change", [{"chosen": 9}, {"chosen": 0}, {"epochs": []}, {"epochs": [{"train_loss": math.nan, "validation_loss": 1}]}]
)
def test_curves_that_cannot_be_drawn_are_named(folder: Path, change: dict[str, object]) -> None:
    found = json.loads((folder / "curves.json").read_text())
    (folder / "curves.json").write_text(json.dumps([found[0] | {"chosen": 1} | change, *found[1:]]))
    with pytest.raises(UsageError, match=r"curves.json: is not as a run writes it"):
        stored.curves(folder)


@pytest.mark.parametrize("values", [np.full((144, 3), "x"), np.zeros((144, 0), dtype=np.float16)])
def test_embeddings_that_are_no_numbers_are_named(folder: Path, values: np.ndarray) -> None:
    np.save(folder / "embeddings.npy", values)
    with pytest.raises(UsageError, match=r"embeddings.npy: h.*; train this run again"):
        stored.embeddings(stored.read(folder))


def lines(folder: Path) -> list[str]:
    return (folder / "predictions.csv").read_text().splitlines()


@pytest.mark.parametrize(
    "line",
    ["s0-1,s0,Ses1,0,ang", "s0-1,s0,Ses1,0,ang,joy,0,0,1", "s0-1,s0,Ses1,zero,ang,ang,1,0,0", f"s0-1,s0,Ses1,{10**20},ang,ang,1,0,0"],
)
def test_a_damaged_line_of_predictions_is_named(folder: Path, line: str) -> None:
    (folder / "predictions.csv").write_text("\n".join([*lines(folder)[:3], line]))
    with pytest.raises(UsageError, match=r"predictions.csv: line 4: is cut short, or names no class or seed"):
        stored.read(folder)


def test_predictions_that_were_cut_between_lines_are_seen(folder: Path) -> None:
    (folder / "predictions.csv").write_text("\n".join(lines(folder)[:-1]))
    with pytest.raises(UsageError, match=r"predictions.csv is not what result.json was computed from, or was cut short"):
        stored.read(folder)


def test_embeddings_that_do_not_fit_are_refused_and_pickles_are_not_run(folder: Path) -> None:
    run = stored.read(folder)
    np.save(folder / "embeddings.npy", np.zeros((3, 8), np.float16))
    with pytest.raises(UsageError, match=r"embeddings.npy: has shape \[3, 8\], expected \[144, dim\]"):
        stored.embeddings(run)
    np.save(folder / "embeddings.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"embeddings.npy: cannot be read"):
        stored.embeddings(run)


def test_damaged_curves_are_named(folder: Path) -> None:
    (folder / "curves.json").write_text(json.dumps([{"fold": "1"}]))
    with pytest.raises(UsageError, match=r"curves.json: is not as a run writes it"):
        stored.curves(folder)


def test_a_folder_of_runs_stands_for_those_in_it_and_each_counts_once(folder: Path) -> None:
    other = write(folder.with_name("b"), guesses(right=0.9))
    (folder.parent / "notes").mkdir()
    (folder.parent / "begun").mkdir()
    (folder.parent / "begun" / "config.json").write_text("{}")
    found = stored.find([folder.parent, other])
    assert found == stored.Found((folder, other), (folder.parent / "begun",))


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no finished run and holds none"):
        stored.find([tmp_path])
    with pytest.raises(UsageError, match="no such folder"):
        stored.find([tmp_path / "gone"])
