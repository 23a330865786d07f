"""Two runs held against each other: paired draws, an exact test, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from emocache.errors import UsageError
from heads import stored
from heads.compare import Comparison, compare, to_text
from tests.heads.toy_runs import CLASSES, Row, guesses, write
from tests.shell import Shell


def of(place: Path, a: list[Row], b: list[Row], **changes: object) -> Comparison:
    write(place / "a", a)
    write(place / "b", b, **changes)  # type: ignore[arg-type]
    return compare(stored.read(place / "a"), stored.read(place / "b"))


def test_a_run_does_not_differ_from_itself(tmp_path: Path) -> None:
    rows = guesses(right=0.6)
    found = of(tmp_path, rows, rows)
    for one in found.scores.values():
        assert (one.difference.mean, one.difference.low, one.difference.high) == (0, 0, 0)
    assert [(one.only_a, one.only_b, one.p) for one in found.mcnemar.values()] == [(0, 0, 1), (0, 0, 1)]
    assert found.warnings == ()


def test_the_difference_is_that_of_the_scores(tmp_path: Path) -> None:
    found = of(tmp_path, guesses(right=0.4), guesses(right=0.9, draw=1)).scores["wa"]
    a, b = (np.mean([row[4] == row[5] for row in rows]) for rows in (guesses(right=0.4), guesses(right=0.9, draw=1)))
    assert (found.a, found.b, found.difference.mean) == pytest.approx((a, b, b - a))
    assert 0 < found.difference.low < found.difference.mean < found.difference.high


def test_speakers_that_are_hard_for_both_do_not_widen_the_interval(tmp_path: Path) -> None:
    def rows(easy: float, hard: float) -> list[Row]:
        return [
            (f"s{who}-{i}", f"s{who}", "1", 0, CLASSES[i % 3], CLASSES[(i + (i >= 20 * (easy if who % 2 else hard))) % 3])
            for who in range(10)
            for i in range(20)
        ]

    found = of(tmp_path, rows(0.9, 0.1), rows(1.0, 0.2)).scores["wa"].difference
    assert found.high - found.low < 0.02
    assert found.mean == pytest.approx(0.1)


def test_mcnemar_counts_what_one_run_alone_has_right(tmp_path: Path) -> None:
    a, b = guesses(right=0.3, seeds=(0, 1)), guesses(right=0.8, seeds=(1, 2), draw=1)
    found = of(tmp_path, a, b)
    right_a = {row[0]: row[4] == row[5] for row in a if row[3] == 1}
    right_b = {row[0]: row[4] == row[5] for row in b if row[3] == 1}
    only_a = sum(right_a[name] and not right_b[name] for name in right_a)
    only_b = sum(right_b[name] and not right_a[name] for name in right_a)
    assert list(found.mcnemar) == [1]
    one = found.mcnemar[1]
    assert (one.only_a, one.only_b) == (only_a, only_b)
    assert one.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert "the seeds differ: 0, 1 and 1, 2" in found.warnings


def test_mcnemar_over_seeds_adds_them_up_and_says_that_they_are_not_independent(tmp_path: Path) -> None:
    found = of(tmp_path, guesses(right=0.5), guesses(right=0.7, draw=1))
    assert found.pooled is not None
    assert found.pooled.only_b == sum(one.only_b for one in found.mcnemar.values()) > 0
    assert "takes utterances as independent, which those of one speaker are not; so are seeds" in to_text(found)


def test_runs_without_a_seed_in_common_have_no_test(tmp_path: Path) -> None:
    found = of(tmp_path, guesses(right=0.5, seeds=(0,)), guesses(right=0.5, seeds=(1,)))
    assert (found.pooled, found.mcnemar) == (None, {})
    assert "no seed in common" in to_text(found)


def test_only_utterances_that_both_tested_count_and_the_others_are_named(tmp_path: Path) -> None:
    rows = guesses(right=0.5, seeds=(0,))
    found = of(tmp_path, rows, rows[2:])
    assert (found.both, found.only_a, found.only_b) == (len(rows) - 2, (rows[0][0], rows[1][0]), ())
    assert f"2 utterances tested by A alone are left out, first {rows[0][0]}" in to_text(found)
    assert found.scores["wa"].a == found.scores["wa"].b


def test_other_classes_are_refused(tmp_path: Path) -> None:
    rows = guesses(right=0.5)
    with pytest.raises(UsageError, match="nothing to compare"):
        of(tmp_path, rows, rows, classes=(*CLASSES, "zzz"))


def test_other_labels_are_refused_with_the_first_that_differs(tmp_path: Path) -> None:
    rows = guesses(right=0.5)
    other = [(*row[:4], "sad", row[5]) if row[0] == "s1-0" else row for row in rows]
    with pytest.raises(UsageError, match="1 utterances have another label in each, first s1-0"):
        of(tmp_path, rows, other)


def test_runs_on_other_utterances_are_refused(tmp_path: Path) -> None:
    rows = guesses(right=0.5)
    with pytest.raises(UsageError, match="no utterance in common"):
        of(tmp_path, rows, [(f"x{row[0]}", *row[1:]) for row in rows])


def test_a_floor_and_another_protocol_are_pointed_out(tmp_path: Path) -> None:
    rows = guesses(right=0.5)
    text = to_text(of(tmp_path, rows, rows, marks=["random labels"], protocol="lopo"))
    assert "B  b (random labels)" in text
    assert "warning  b is marked random labels: " in text
    assert "warning  the protocol differs: loso and lopo" in text


def test_the_command_prints_one_json_object(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "a", guesses(right=0.4))
    write(tmp_path / "b", guesses(right=0.8, draw=1))
    assert shell.run("compare a b --bootstrap utterances --json") == 0
    found = json.loads(shell.out)
    assert found["scores"]["ua"]["difference"]["low"] > 0
    assert (found["both"], found["mcnemar"].keys()) == (72, {"0", "1"})
    assert found["resampled"].startswith("72 utterances, as asked for")


def test_a_bootstrap_that_is_none_is_refused_with_the_choices(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "a", guesses(right=0.4))
    assert shell.run("compare a a --bootstrap folds") == 2
    assert "--bootstrap folds: expected speakers or utterances" in shell.err
