"""Processes that share the folds: the same numbers, one line when one fails, and nothing lost."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from emocache.errors import EmocacheError, ProtocolError
from emocache.store import open_cache
from heads import experiment, jobs, memory, worker
from heads.plan import Experiment, plan
from tests.heads.toy import corpus, extract, utterances

MEMBERS = utterances()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A prepared corpus and its cache."""
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    return tmp_path


def ask(place: Path, name: str) -> Experiment:
    return Experiment(
        head="linear", corpus="toy", encoders=("enc",), protocol="loso", seeds=(0, 3), settings=("epochs=3", "hidden=8", "lr=0.02"),
        runs=place / "runs", data=place / "data", device="cpu", name=name,
    )  # fmt: skip


def test_processes_that_share_the_folds_give_the_same_bits(place: Path) -> None:
    cache = open_cache(place / "cache")
    alone = experiment.run(ask(place, "alone"), cache, quiet=True)
    shared = experiment.run(replace(ask(place, "shared"), runs=place / "others"), cache, jobs=2, quiet=True)
    for name in ("predictions.csv", "curves.json", "splits.json", "embeddings.npy"):
        assert (alone.path / name).read_bytes() == (shared.path / name).read_bytes(), name
    assert shared.scores.ua == alone.scores.ua
    assert [path.name for runs in ("runs", "others") for path in (place / runs).iterdir()] == ["alone", "shared"]


def test_the_parent_trains_nothing_and_reads_no_features_when_the_processes_are_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spread(tasks: list[jobs.Task], *_: object, **__: object) -> None:
        for task in tasks:
            worker.work(json.loads(json.dumps(task.about, default=str)))
        monkeypatch.setattr(experiment, "load", None)

    monkeypatch.setattr(experiment, "spread", spread)
    assert len(experiment.run(ask(place, "mine"), open_cache(place / "cache"), jobs=3, quiet=True).scores.runs) == 6


def test_no_run_belongs_to_two_processes_and_none_to_nobody(place: Path) -> None:
    planned = plan(ask(place, "mine"), open_cache(place / "cache"))
    grid = experiment.grid_of(planned, experiment.examples_of(planned, torch.device("cpu"), quiet=True), torch.device("cpu"))
    shares = [task.about["share"] for task in experiment._tasks(planned, torch.device("cpu"), 2)]
    assert sorted(stack for first, count in shares for stack in grid.stacks()[first::count]) == sorted(grid.stacks())


def test_gpus_are_shared_out_in_turn_unless_one_was_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(ask(place, "mine"), open_cache(place / "cache"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    several, one = (experiment._tasks(planned, torch.device(name), 3) for name in ("cuda", "cuda:1"))
    assert [(task.about["ask"]["device"], task.sharers) for task in several] == [("cuda:0", 2), ("cuda:1", 1), ("cuda:0", 2)]
    assert [(task.about["ask"]["device"], task.sharers) for task in one] == [("cuda:1", 3)] * 3


def test_the_memory_is_shared_by_as_many_processes_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free_bytes", lambda device: 900)
    assert memory.free_bytes(torch.device("cpu")) == 900
    monkeypatch.setenv(memory.SHARERS, "3")
    assert memory.free_bytes(torch.device("cpu")) == 300


def test_a_process_that_fails_is_one_line_and_stops_the_others(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[jobs._Worker] = []
    start = jobs._start

    def broken(task: jobs.Task) -> jobs._Worker:
        wrong = {**task.about["ask"], "corpus": "tyo"} if task.about["share"][0] == 1 else task.about["ask"]
        started.append(start(replace(task, about={**task.about, "ask": wrong})))
        return started[-1]

    monkeypatch.setattr(jobs, "_start", broken)
    with pytest.raises(EmocacheError, match=r"^[^\n]*no corpus 'tyo'; there are: toy \(in one of 2 jobs[^\n]*$"):
        experiment.run(replace(ask(place, "mine"), settings=("epochs=1000000", "patience=1000000")), open_cache(place / "cache"), jobs=2)
    assert [one.process.poll() is not None for one in started] == [True, True]


def test_an_interruption_ends_the_processes_and_keeps_what_is_finished(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[jobs._Worker] = []
    start = jobs._start

    def noted(task: jobs.Task) -> jobs._Worker:
        started.append(start(task))
        return started[-1]

    def interrupted(folders: list[Path]) -> int:
        if count := len(list(folders[-1].glob("*.safetensors"))):
            raise KeyboardInterrupt
        return count

    monkeypatch.setattr(jobs, "_start", noted)
    monkeypatch.setattr(jobs, "_finished", interrupted)
    monkeypatch.setattr(jobs, "POLL_S", 0.001)
    planned = plan(ask(place, "mine"), open_cache(place / "cache"))
    with pytest.raises(KeyboardInterrupt):
        experiment.carry_out(planned, jobs=2, quiet=True)
    assert [one.process.poll() is not None for one in started] == [True, True]
    assert list(experiment.folders_of(planned)[-1].glob("*.safetensors"))
    assert experiment.carry_out(planned, quiet=True).scores.tested == len(MEMBERS)


def test_what_lies_in_the_current_folder_is_never_taken_for_a_module(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "heads").mkdir()
    (place / "heads" / "__init__.py").touch()
    (place / "random.py").write_text("raise SystemExit('not the one of Python')")
    monkeypatch.chdir(place)
    assert experiment.run(ask(place, "mine"), open_cache(place / "cache"), jobs=2, quiet=True).scores.tested == len(MEMBERS)


def test_a_process_ends_with_its_parent(place: Path) -> None:
    long = replace(ask(place, "mine"), settings=("epochs=1000000", "patience=1000000"))
    planned = plan(long, open_cache(place / "cache"))
    (task,) = experiment._tasks(planned, torch.device("cpu"), 1)
    one = jobs._start(task)
    assert one.process.stdin
    one.process.stdin.close()
    assert one.process.wait(timeout=60) == 1
    one.said.seek(0)
    assert one.said.read() == b""
    one.said.close()


def test_a_process_refuses_a_corpus_that_is_not_the_parents(place: Path) -> None:
    about = {"ask": asdict(ask(place, "mine")), "cache": place / "cache", "digest": "another", "share": [0, 1]}
    with pytest.raises(ProtocolError, match="changed while the run began"):
        worker.work(about)


def test_an_experiment_comes_out_of_json_as_it_went_in(place: Path) -> None:
    one = ask(place, "mine")
    assert worker.experiment_of(json.loads(json.dumps(asdict(one), default=str))) == one
