"""Experiments from a real cache to a run folder: what is written, what is counted, and what is refused."""

import csv
import errno
import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from emocache import alignment
from emocache.alignment import Alignment, Segment
from emocache.errors import CacheError, EmocacheError, ProtocolError, UsageError
from emocache.store import open_cache
from heads import cli, experiment, finished, material, metrics, report, runfolder, trainer, versions
from heads.experiment import carry_out, run
from heads.learner import Learner
from heads.plan import Experiment, plan
from tests.heads.toy import EMOTIONS, corpus, extract, extract_words, utterances

MEMBERS = utterances()
QUICK = ("epochs=3", "hidden=8", "lr=0.02")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A prepared corpus and its cache, with frames, words and one vector per utterance."""
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    extract(tmp_path / "cache", MEMBERS, "words", native="tokens", seed=1)
    extract(tmp_path / "cache", MEMBERS, "voice", native="utterance", layers=1, seed=2)
    return tmp_path


def ask(place: Path, **changes: Any) -> Experiment:
    base = Experiment(
        head="linear", corpus="toy", encoders=("enc",), protocol="loso", settings=QUICK,
        runs=place / "runs", data=place / "data", device="cpu",
    )  # fmt: skip
    return replace(base, **changes)


def go(place: Path, **changes: Any) -> report.Result:
    return run(ask(place, **changes), open_cache(place / "cache"), quiet=True)


def load(result: report.Result, name: str) -> Any:
    return json.loads((result.path / name).read_text())


def test_the_run_folder_holds_what_makes_the_numbers(place: Path) -> None:
    result = go(place, seeds=(0, 3))
    assert {path.name for path in result.path.iterdir()} == {
        "config.json", "splits.json", "predictions.csv", "curves.json", "result.json", "embeddings.npy", "checkpoints",
    }  # fmt: skip
    assert len(np.load(result.path / "embeddings.npy")) == len((result.path / "predictions.csv").read_text().splitlines()) - 1
    config = load(result, "config.json")
    assert (config["head"], config["seeds"], config["config"]["hidden"], config["classes"]) == ("linear", [0, 3], 8, list(EMOTIONS))
    assert config["inputs"][0]["digest"] == open_cache(place / "cache").features("toy", "enc").digest
    assert {"emocache", "torch", "numpy", "python"} == set(config["versions"])
    curves = [(one["seed"], one["fold"], len(one["epochs"])) for one in load(result, "curves.json")]
    assert curves == [(seed, f"Ses{session}", 3) for seed in (0, 3) for session in (1, 2, 3)]
    assert load(result, "result.json") == json.loads(json.dumps(report.to_json(result)))


def test_weights_that_an_earlier_call_did_without_are_missed_aloud(place: Path) -> None:
    bare = go(place, seeds=(0, 1), no_weights=True)
    assert not any("--no-weights" in note for note in bare.notes)
    missed = "runs are not there: an earlier call had --no-weights; give another --runs to train them again"
    assert f"the weights of 6 of 6 {missed}" in go(place, seeds=(0, 1)).notes
    assert f"the weights of 6 of 9 {missed}" in go(place, seeds=(0, 1, 2)).notes
    assert not any("--no-weights" in note for note in go(place, seeds=(0, 1), runs=place / "other").notes)


def test_the_predictions_lead_back_to_the_scores(place: Path) -> None:
    result = go(place, seeds=(0, 1))
    rows = list(csv.DictReader((result.path / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(MEMBERS)
    scores = []
    for seed in "01":
        chosen = [row for row in rows if row["seed"] == seed]
        assert {row["id"] for row in chosen} == {u.id for u in MEMBERS}
        label, predicted = (np.array([EMOTIONS.index(row[name]) for row in chosen]) for name in ("label", "predicted"))
        scores.append(metrics.ua(metrics.confusion(label, predicted, 3)))
    assert result.scores.ua.mean == pytest.approx(np.mean(scores))
    assert all(EMOTIONS[np.argmax([float(row[f"p_{name}"]) for name in EMOTIONS])] == row["predicted"] for row in rows)


def test_the_splits_that_are_written_are_those_that_were_used(place: Path) -> None:
    result = go(place)
    rows = list(csv.DictReader((result.path / "predictions.csv").read_text().splitlines()))
    for fold in load(result, "splits.json"):
        assert [row["id"] for row in rows if row["fold"] == fold["name"]] == fold["test"]
        assert not {*fold["train"], *fold["validation"]} & {*fold["test"]}


def test_a_repeated_command_gives_the_same_run_in_the_same_place(place: Path) -> None:
    one, again = go(place), go(place)
    assert one.path == again.path
    assert again.scores.ua == one.scores.ua
    assert sorted(path.name for path in (place / "runs").iterdir()) == [one.path.name]


OTHERS = ({"seeds": (1,)}, {"settings": (*QUICK, "dropout=0.1")}, {"label": "mood"}, {"layers": "last"}, {"encoders": ("voice",)})


@pytest.mark.parametrize("changes", OTHERS)
def test_another_question_gives_another_run(place: Path, changes: dict[str, Any]) -> None:
    assert go(place).path != go(place, **changes).path


def test_an_interrupted_grid_goes_on_where_it_stopped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = go(place, seeds=(0, 3), runs=place / "undisturbed")
    trained: list[tuple[str, int]] = []
    fit = trainer.fit

    def counted(*arguments: Any, **options: Any) -> Any:
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.extend(("fold", seed) for seed in options["seeds"])
        return fit(*arguments, **options)

    monkeypatch.setattr(trainer, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        go(place, seeds=(0, 3), name="broken")
    assert not (place / "runs" / "broken").exists()
    trained.clear()
    monkeypatch.setattr(trainer, "fit", counted)
    again = go(place, seeds=(0, 3), name="broken")
    assert len(trained) == 2, "two of three folds were done already"
    predictions = [(result.path / "predictions.csv").read_text() for result in (undisturbed, again)]
    assert predictions[0] == predictions[1]
    assert [path.name for path in (place / "runs").iterdir() if path.name.startswith(".")] == []
    trained.clear()
    repeated = go(place, seeds=(0, 3), name="broken")
    assert trained == []
    assert repeated.scores == again.scores


@pytest.mark.parametrize("select", ["validation", "test"])
def test_nothing_of_the_test_part_is_learnt_or_standardised_with(place: Path, monkeypatch: pytest.MonkeyPatch, select: str) -> None:
    seen: list[tuple[set[int], set[int], set[int]]] = []
    fit = trainer.fit

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.extend(({*one.pool.tolist()}, {*one.train.tolist()}, {*one.test.tolist()}) for one in arguments[4])
        return fit(*arguments, **options)

    monkeypatch.setattr(trainer, "fit", watched)
    go(place, select=select)
    assert len(seen) == 3
    for pool, train, test in seen:
        assert train <= pool
        assert not pool & test


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that are trained from now on, fold by fold."""
    seeds: list[int] = []
    fit = trainer.fit

    def counted(*arguments: Any, **options: Any) -> Any:
        seeds.extend(options["seeds"])
        return fit(*arguments, **options)

    monkeypatch.setattr(trainer, "fit", counted)
    return seeds


