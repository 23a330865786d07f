"""Permuted labels: a floor that is marked, and that leaves the tested labels alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emocache.store import open_cache
from heads import report
from heads.experiment import run
from heads.floor import with_permuted_labels
from heads.plan import Experiment
from tests.heads.toy import corpus, examples, extract, utterances

MEMBERS = utterances()


def test_labels_are_permuted_within_a_part_and_nowhere_else() -> None:
    packed, _ = examples(MEMBERS)
    train, validation = packed.ids[:60], packed.ids[60:80]
    found = with_permuted_labels(packed, (train, validation), "Ses1/0")
    for part in (slice(0, 60), slice(60, 80)):
        assert found.labels[part].sort().values.equal(packed.labels[part].sort().values)
        assert not found.labels[part].equal(packed.labels[part])
    assert found.labels[80:].equal(packed.labels[80:])
    assert found.inputs is packed.inputs


def test_fold_and_seed_decide_the_permutation() -> None:
    packed, _ = examples(MEMBERS)
    one, again, other = (with_permuted_labels(packed, (packed.ids,), where).labels for where in ("Ses1/0", "Ses1/0", "Ses1/1"))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.fixture
def asked(tmp_path: Path) -> Experiment:
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    return Experiment(
        head="linear", corpus="toy", encoders=("enc",), protocol="loso", settings=("epochs=6", "hidden=8", "lr=0.02"),
        runs=tmp_path / "runs", data=tmp_path / "data", device="cpu",
    )  # fmt: skip


def test_a_head_that_learns_permuted_labels_is_at_chance_and_marked(asked: Experiment, tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")
    real, floor = (run(replace(asked, random_labels=random), cache, quiet=True) for random in (False, True))
    assert real.scores.ua.mean > 0.8 > 0.6 > floor.scores.ua.mean
    assert (real.marks, floor.marks) == ((), ("random labels",))
    assert floor.path != real.path
    assert "random-labels" in floor.path.name
    assert "random labels: the labels of the training and validation parts were permuted" in report.to_text(floor)
    assert json.loads((floor.path / "result.json").read_text())["marks"] == ["random labels"]
    labels = [[line.split(",")[4] for line in (one.path / "predictions.csv").read_text().splitlines()] for one in (real, floor)]
    assert labels[0] == labels[1]


def test_every_seed_of_a_floor_has_a_permutation_of_its_own(asked: Experiment, tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")
    both, alone = (run(replace(asked, seeds=seeds, random_labels=True), cache, quiet=True) for seeds in ((0, 2), (2,)))
    kept = [json.loads((one.path / "curves.json").read_text()) for one in (both, alone)]
    assert [one for one in kept[0] if one["seed"] == 2] == kept[1]


def test_the_command_of_a_run_is_stored(asked: Experiment, tmp_path: Path) -> None:
    found = run(replace(asked, seeds=(0, 2), random_labels=True, name="mine"), open_cache(tmp_path / "cache"), quiet=True)
    command = json.loads((found.path / "config.json").read_text())["command"]
    words = "emocache train linear --corpus toy --encoders enc --protocol loso --seeds 0,2 --set epochs=6 --set hidden=8 --set lr=0.02"
    assert command.startswith(f"{words} --name mine --runs {tmp_path / 'runs'}")
    assert command.endswith("--device cpu --random-labels")
