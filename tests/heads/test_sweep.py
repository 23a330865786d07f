"""A sweep: judged on validation parts alone, going on where it stopped, and honest about what it chose on."""

import contextlib
import csv
import errno
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emocache.errors import ProtocolError, UsageError
from emocache.store import open_cache
from heads import experiment, linear, nested, runfolder, study, sweep, sweep_report, trainer, trials
from heads.learner import Learner
from heads.plan import Experiment, plan
from heads.space import parse
from heads.sweep import Sweep, Wish
from heads.trials import Trial
from tests.heads.toy import corpus, extract, utterances
from tests.shell import Shell

MEMBERS = utterances()
SETTINGS = ("epochs=3", "lr=0.02,0.0001", "hidden=4,8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A prepared corpus and its cache."""
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    return tmp_path


def ask(place: Path, **changes: Any) -> Experiment:
    base = Experiment(
        head="linear", corpus="toy", encoders=("enc",), protocol="loso", settings=SETTINGS,
        runs=place / "runs", data=place / "data", device="cpu",
    )  # fmt: skip
    return replace(base, **changes)


def go(place: Path, *, cache: str = "cache", **changes: Any) -> tuple[Sweep, list[Trial]]:
    names = {field for field in Wish.__dataclass_fields__ if field != "ask"}
    of_wish = {name: value for name, value in changes.items() if name in names}
    wish = Wish(ask=ask(place, **{name: value for name, value in changes.items() if name not in names}), **of_wish)
    one = sweep.prepare(wish, open_cache(place / cache), quiet=True)
    return one, sweep.carry_out(one, quiet=True)


def numbers(done: list[Trial]) -> list[Any]:
    """All of the trials that does not depend on the clock."""
    return [replace(trial, seconds=0.0) for trial in done]


def test_a_grid_tries_every_combination_and_the_best_comes_first(place: Path) -> None:
    _, done = go(place, seeds=(0, 3))
    assert sorted((t.settings["lr"], t.settings["hidden"]) for t in done) == [(a, b) for a in ("0.0001", "0.02") for b in ("4", "8")]
    assert [t.ua for t in done] == sorted((t.ua for t in done), reverse=True)
    assert done[0].settings["lr"] == "0.02"
    assert [(run.fold, run.seed) for run in done[0].runs] == [(f"Ses{fold}", seed) for fold in (1, 2, 3) for seed in (0, 3)]
    assert done[0].ua == pytest.approx(sum(run.ua for run in done[0].runs) / 6)


def test_no_trial_sees_a_test_part(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the test part was predicted")

    monkeypatch.setattr(Learner, "predict", forbidden)
    split = {"Ses1": "train", "Ses2": "train", "Ses3": "test"}
    members = [replace(u, fold=None, split=split[u.session or ""]) for u in MEMBERS]
    corpus(place / "data", members)
    _, done = go(place, protocol="given")
    wild = [replace(u, emotion={"ang": "sad", "sad": "hap", "hap": "ang"}[u.emotion or ""]) if u.session == "Ses3" else u for u in members]
    extract(place / "wild", wild, "enc")  # the tested utterances alone have features of another emotion
    other, found = go(place, cache="wild", protocol="given")
    assert numbers(found) == numbers(done)
    assert not [path for path in other.target.rglob("*") if "predict" in path.name or path.suffix in {".npy", ".safetensors"}]


def test_what_judges_settings_for_a_fold_depends_on_nothing_that_it_tests(place: Path) -> None:
    def judged(done: list[Trial], *, own: bool) -> list[trials.Judged]:
        ordered = sorted(done, key=lambda trial: trial.number)
        return [run for trial in ordered for run in trial.runs if (run.fold == "Ses2") is own]

    _, done = go(place, seeds=(0, 3))
    shifted = {"ang": "sad", "sad": "hap", "hap": "ang"}
    wild = [replace(u, emotion=shifted[u.emotion or ""]) if u.session == "Ses2" else u for u in MEMBERS]
    extract(place / "wild", wild, "enc")
    _, of_features = go(place, cache="wild", seeds=(0, 3))
    corpus(place / "data", wild)
    _, of_labels = go(place, seeds=(0, 3))
    for found in (of_features, of_labels):
        assert judged(found, own=True) == judged(done, own=True)
        assert judged(found, own=False) != judged(done, own=False), "what the others learn from is another"


def test_fewer_trials_than_there_are_is_no_impossible_share(place: Path) -> None:
    go(place, method="random", trials=3, name="mine")
    one, done = go(place, method="random", trials=2, name="mine")
    assert "3 of 3 trials complete" in sweep_report.to_text(one, done)


def test_what_a_trial_says_is_what_training_with_its_settings_says(place: Path) -> None:
    one, done = go(place, objective="loss")
    (fitted, *_) = [trial for trial in done if trial.settings == {"lr": "0.02", "hidden": "8"}]
    settings = [part for part in shlex.split(sweep_report.command(one, fitted.settings)) if "=" in part]
    result = experiment.run(ask(place, settings=tuple(settings)), open_cache(place / "cache"), quiet=True)
    assert [score.validation_loss for score in result.scores.runs] == [judged.loss for judged in fitted.runs]
    assert [score.epoch for score in result.scores.runs] == [judged.epoch for judged in fitted.runs]


def stopped_after(monkeypatch: pytest.MonkeyPatch, count: int) -> Callable[[], int]:
    """Interrupts the sweep when `count` trials are begun; what it returns says how many there were."""
    begun: list[int] = []
    judge = sweep.judge

    def counted(one: Sweep, number: int, *rest: Any) -> Trial:
        if len(begun) == count:
            raise KeyboardInterrupt
        begun.append(number)
        return judge(one, number, *rest)

    monkeypatch.setattr(sweep, "judge", counted)
    return lambda: len(begun)


def interrupt(place: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
    """A sweep that is stopped after two trials."""
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            go(place, **how)


@pytest.mark.parametrize("how", [{}, {"method": "random", "trials": 4}, {"method": "tpe", "trials": 4}])
def test_a_sweep_goes_on_where_it_stopped(place: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]) -> None:
    interrupt(place, monkeypatch, **how)
    begun = stopped_after(monkeypatch, 9)
    one, done = go(place, **how)
    assert (begun(), len(done)) == (2, 4)
    assert go(place, **how)[1] == done
    assert begun() == 2, "a finished sweep does nothing"
    assert [path.name for path in (place / "runs").iterdir()] == [one.target.name]


@pytest.mark.parametrize("how", [{}, {"method": "random", "trials": 4}])
def test_an_interrupted_sweep_ends_as_if_it_had_not_been(place: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]) -> None:
    interrupt(place, monkeypatch, **how)
    assert numbers(go(place, **how)[1]) == numbers(go(place, name="undisturbed", **how)[1])


def test_a_search_leaves_a_trial_to_the_process_that_is_at_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(place, monkeypatch, method="random", trials=4)
    others = [contextlib.nullcontext(False)]
    monkeypatch.setattr(trials, "claimed", lambda folder, number: others[0] if number == 2 else contextlib.nullcontext(True))
    _, done = go(place, method="random", trials=4)
    assert sorted(trial.number for trial in done) == [0, 1, 3]
    monkeypatch.undo()
    assert sorted(trial.number for trial in go(place, method="random", trials=4)[1]) == [0, 1, 2, 3]


def test_a_trial_that_is_done_again_tells_optuna_no_epoch_twice(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    told: list[float] = []

    def judge(number: int, settings: Any, report: Any) -> Trial:
        told.append(float(settings["lr"]))
        for epoch in (1, 2):
            report(epoch, 0.5)
            if len(told) == 1:
                raise KeyboardInterrupt
        judged = trials.Judged(fold="1", seed=0, epoch=1, epochs=1, ua=0.5, loss=1.0)
        return Trial(number=number, settings=settings, state="complete", runs=(judged,))

    search = partial(
        study.search, tmp_path / "journal.log", parse(["lr=0.1:1"], linear.Config()), "random", "ua", prune=True, judge=judge,
        wanted=1, claimed=ours,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        search()
    search()
    assert told[0] == told[1]
    assert not recwarn.list


def test_a_journal_whose_last_line_is_torn_goes_on(place: Path) -> None:
    one, _ = go(place, method="random", trials=2)
    with (one.target / "journal.log").open("a") as file:
        file.write('{"op_code":4,"work')
    go(place, method="random", trials=3)
    assert len(go(place, method="random", trials=4)[1]) == 4


def test_a_damaged_trial_is_one_line_that_names_it(place: Path) -> None:
    one, done = go(place)
    path = one.folder / "0001.json"
    path.write_text("")
    with pytest.raises(UsageError, match=r"0001\.json: is damaged; remove it"):
        go(place)
    path.unlink()
    assert numbers(go(place)[1]) == numbers(done)


def test_a_file_system_without_locks_is_no_other_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(trials.fcntl, "lockf", none)
    assert len(go(place)[1]) == 4


def test_a_full_disk_leaves_nothing_half_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for method, left in (("write_text", "*"), ("replace", "*.json.*")):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, full)
            with pytest.raises(OSError, match="No space"):
                go(place)
        assert not list((place / "runs").rglob(left))
    assert len(go(place)[1]) == 4


@pytest.mark.parametrize(
    "error",
    [RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), MemoryError(), UsageError("these cannot go together")],
)
def test_what_does_not_fit_is_a_trial_that_failed_and_the_others_are_tried(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    runs = sweep._runs

    def tight(one: Sweep, settings: Any, report: Any) -> Any:
        if settings["hidden"] == "8":
            raise error
        return runs(one, settings, report)

    monkeypatch.setattr(sweep, "_runs", tight)
    _, done = go(place)
    assert sorted((trial.number, trial.state) for trial in done) == [(0, "complete"), (1, "failed"), (2, "complete"), (3, "failed")]
    assert (str(error) or "MemoryError") in done[-1].why


def test_any_other_error_ends_the_sweep(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(sweep, "_runs", broken)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        go(place)


def test_a_trial_that_another_process_is_at_is_left_to_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = trials.fcntl.lockf

    def taken(file: Any, how: int) -> None:
        if "0001" in file.name:
            raise BlockingIOError
        lock(file, how)

    monkeypatch.setattr(trials.fcntl, "lockf", taken)
    one, done = go(place)
    assert sorted(trial.number for trial in done) == [0, 2, 3]
    assert "3 of 4 trials complete" in sweep_report.to_text(one, done)
    assert "1 of 4 trials are not done: other processes are at them" in sweep_report.to_text(one, done)


def test_random_trials_lie_in_their_ranges_and_depend_on_their_number_alone(place: Path) -> None:
    settings = ("epochs=1", "lr=log:1e-4:1e-2", "hidden=2:6", "dropout=0:0.5", "pooling=mean")
    _, done = go(place, method="random", trials=6, settings=settings)
    assert all(1e-4 <= float(t.settings["lr"]) <= 1e-2 and t.settings["hidden"] in "23456" for t in done)
    assert len({t.settings["lr"] for t in done}) == 6
    go(place, method="random", trials=3, settings=settings, name="again")
    assert numbers(go(place, method="random", trials=6, settings=settings, name="again")[1]) == numbers(done)


def ours(number: int) -> contextlib.nullcontext[bool]:
    """A claim that nobody else has."""
    return contextlib.nullcontext(True)


def test_tpe_looks_where_the_scores_are_high(tmp_path: Path) -> None:
    space = parse(["lr=0.1:1"], linear.Config())
    seen: list[float] = []

    def judge(number: int, settings: Any, report: Any) -> Trial:
        seen.append(float(settings["lr"]))
        judged = trials.Judged(fold="1", seed=0, epoch=1, epochs=1, ua=1 - abs(seen[-1] - 0.8), loss=1.0)
        return Trial(number=number, settings=settings, state="complete", runs=(judged,))

    study.search(tmp_path / "journal.log", space, "tpe", "ua", prune=False, judge=judge, wanted=30, claimed=ours)
    assert sum(abs(lr - 0.8) for lr in seen[20:]) < 0.5 * sum(abs(lr - 0.8) for lr in seen[:10])


def test_a_trial_behind_the_median_is_stopped_and_listed(tmp_path: Path) -> None:
    space = parse(["lr=1,2"], linear.Config())
    seen: list[str] = []

    def judge(number: int, settings: Any, report: Any) -> Trial:
        try:
            for epoch in range(1, 21):
                report(epoch, 0.1 if number == 7 else 0.5)
        except trials.Pruned:
            seen.append(f"{number} pruned in epoch {epoch}")
            return Trial(number=number, settings=settings, state="pruned")
        seen.append(str(number))
        judged = trials.Judged(fold="1", seed=0, epoch=1, epochs=1, ua=0.5, loss=1.0)
        return Trial(number=number, settings=settings, state="complete", runs=(judged,))

    study.search(tmp_path / "journal.log", space, "random", "ua", prune=True, judge=judge, wanted=8, claimed=ours)
    assert seen == ["0", "1", "2", "3", "4", "5", "6", f"7 pruned in epoch {study.WARMUP}"]


def test_a_pruned_trial_is_kept_without_a_score(place: Path) -> None:
    one, _ = go(place)

    def behind(step: int, score: float) -> None:
        raise trials.Pruned

    assert sweep.judge(one, 9, {"lr": "0.02", "hidden": "4"}, behind) == trials.load(one.folder)[-1]
    assert trials.ranked(trials.load(one.folder), "ua")[-1].state == "pruned"


@pytest.mark.parametrize(("tested", "scores"), [("best", [(1, 0.3), (2, 0.5)]), ("last", [(1, 0.3), (2, 0.75)])])
def test_the_standing_is_the_mean_of_each_runs_epoch_that_would_be_tested(tested: str, scores: list[tuple[int, float]]) -> None:
    told: list[tuple[int, float]] = []
    standing = sweep._Standing("ua", lambda step, score: told.append((step, round(score, 3))), tested)
    for stack, seed, number, loss, ua in [(0, 0, 1, 2, 0.2), (0, 1, 1, 2, 0.4), (0, 0, 2, 1, 0.6), (0, 1, 2, 3, 0.9), (1, 0, 1, 1, 0.8)]:
        standing(stack, seed, number, trainer.Epoch(0.0, float(loss), ua))
    assert told == scores


def test_settings_that_break_the_training_are_a_trial_that_failed(place: Path) -> None:
    one, done = go(place, settings=("epochs=3", "hidden=4", "clip=0", "lr=0.02,1e6", "weight_decay=0", "layer_lr=1e6"))
    assert [trial.state for trial in done] == ["complete", "failed"]
    assert "the loss is nan in epoch" in done[-1].why
    assert "1 failed" in sweep_report.to_text(one, done)


def test_a_sweep_in_which_all_fails_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ProtocolError("the loss is nan")

    monkeypatch.setattr(sweep, "_runs", broken)
    with pytest.raises(ProtocolError, match="no trial is complete: the loss is nan"):
        go(place)
    with pytest.raises(ProtocolError, match="no trial is complete: there was no time for one"):
        go(place, timeout=0.0, name="late")


def test_nested_tests_each_fold_with_what_its_own_validation_chose(place: Path) -> None:
    one, done = go(place, nested=True, seeds=(0, 3))
    favoured = {"Ses1": 0, "Ses2": 3, "Ses3": 3}
    fixed = [replace(t, runs=tuple(replace(run, ua=float(favoured[run.fold] == t.number)) for run in t.runs)) for t in done]
    found = nested.nested(one, fixed, quiet=True)
    of = {t.number: t.settings for t in done}
    assert {choice.folds: choice.settings for choice in found.choices} == {("Ses1",): of[0], ("Ses2", "Ses3"): of[3]}
    assert [(run.fold, run.seed) for run in found.result.scores.runs] == [(f"Ses{fold}", seed) for seed in (0, 3) for fold in (1, 2, 3)]
    for number, folds in ((0, ["Ses1"]), (3, ["Ses2", "Ses3"])):
        settings = ("epochs=3", *(f"{name}={value}" for name, value in of[number].items()))
        alone = experiment.run(ask(place, settings=settings, seeds=(0, 3)), open_cache(place / "cache"), quiet=True).scores.runs
        for one_run, other in zip(found.result.scores.runs, alone, strict=True):
            if one_run.fold in folds:
                assert replace(one_run, seconds=0.0) == replace(other, seconds=0.0)
    config = json.loads((found.result.path / runfolder.CONFIG).read_text())
    assert [entry["folds"] for entry in config["settings_of_folds"]] == [["Ses1"], ["Ses2", "Ses3"]]
    assert "settings chosen for each fold alone among 4 trials" in config["selection"]
    assert {"epochs is 3; Pepino's code has 100", "fold Ses1: lr is 0.02; the paper has 0.001"} <= set(config["deviations"])


def test_nested_says_what_holds_for_a_fold_alone_and_the_command_that_made_it(place: Path) -> None:
    one, done = go(place, nested=True, name="mine", settings=("epochs=1", "batch=9,18", "tested=best,last"))
    favoured = {"Ses1": 0, "Ses2": 3, "Ses3": 3}
    fixed = [replace(t, runs=tuple(replace(run, ua=float(favoured[run.fold] == t.number)) for run in t.runs)) for t in done]
    found = nested.nested(one, fixed, quiet=True)
    notes = [note for note in found.result.notes if "a step takes" in note]
    assert [note.partition(" utterances")[0] for note in notes] == ["fold Ses1: a step takes 10", "fold Ses2, Ses3: a step takes 20"]
    config = json.loads((found.result.path / runfolder.CONFIG).read_text())
    assert config["selection"].count("lowest validation loss; the test part") == 1
    assert "or the last epoch, whatever the validation loss" in config["selection"]
    assert config["command"].startswith("emocache sweep linear --corpus toy --encoders enc --protocol loso --set epochs=1 --set batch=9,18")
    assert "--name mine" in config["command"]
    assert "--nested" in config["command"]


def test_nested_waits_for_no_trial_of_another_process_but_says_so(place: Path) -> None:
    one, done = go(place, nested=True)
    with pytest.raises(ProtocolError, match="1 of 4 trials are at other processes; repeat it when they are done"):
        nested.nested(one, done[1:], quiet=True)
    assert [path.name for path in (place / "runs").iterdir()] == [one.target.name]


def test_two_processes_never_test_the_folds_into_one_folder(place: Path) -> None:
    one, done = go(place, nested=True, name="mine")
    target = place / "runs" / "mine-nested"
    with runfolder.alone(target, ""), pytest.raises(UsageError, match="another training is at work on it"):
        nested.nested(one, done, quiet=True)
    assert not target.exists()


def test_the_command_prints_a_table_the_bias_and_a_command_that_can_be_run(
    place: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    command = "sweep linear --encoders enc --protocol loso --cache cache --device cpu --set epochs=2 --set hidden=4 --set lr=0.02,0.01"
    assert shell.run(command) == 0
    assert "2 of 2 trials complete, 0 pruned, 0 failed; by highest mean validation UA" in shell.out
    assert sweep_report.BIASED in shell.out
    train = shell.out.strip().splitlines()[-1].removeprefix("train     emocache ")
    (folder,) = (place / "runs").iterdir()
    saved = json.loads((folder / "sweep.json").read_text())
    assert saved["command"] == f"emocache {train}"
    assert [float(row["validation_ua"]) for row in csv.DictReader((folder / "trials.csv").read_text().splitlines())] == [
        pytest.approx(one["ua"], abs=1e-4) for one in saved["trials"]
    ]
    assert shell.run(train) == 0
    assert shell.run(f"{command} --nested --json") == 0
    found = json.loads(shell.out)
    assert found["trials"] == saved["trials"], "what was tried is not tried again"
    assert found["nested"]["result"]["n"] == len(MEMBERS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": ("lr=0.1",)}, "nothing to sweep over"),
        ({"settings": ("lr=0.1,0.2", "lr=0.3")}, "--set lr: given twice"),
        ({"settings": ("lr=1:2",)}, "a range goes with --method random or tpe"),
        ({"settings": ("lr=a:2",), "method": "tpe"}, "expected LOW:HIGH"),
        ({"settings": ("lr=2:1",), "method": "tpe"}, "expected a lower end, then a higher one"),
        ({"settings": ("weight_decay=0:inf",), "method": "tpe"}, "then a higher one, both finite"),
        ({"settings": ("refit=true,false",)}, "cannot be judged on it; give one value"),
        ({"settings": ("lr=log:0:1",), "method": "tpe"}, "expected a lower end above 0"),
        ({"settings": ("hidden=1.5:3",), "method": "tpe"}, "expected whole numbers"),
        ({"settings": ("pooling=1:3",), "method": "tpe"}, "for it is no number"),
        ({"settings": ("dropout=0:1.5",), "method": "tpe"}, "dropout is 1.5, expected"),
        ({"settings": ("hidden=4,many",)}, "--set hidden=many: expected a whole number"),
        ({"settings": ("hiden=4,8",)}, "no such setting"),
        ({"method": "best"}, "--method best: expected one of grid, random, tpe"),
        ({"objective": "wa"}, "--objective wa: expected one of ua, loss"),
        ({"trials": 3}, "a grid tries every combination"),
        ({"method": "tpe", "nested": True}, "--nested cannot go with tpe"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_line(place: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        go(place, **changes)
    assert "\n" not in str(error.value)
    assert not (place / "runs").exists()


def test_without_optuna_its_methods_say_what_to_install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'needs Optuna: pip install "emocache\[sweep\]"'):
        go(place, method="random")
    assert len(go(place)[1]) == 4


def test_the_name_of_one_sweep_is_never_given_to_another(place: Path) -> None:
    go(place, name="mine")
    with pytest.raises(UsageError, match="holds another experiment"):
        go(place, name="mine", seeds=(1,))
    with pytest.raises(UsageError, match="is there and is no run of emocache"):
        plan(ask(place, name="mine", settings=()), open_cache(place / "cache"))