@pytest.mark.parametrize("jobs", [1, 2])
def test_more_seeds_of_an_experiment_are_trained_and_those_that_are_done_are_taken(place: Path, trained: list[int], jobs: int) -> None:
    before, few = go(place, seeds=(0, 3)), go(place, seeds=(0, 3), name="again")
    assert sorted(trained) == [0, 0, 0, 3, 3, 3], "the second name took what the first had done"
    trained.clear()
    more = run(ask(place, seeds=(0, 1, 3)), open_cache(place / "cache"), jobs=jobs, quiet=True)
    assert trained == ([1, 1, 1] if jobs == 1 else [])  # else other processes train
    assert before.path != more.path
    assert before.path.is_dir()
    rows = [[line for line in (one.path / "predictions.csv").read_text().splitlines() if ",1," not in line] for one in (before, few, more)]
    assert rows[0] == rows[1] == rows[2]
    assert len(more.scores.runs) == 9


@pytest.mark.parametrize("changes", [{"settings": (*QUICK, "dropout=0.1")}, {"label": "mood"}, {"layers": "last"}, {"select": "test"}])
def test_seeds_of_another_experiment_are_not_taken(place: Path, trained: list[int], changes: dict[str, Any]) -> None:
    go(place)
    trained.clear()
    go(place, seeds=(0, 1), **changes)
    assert sorted(trained) == [0, 0, 0, 1, 1, 1]


