"""The mean of two runs' logits: what it is, what it keeps, and which runs cannot be combined."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emocache.errors import UsageError
from heads import combine, metrics, predictions, stored
from heads.predictions import digits
from tests.heads.toy_runs import CLASSES, Row, guesses, write
from tests.shell import Shell


def run(folder: Path, rows: list[Row], logits: np.ndarray | None = None, **changes: Any) -> Path:
    """A run folder whose probabilities are the softmax of logits [rows, classes]."""
    splits = changes.pop("splits", [])
    logits = np.log(np.eye(3)[[CLASSES.index(row[5]) for row in rows]] * 0.7 + 0.1) if logits is None else logits
    shares = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    said = [(*row[:5], CLASSES[i]) for row, i in zip(rows, shares.argmax(1), strict=True)]
    write(folder, said, **changes)
    header, *_ = (folder / "predictions.csv").read_text().splitlines()
    lines = [",".join(map(str, (*row, *digits(of)))) for row, of in zip(said, shares, strict=True)]
    (folder / "predictions.csv").write_text("\n".join([header, *lines]) + "\n")
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


ROWS = guesses(right=0.5)
DRAWN = [np.random.default_rng(seed).normal(scale=3, size=(len(ROWS), 3)) for seed in (0, 1)]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of the same utterances that say different things."""
    return run(tmp_path / "a", ROWS, DRAWN[0], parameters=100), run(tmp_path / "b", ROWS, DRAWN[1], head="late", parameters=11)


def test_the_logits_are_averaged(two: tuple[Path, Path], tmp_path: Path) -> None:
    found = combine.combine(*two, tmp_path / "runs")
    logits = (DRAWN[0] + DRAWN[1]) / 2
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert predictions.probabilities(found.path / "predictions.csv", CLASSES) == pytest.approx(shares, abs=1e-6)
    written = stored.read(found.path)
    assert written.predictions.predicted.tolist() == shares.argmax(1).tolist()
    truth = written.predictions.truth
    each = [metrics.ua(metrics.confusion(truth[at], shares.argmax(1)[at], 3)) for at in (written.predictions.seeds == s for s in (0, 1))]
    assert found.scores.ua.mean == pytest.approx(np.mean(each))


def test_by_hand() -> None:
    one, other = np.array([[0.8, 0.2]]), np.array([[0.2, 0.8]])
    assert combine.mean_of_logits([one, other])[0] == pytest.approx([0.5, 0.5])
    odds = math.sqrt((0.9 / 0.1) * (0.4 / 0.6))
    assert combine.mean_of_logits([np.array([[0.9, 0.1]]), np.array([[0.4, 0.6]])])[0] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])


def test_which_run_is_named_first_makes_no_difference(two: tuple[Path, Path], tmp_path: Path) -> None:
    one = combine.combine(*two, tmp_path / "runs")
    text = (one.path / "predictions.csv").read_text()
    other = combine.combine(*reversed(two), tmp_path / "runs")
    assert other.path == one.path
    assert (other.path / "predictions.csv").read_text() == text


def test_it_is_a_run_like_any_other_and_says_what_it_is_of(two: tuple[Path, Path], tmp_path: Path, shell: Shell) -> None:
    assert shell.run(f"combine {two[0]} {two[1]} --runs {tmp_path}/runs --json") == 0
    found = json.loads(shell.out)
    assert (found["head"], found["parameters"], found["n"], len(found["runs"])) == ("combined", 111, 72, 6)
    assert found["notes"][0] == "the mean of the logits of a (linear) and b (late): nothing was trained for it"
    config = json.loads((Path(found["path"]) / "config.json").read_text())
    assert [one["head"] for one in config["combines"]] == ["linear", "late"]
    assert shell.run(f"compare {found['path']} {two[0]}") == 0
    assert shell.run(f"report {found['path']} {two[0]} --out {tmp_path}/out --no-maps") == 0
    assert shell.run(f"combine {two[0]} {two[1]} --runs {tmp_path}/runs") == 0
    assert "combined on toy" in shell.out


def test_a_mark_of_either_run_is_kept(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", ROWS), run(tmp_path / "b", ROWS, marks=["segments fell back"])
    assert combine.combine(a, b, tmp_path / "runs").marks == ("segments fell back",)


def test_probabilities_that_float32_rounds_to_zero_still_have_a_logarithm(tmp_path: Path) -> None:
    sure = np.zeros((len(ROWS), 3))
    sure[:, 0] = 200
    found = combine.combine(run(tmp_path / "a", ROWS, sure), run(tmp_path / "b", ROWS, DRAWN[0]), tmp_path / "runs")
    assert np.isfinite(predictions.probabilities(found.path / "predictions.csv", CLASSES)).all()


def other_label(row: Row) -> Row:
    return (*row[:4], CLASSES[(CLASSES.index(row[4]) + 1) % 3], row[5])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:-1], r"did not test the same, first s5-11 \(fold Ses3, seed 1, label sad\) and None"),
        ([other_label(ROWS[0]), *ROWS[1:]], r"first s0-0 \(fold Ses1, seed 0, label ang\) and s0-0 \(fold Ses1, seed 0, label hap\)"),
        ([(row[0], row[1], "Ses9", *row[3:]) for row in ROWS], "fold Ses9"),
        ([row for row in ROWS if row[3] == 0], r"have other seeds: \(0, 1\) and \(0,\)"),
    ],
)
def test_runs_that_did_not_test_the_same_are_refused(tmp_path: Path, rows: list[Row], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        combine.combine(run(tmp_path / "a", ROWS), run(tmp_path / "b", rows), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": "other"}, "have other corpora: toy and other; train both on the same corpus, protocol and seeds"),
        ({"protocol": "lopo"}, "have other protocols"),
        ({"label": "mood"}, "have other label columns"),
        ({"splits": [{"seed": 0, "train": ["s0-1"]}]}, "learnt from other utterances, as their splits.json say"),
    ],
)
def test_runs_of_other_experiments_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        combine.combine(run(tmp_path / "a", ROWS), run(tmp_path / "b", ROWS, **changes), tmp_path / "runs")


def test_six_digits_are_too_few_for_logarithms(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", ROWS), write(tmp_path / "b", ROWS)
    (b / "splits.json").write_text("[]")
    with pytest.raises(UsageError, match="wrote it with six digits, too few for logarithms; train this run again"):
        combine.combine(a, b, tmp_path / "runs")


@pytest.mark.parametrize("text", ["nan", "x", "1.5", "-0.5"])
def test_probabilities_that_are_none_are_refused(two: tuple[Path, Path], tmp_path: Path, text: str) -> None:
    path = two[1] / "predictions.csv"
    lines = path.read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:-1], text])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError, match="holds probabilities that are none"):
        combine.combine(*two, tmp_path / "runs")


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 0.99999994])
def test_nine_digits_tell_a_float32_from_all_others(value: float) -> None:
    [text] = digits(np.array([value], dtype=np.float32))
    assert np.float32(text) == np.float32(value)