def test_seeds_of_an_interrupted_command_are_taken_by_one_with_fewer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = trainer.fit

    def once(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(trainer, "fit", interrupted)
        return stop(*arguments, **options)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "fit", once)
    with pytest.raises(KeyboardInterrupt):
        go(place, seeds=(0, 3))
    with pytest.raises(KeyboardInterrupt):
        go(place, name="fewer")
    (kept,) = (path for path in (place / "runs").glob(".fewer.*.part"))
    assert [path.name for path in kept.iterdir()] == ["0-0.safetensors"]


def diverging(monkeypatch: pytest.MonkeyPatch, broken: int) -> None:
    """Let one seed's loss be no number in every epoch."""
    whole = Learner.epoch

    def breaks(learner: Any) -> list[float]:
        return [float("nan") if seed == broken else loss for seed, loss in zip(learner._seeds, whole(learner), strict=True)]

    monkeypatch.setattr(Learner, "epoch", breaks)


def test_a_seed_that_diverges_is_named_with_its_fold_and_the_others_are_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, trained: list[int]
) -> None:
    with monkeypatch.context() as patch:
        diverging(patch, 1)
        with pytest.raises(ProtocolError, match=r"^fold Ses1: the loss is nan in epoch 1 \(seed 1\); .*runs that are finished are kept"):
            go(place, seeds=(0, 1, 2))
    assert trained == [0, 1, 2]
    trained.clear()
    assert len(go(place, seeds=(0, 2)).scores.runs) == 6
    assert trained == [0, 2, 0, 2], "the first fold was done"


def test_features_that_are_not_finite_are_named_by_their_utterance(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*arguments: Any, **options: Any) -> Any:
        examples = material.load(*arguments, **options)
        examples.inputs[0].values[1, examples.inputs[0].offsets[40], 2] = float("nan")
        return examples

    monkeypatch.setattr(experiment, "load", spoilt)
    with pytest.raises(ProtocolError, match=rf"^{MEMBERS[40].id} has values that are not finite in enc/frames"):
        go(place)


def test_unfinished_runs_of_another_configuration_are_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        diverging(patch, 1)
        with pytest.raises(ProtocolError):
            go(place, seeds=(0, 1))
    cache, other = open_cache(place / "cache"), ask(place, settings=(*QUICK, "dropout=0.1"))
    planned = plan(ask(place, seeds=(0, 1)), cache)
    with runfolder.alone(planned.target, planned.digest):
        run(other, cache)
    assert "unfinished" not in capsys.readouterr().err, "somebody is at work on them"
    run(other, cache)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "unfinished" in line)
    assert str(finished.part_folder(planned.target, planned.digest)) in line
    assert "MB" in line
    run(ask(place, seeds=(0, 1)), cache)
    assert "unfinished" not in capsys.readouterr().err, "they are its own"


def test_a_class_that_a_part_has_nothing_of_is_noted(place: Path) -> None:
    assert not [note for note in go(place).notes if "no utterance of class" in note]
    without = [u for u in MEMBERS if not (u.emotion == "sad" and u.session == "Ses2")]
    corpus(place / "data", without)
    assert "no utterance of class sad in the test part of 1 of 3 runs (fold Ses2)" in go(place).notes


def test_what_was_trained_on_other_features_is_not_taken_for_done(place: Path) -> None:
    go(place, name="one")
    extract(place / "cache2", MEMBERS, "enc", seed=9)
    with pytest.raises(UsageError, match="holds another experiment"):
        run(ask(place, name="one"), open_cache(place / "cache2"), quiet=True)


def test_the_best_and_the_last_weights_of_every_run_are_kept(place: Path) -> None:
    result = go(place, seeds=(0, 3))
    files = sorted((result.path / "checkpoints").iterdir())
    assert [path.name for path in files] == [f"{fold}-{seed}.safetensors" for fold in range(3) for seed in (0, 3)]
    weights = load_file(files[0])
    assert {name.split("/")[0] for name in weights} == {"best", "last", "probabilities", "embeddings"}
    assert sum(weight.numel() for name, weight in weights.items() if name.startswith("best/")) == load(result, "config.json")["parameters"]


def test_a_name_is_never_given_to_two_experiments(place: Path) -> None:
    first = go(place, name="mine")
    before = (first.path / "predictions.csv").read_bytes()
    with pytest.raises(UsageError, match=r"holds another experiment \(\w{8}, this one is \w{8}\)"):
        go(place, name="mine", seeds=(1,))
    assert (first.path / "predictions.csv").read_bytes() == before
    assert go(place, name="mine").path == first.path


def test_a_name_is_not_given_to_an_experiment_that_ended_while_another_was_planned(place: Path) -> None:
    cache = open_cache(place / "cache")
    one, other = (plan(ask(place, name="mine", seeds=seeds), cache) for seeds in ((0,), (1,)))
    first = carry_out(one, quiet=True)
    before = (first.path / "predictions.csv").read_bytes()
    with pytest.raises(UsageError, match="holds another experiment"):
        carry_out(other, quiet=True)
    assert (first.path / "predictions.csv").read_bytes() == before
    assert [path.name for path in (place / "runs").iterdir()] == ["mine"]


def test_two_trainings_are_not_at_work_on_one_run_folder(place: Path) -> None:
    planned = plan(ask(place, name="mine"), open_cache(place / "cache"))
    with runfolder.alone(planned.target, planned.digest), pytest.raises(UsageError, match="another training is at work on it"):
        carry_out(planned, quiet=True)
    assert len(list((carry_out(planned, quiet=True).path / "checkpoints").iterdir())) == 3


def test_a_repeated_command_keeps_what_else_lies_in_the_run_folder(place: Path) -> None:
    path = go(place, name="mine").path
    (path / "tensorboard").mkdir()
    (path / "remarks.txt").write_text("mine")
    go(place, name="mine")
    assert (path / "tensorboard").is_dir()
    assert (path / "remarks.txt").read_text() == "mine"


def test_a_run_folder_is_open_to_whoever_may_read_there(place: Path) -> None:
    path = go(place).path
    usual = (path / "config.json").stat().st_mode
    assert {file.stat().st_mode for file in (path / "checkpoints").iterdir()} == {usual}


def test_a_disk_that_is_full_leaves_the_runs_that_are_done_and_nothing_else(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(OSError, match="No space left"):
            go(place, name="mine")
    (left,) = (place / "runs").iterdir()
    assert len(list(left.glob("*.safetensors"))) == 3
    assert go(place, name="mine").path.is_dir()


@pytest.mark.parametrize("name", ["../mine", ".mine", "a/b"])
def test_a_name_stays_in_the_folder_of_runs(place: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a folder's name"):
        go(place, name=name)


def test_a_folder_of_somebody_else_is_left_alone(place: Path) -> None:
    (place / "runs" / "thesis").mkdir(parents=True)
    with pytest.raises(UsageError, match="is no run of emocache"):
        go(place, name="thesis")


def test_late_joins_frames_words_and_voices(place: Path) -> None:
    result = go(place, head="late", encoders=("enc", "words", "voice"))
    inputs = load(result, "config.json")["inputs"]
    assert [(one["level"], one["layers"]) for one in inputs] == [("frames", [0, 1]), ("tokens", [0, 1]), ("utterance", [0])]
    assert result.scores.tested == len(MEMBERS)


def test_layers_can_be_picked(place: Path) -> None:
    assert load(go(place, layers="1"), "config.json")["inputs"][0]["layers"] == [1]


def test_intervals_are_over_speakers_and_say_so_when_they_are_not(place: Path) -> None:
    assert go(place).scores.resampled == "6 speakers"
    corpus(place / "data", [replace(u, speaker=None) for u in MEMBERS])
    result = go(place)
    assert result.scores.resampled.startswith("108 utterances, since the speakers are not known")
    assert any("108 utterances have no speaker" in note for note in result.notes)


def test_utterances_without_label_or_features_are_counted(place: Path) -> None:
    more = [*MEMBERS, *(replace(MEMBERS[i], id=f"x{i}", emotion=None if i < 2 else "sad") for i in range(5))]
    corpus(place / "data", more)
    with pytest.raises(CacheError, match="toy/enc: no features for 3 of 111 labelled utterances, first x2"):
        go(place)
    result = go(place, allow_missing=True)
    assert result.left_out == {"no label": 2, "no features": 3}
    assert "3 of 113 utterances left out: no features" in result.notes
    assert result.scores.tested == 108


def test_a_corpus_that_is_not_as_published_is_refused_unless_told(place: Path) -> None:
    corpus(place / "data", differs=("sad: 36 utterances, expected 40",))
    with pytest.raises(ProtocolError, match=r"sad: 36 utterances, expected 40.*--allow-counts"):
        go(place)
    assert "not as published: sad: 36 utterances, expected 40" in go(place, allow_counts=True).notes


def test_labels_come_from_the_prepared_corpus_else_from_the_cache(place: Path) -> None:
    prepared = go(place)
    assert f"labels from {place / 'data' / 'toy' / 'manifest.csv'}" in prepared.notes
    copied = go(place, data=place / "elsewhere")
    assert copied.notes[0].startswith("labels from the cache's copy")
    assert (copied.path, copied.scores.ua) == (prepared.path, prepared.scores.ua)


def test_the_versions_of_a_run_are_those_that_computed_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(go(place, seeds=(0, 1)), "config.json")
    monkeypatch.setattr(versions, "of_now", lambda: {"emocache": "99"})
    again = go(place, seeds=(0, 1))
    assert load(again, "config.json") == first
    (again.path / "checkpoints" / "0-1.safetensors").unlink()
    assert load(go(place, seeds=(0, 1)), "config.json")["versions"]["emocache"] == f"{first['versions']['emocache']}, 99"


def test_scripted_text_on_both_sides_is_reported(place: Path) -> None:
    result = go(place)
    assert result.text_overlap == {"shared": 108, "known": 108}
    assert "108 of 108 tested utterances say a text that was trained on too" in result.notes


@pytest.mark.parametrize(
    ("changes", "learnt"),
    [({}, "33.0"), ({"validation": "speaker"}, "27.0"), ({"protocol": "emotionnas"}, None), ({"select": "test"}, None)],
)
def test_the_size_of_a_step_and_what_validates_in_the_statistics_are_told(place: Path, changes: dict[str, Any], learnt: str | None) -> None:
    notes = go(place, **changes).notes
    step = f"a step takes 36 utterances of the training folds, in one order for all seeds, and learns from {learnt} on average"
    assert (step in notes) == bool(learnt) == any("whoever validates among them included" in note for note in notes)


def test_text_on_both_sides_is_counted_in_every_test_part_that_seeds_draw(place: Path) -> None:
    drawn = go(place, protocol="random-80-20", seeds=(0, 1))
    assert drawn.text_overlap == {"shared": 2 * 21, "known": 2 * 21}
    assert go(place, seeds=(0, 1)).text_overlap == {"shared": 108, "known": 108}


def test_features_of_other_text_than_the_manifest_has_are_refused(place: Path) -> None:
    corpus(place / "data", [replace(MEMBERS[0], transcript="I never said that"), *MEMBERS[1:]])
    with pytest.raises(CacheError, match=r"features of 1 utterances .* were made from other text"):
        go(place, encoders=("words",))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"encoders": ("enk",)}, CacheError, "choose one of: enc, voice, words"),
        ({"corpus": "tyo"}, CacheError, "there are: toy"),
        ({"label": "emotoin"}, ProtocolError, r"columns are: emotion.*mood"),
        ({"label": "language"}, ProtocolError, "no utterance has anything"),
        ({"levels": ("phone",)}, CacheError, "no level 'phone'; there are: frames"),
        ({"levels": ("frames", "tokens")}, UsageError, "2 levels for 1 encoders"),
        ({"layers": "7"}, UsageError, "no layer 7"),
        ({"encoders": ("enc", "voice")}, UsageError, "2 encoders given, this head takes 1"),
        ({"head": "late"}, UsageError, "1 encoders given, this head takes 2 or more"),
        ({"head": "tdfnet", "encoders": ("enc",) * 4}, UsageError, "4 encoders given, this head takes 1 to 3"),
        ({"device": "warp"}, UsageError, "device warp does not work here"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_choices(place: Path, changes: dict[str, Any], error: type[EmocacheError], message: str) -> None:
    with pytest.raises(error, match=message):
        go(place, **changes)
    assert not (place / "runs").exists()


def test_a_choice_on_the_test_part_is_marked_wherever_the_result_goes(place: Path) -> None:
    honest, habit = go(place), go(place, select="test")
    assert honest.path != habit.path
    assert (honest.selected_on_test, habit.selected_on_test) == (False, True)
    assert any("chosen on the test part" in text for text in habit.deviations)
    assert "SELECTED ON THE TEST PART" in report.to_text(habit)
    assert "TEST PART" not in report.to_text(honest)
    assert load(habit, "result.json")["selected_on_test"]
    config = load(habit, "config.json")
    assert (config["selected_on_test"], config["validation"]) == (True, "test")
    for fold in load(habit, "splits.json"):
        assert fold["validation"] == fold["test"]
        assert not {*fold["train"]} & {*fold["test"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select": "test", "settings": (*QUICK, "refit=true")}, "so refit=true cannot go with it"),
        ({"select": "test", "validation": "speaker"}, "so --validation speaker cannot go with it"),
        ({"select": "best"}, "--select best: expected one of validation, test"),
        ({"protocol": "emotionnas", "validation": "random"}, "emotionnas brings a validation split of its own"),
    ],
)
def test_a_choice_that_contradicts_another_is_refused(place: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        go(place, **changes)


def test_a_test_part_that_is_not_asked_for_is_listed_as_unused(place: Path) -> None:
    part = {"Ses1": "train", "Ses2": "test1", "Ses3": "test2"}
    corpus(place / "data", [replace(u, fold=None, split=part[u.session or ""]) for u in MEMBERS])
    result = go(place, protocol="given", test_split="test2")
    (fold,) = load(result, "splits.json")
    assert fold["unused"] == sorted(u.id for u in MEMBERS if u.session == "Ses2")
    assert any("36 utterances are in no part, first s2-ang-0; splits.json lists them as unused" in note for note in result.notes)


def test_a_protocol_of_shuffles_tests_every_seed_on_the_same_utterances(place: Path) -> None:
    result = go(place, protocol="ra", seeds=(0, 1), settings=("epochs=1", "hidden=4"))
    folds = load(result, "splits.json")
    assert [fold["test"] for fold in folds[:10]] == [fold["test"] for fold in folds[10:]]
    assert len(result.scores.runs) == 20
    assert "speakers are on both sides of a fold (protocol ra)" in result.notes


def invoke(place: Path, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(cli.train)
    where = ["--data", str(place / "data"), "--cache", str(place / "cache"), "--runs", str(place / "runs"), "--device", "cpu"]
    settings = [part for setting in QUICK for part in ("--set", setting)]
    return CliRunner().invoke(app, [*arguments, *where, *settings, "--protocol", "loso"], catch_exceptions=True)


def test_the_command_prints_one_json_object(place: Path) -> None:
    found = json.loads(invoke(place, "linear", "--encoders", "enc", "--seeds", "0-1", "--json").stdout)
    for name in ("ua", "wa", "wf1"):
        assert 0 <= found[name]["low"] <= found[name]["mean"] <= found[name]["high"] <= 1
    assert [(one["fold"], one["seed"]) for one in found["runs"]] == [(f"Ses{f}", s) for s in (0, 1) for f in (1, 2, 3)]
    assert {"ua", "wa", "wf1", "epoch"} <= set(found["runs"][0])
    assert (found["n"], sum(map(sum, found["confusion"]))) == (108, 216)
    assert Path(found["path"], "result.json").is_file()


def test_the_command_that_is_stored_names_the_cache_and_can_be_typed_again(place: Path) -> None:
    found = Path(json.loads(invoke(place, "linear", "--encoders", "enc", "--json").stdout)["path"], "config.json")
    _, _, head, *options = shlex.split(json.loads(found.read_text())["command"])
    assert options[options.index("--cache") + 1] == str(place / "cache")
    app = typer.Typer()
    app.command()(cli.train)
    again = CliRunner().invoke(app, [head, *options, "--json"])
    assert Path(json.loads(again.stdout)["path"]) == found.parent


def test_the_command_prints_a_table_for_people(place: Path) -> None:
    text = invoke(place, "linear", "--encoder", "enc").stdout
    shown = (
        "UA ",
        "WA ",
        "WF1 ",
        "95 % bootstrap over 6 speakers",
        "predicted, % of the row",
        "hidden is 8; Pepino's code has 128",
        str(place / "runs"),
    )
    assert [part for part in shown if part not in text] == []


def test_a_floor_with_event_files_by_command(place: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    found = json.loads(invoke(place, "linear", "--encoders", "enc", "--random-labels", "--tensorboard", "--json").stdout)
    assert (found["marks"], found["marked"]) == (["random labels"], True)
    assert len(list(Path(found["path"], "tensorboard").iterdir())) == 3


def test_the_result_has_macro_f1_recall_and_spread(place: Path) -> None:
    result = go(place, seeds=(0, 1))
    found = load(result, "result.json")
    assert found["recall"].keys() == {*EMOTIONS}
    assert (found["over_seeds"]["mf1"]["count"], found["over_folds"]["mf1"]["count"]) == (2, 3)
    assert found["mf1"]["mean"] == pytest.approx(found["over_seeds"]["mf1"]["mean"])
    text = report.to_text(result)
    assert [part for part in ("MF1 ", "UA over 2 seeds: ", "UA over 3 folds: ", "precision %") if part not in text] == []


def test_several_corpora_need_a_choice(place: Path) -> None:
    corpus(place / "data" / "more")
    (place / "data" / "more" / "toy").rename(place / "data" / "second")
    assert "holds second, toy; say which with --corpus" in str(invoke(place, "linear", "--encoders", "enc").exception)


@pytest.mark.parametrize(("text", "numbers"), [("0-2", (0, 1, 2)), ("0,3,5", (0, 3, 5)), ("7", (7,)), ("1,0-2", (1, 0, 2))])
def test_seeds_are_lists_and_ranges(text: str, numbers: tuple[int, ...]) -> None:
    assert cli.parse_seeds(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "2-0", "0..2", "-1", "0,"])
def test_seeds_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected numbers such as 0-2 or 0,3,5"):
        cli.parse_seeds(text)


def test_a_head_on_segments_counts_them_and_those_that_fell_back(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "aligned")
    result = go(place, encoders=("aligned",), levels=("word",))
    (count,) = result.segments.values()
    assert (count.utterances, count.segments, count.whole, result.marked) == (len(MEMBERS), 4 * len(MEMBERS), 0, False)
    assert load(result, "result.json")["segments"] == {"aligned/word@mfa": {**asdict(count)}}
    assert "UA*" not in report.to_text(result)


def test_scores_on_segments_are_marked_when_many_utterances_have_no_alignment(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "aligned", whole=len(MEMBERS) // 10)
    result = go(place, encoders=("aligned",), levels=("word@mfa",))
    assert result.marked
    assert report.to_json(result)["marked"]
    text = report.to_text(result)
    assert "UA*" in text
    assert f"{len(MEMBERS) // 10} of {len(MEMBERS)} utterances" in text


def test_an_alignment_that_changed_since_is_no_basis_for_a_result(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "aligned")
    segments = {u.id: (Segment("a", 0.0, 0.2),) for u in MEMBERS}
    alignment.save(Alignment(source="mfa", about="by hand", segments={"word": segments}), place / "data", "toy")
    with pytest.raises(CacheError, match="was made from another alignment than the corpus now has"):
        go(place, encoders=("aligned",), levels=("word",))


def test_segments_whose_alignment_is_gone_are_taken_and_the_result_says_so(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "aligned")
    result = go(place, encoders=("aligned",), levels=("word",))
    assert any("its alignment is not in" in note and note.endswith("nobody can check") for note in result.notes)


@pytest.mark.parametrize(
    ("head", "protocol", "named"),
    [
        ("linear", "lopo", ["protocol lopo; the paper has loso"]),
        ("mstr", "lopo", ["protocol lopo; the paper has loso or given or random-80-20"]),
        ("mstr", "random-80-20", []),
        ("tdfnet", "lopo", []),
        ("tdfnet", "ra", []),
    ],
)
def test_a_protocol_is_a_deviation_where_the_paper_has_it_for_nothing(place: Path, head: str, protocol: str, named: list[str]) -> None:
    settings = {"mstr": ("heads=2",), "tdfnet": ("path=audio", "width=16", "heads=2")}.get(head, ())
    planned = plan(ask(place, head=head, protocol=protocol, settings=settings, layers="last"), open_cache(place / "cache"))
    assert [text for text in planned.about["deviations"] if text.startswith("protocol")] == named


def test_speakers_can_be_standardised_one_by_one_and_the_result_says_so(place: Path) -> None:
    result = go(place, settings=(*QUICK, "normalise=speaker"))
    assert any("standardised over all of that speaker's utterances, tested ones too" in note for note in result.notes)
    assert "normalise is speaker; the paper has speech" in result.deviations


def test_out_of_memory_is_one_line_that_names_the_fold_and_keeps_what_is_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, calls = trainer.fit, []

    def full(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return fit(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "fit", full)
        with pytest.raises(UsageError, match=r"^fold Ses2: out of memory on cpu; give a lower --set batch"):
            go(place)
    calls.clear()
    monkeypatch.setattr(trainer, "fit", lambda *a, **b: calls.append(1) or fit(*a, **b))
    go(place)
    assert len(calls) == 2, "the first of three folds was done"
