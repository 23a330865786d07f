"""The search for recurrent cells, the fusion of two branches, and the tables that need both, on a corpus of a few utterances."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache.errors import UsageError
from heads import finished, fuse, recipes, reproduce, stored, sweep
from heads.emotionnas import cellfile, fusion
from heads.emotionnas.fusion import Pairs
from heads.recipes.emotionnas import RECIPE as CELL
from heads.recipes.emotionnas import fused
from heads.wish import Wish
from tests.heads.toy import EMOTIONS, corpus, extract, utterances
from tests.shell import Shell

TINY = "--set layers=1 --set width=4 --set frames=2 --set epochs=1 --set lr=0.01 --set normalise=global"
SEARCH = f"search recurrent --corpus toy --encoders enc --protocol emotionnas --recipes 2 -q {TINY}"


@pytest.fixture
def ready(shell: Shell) -> Shell:
    """A prepared corpus of 3 sessions, with speech of two kinds."""
    members = utterances(takes=1)
    corpus(Path("data"), members)
    extract(Path("cache"), members, "enc")
    extract(Path("cache"), members, "other", seed=1)
    return shell


def test_a_search_trains_every_cell_tests_each_folds_best_and_leaves_its_file_and_picture(ready: Shell) -> None:
    assert ready.run(f"{SEARCH} --name found --json") == 0
    said = json.loads(ready.out)
    assert [one["state"] for one in said["trials"]] == ["complete", "complete"]
    assert said["trials"][0]["validation_loss"] <= said["trials"][1]["validation_loss"]
    trials = [json.loads(path.read_text()) for path in sorted(Path("runs/found/trials").glob("*.json"))]
    run = stored.read(Path("runs/found-nested"))
    for name in dict.fromkeys(run.predictions.folds):
        kept = cellfile.load(Path(f"runs/found/cells/{name}.json"))
        losses = {one["settings"]["genotype"]: next(r["loss"] for r in one["runs"] if r["fold"] == name) for one in trials}
        assert kept.cell.setting == min(losses, key=losses.__getitem__)
        assert kept.found["validation_loss"] == min(losses.values())
        assert Path(f"runs/found/cells/{name}.svg").read_text().startswith("<svg xmlns")
    again = f"train cell --genotype runs/found/cells/{name}.json --corpus toy --encoders other --layers last --protocol loso"
    assert ready.run(f"{again} {TINY} -q") == 0


def test_a_search_that_was_killed_goes_on_to_the_same_result(ready: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready.run(f"{SEARCH} --runs whole --json") == 0
    whole, judge = json.loads(ready.out), sweep.judge

    def killed(of: sweep.Sweep, number: int, *rest: object) -> object:
        if number == 1:
            raise KeyboardInterrupt
        return judge(of, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "judge", killed)
    assert ready.run(f"{SEARCH} --runs parted --json") != 0
    monkeypatch.setattr(sweep, "judge", judge)
    (kept,) = Path("parted").glob("*/trials/0000.json")
    before = kept.stat().st_mtime_ns
    assert ready.run(f"{SEARCH} --runs parted --json") == 0
    again = json.loads(ready.out)
    assert kept.stat().st_mtime_ns == before
    assert [one["cell"] for one in again["trials"]] == [one["cell"] for one in whole["trials"]]
    assert (again["result"]["confusion"], again["choices"]) == (whole["result"]["confusion"], whole["choices"])


def test_the_test_part_has_no_say_in_a_search(ready: Shell) -> None:
    parts = {"s4": "dev", "s5": "test"}
    members = [replace(one, fold=None, split=parts.get(one.speaker or "", "train")) for one in utterances(takes=1)]
    other = {"ang": "hap", "hap": "sad", "sad": "ang"}
    found = []
    for runs, names in (("right", {}), ("wrong", other)):
        corpus(
            Path("data"),
            [replace(one, emotion=names.get(one.emotion or "", one.emotion)) if one.split == "test" else one for one in members],
        )
        assert ready.run(f"{SEARCH.replace('emotionnas', 'given')} --runs {runs} --json") == 0
        found.append(json.loads(ready.out))
    right, wrong = ([(one["cell"], one["validation_loss"]) for one in said["trials"]] for said in found)
    assert right == wrong
    told = [(Path(said["result"]["path"]) / "predictions.csv").read_text() for said in found]
    assert told[0] != told[1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--recipes 0", "expected 1 to 1000"),
        ("--set genotype=x.json", "a search draws its cells"),
        ("--layers all", "give --layers last"),
    ],
)
def test_what_cannot_be_searched_is_one_line(ready: Shell, more: str, words: str) -> None:
    assert ready.run(f"{SEARCH} {more}") == 2
    assert words in ready.err


PARTS = "--corpus toy --encoders spectrogram-140=enc,wav2vec1-large=other --cells 1 --max-epochs 1 --set frames=2 -q"


def test_nothing_that_learns_from_the_validation_part_takes_the_test_part_for_it(ready: Shell) -> None:
    """The network of the search learns its architecture weights from it, a recurrent search its cell, the fusion its weights."""
    assert ready.run("train supernet --corpus toy --encoders enc --layers last --protocol emotionnas --select test -q") == 2
    assert "supernet learns from the validation part, and would from the test part" in ready.err
    assert ready.run(f"reproduce emotionnas-table2 {PARTS} --rows derived-3-6 --select test") == 2
    assert "the cells would be chosen on the test part" in ready.err
    assert ready.run(f"reproduce emotionnas-table2 {PARTS} --rows rnn-2-256 --select test") == 2
    assert "the cells would be chosen on the test part" in ready.err


@pytest.mark.parametrize(
    ("option", "words"), [("--select test", "validated on its test part"), ("--set refit=true", "cannot judge the fusion")]
)
def test_runs_without_a_validation_part_of_their_own_are_not_fused(ready: Shell, option: str, words: str) -> None:
    Path("cell.json").write_text(json.dumps({"format": 1, "kind": "recurrent", "cell": CELL}))
    train = f"train cell --genotype cell.json --corpus toy --layers last --protocol emotionnas {TINY} -q {option}"
    for name in ("enc", "other"):
        assert ready.run(f"{train} --encoders {name} --name {name}") == 0
    assert ready.run("fuse runs/enc runs/other --learns validation") == 2
    assert words in ready.err


def test_a_cell_from_a_file_says_that_its_search_may_have_seen_who_is_tested(ready: Shell) -> None:
    Path("cell.json").write_text(json.dumps({"format": 1, "kind": "recurrent", "cell": CELL}))
    assert (
        ready.run(f"train cell --genotype cell.json --corpus toy --encoders enc --layers last --protocol emotionnas {TINY} -q --json") == 0
    )
    said = "tested utterances may have had a say in it"
    assert any(said in note for note in json.loads(ready.out)["notes"])
    assert ready.run(f"{SEARCH} --json") == 0
    assert not any(said in note for note in json.loads(ready.out)["result"]["notes"])


def test_a_table_without_weights_is_refused_before_any_training(ready: Shell) -> None:
    assert ready.run(f"reproduce emotionnas-table2 {PARTS} --no-weights") == 2
    assert "--no-weights: the cells of derived-3-6 are read from the weights of a search" in ready.err
    assert not Path("runs").exists()
    train = "train supernet --corpus toy --encoders enc --layers last --protocol emotionnas --name s -q"
    small = "--set layers=2 --set channels=2 --set frames=2 --set epochs=1"
    assert ready.run(f"{train} {small} --no-weights") == 0
    assert ready.run(f"{train.replace('train supernet', 'search spectrogram')} {small}") == 2
    assert "an earlier call had --no-weights" in ready.err


def branches(ready: Shell) -> tuple[Path, Path]:
    """Two runs that keep what they say of what they learnt from."""
    assert ready.run(f"{SEARCH} --name a") == 0
    assert ready.run(f"{SEARCH.replace('--encoders enc', '--encoders other')} --name b") == 0
    return Path("runs/a-nested"), Path("runs/b-nested")


def test_two_branches_are_fused_by_what_they_kept_of_the_parts_that_they_learnt_from(ready: Shell) -> None:
    first, second = branches(ready)
    for number, fold in enumerate(json.loads((first / "splits.json").read_text())):
        said = finished.said(first / "checkpoints" / f"{number}-0.safetensors")
        assert {part: len(one.probabilities) for part, one in said.items()} == {part: len(fold[part]) for part in ("train", "validation")}
        assert [EMOTIONS[label] for label in said["train"].labels] == [name.split("-")[1] for name in fold["train"]]
    assert ready.run(f"fuse {first} {second} --name both --json") == 0
    said = json.loads(ready.out)
    run = stored.read(Path("runs/both"))
    assert (run.head, said["parameters"]) == ("emotionnas", sum(stored.read(one).parameters for one in (first, second)) + 42 + 21 + 12)
    assert run.predictions.ids == stored.read(first).predictions.ids
    assert ready.run(f"fuse {first} {second} --learns validation --name other --json") == 0
    assert json.loads(ready.out)["notes"] != said["notes"]
    shutil.rmtree(second / "checkpoints")
    with pytest.raises(UsageError, match="lacks what the run says of its train part"):
        fuse.fuse(first, second, Path("runs"))


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--learns test: expected one of train, validation"):
        fuse.fuse(Path("a"), Path("b"), Path("runs"), learns="test")


def test_the_fusion_learns_which_branch_to_believe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "LR", 0.02)
    monkeypatch.setattr(fusion, "EPOCHS", 40)
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (64,), generator=draw)
    right = torch.nn.functional.one_hot(labels, 4).float()
    noise = torch.rand(64, 4, generator=draw).softmax(1)
    pairs = Pairs(torch.cat([noise, right], 1), labels)
    model = fusion.train(pairs, pairs, 4, seed=2)
    assert sum(weight.numel() for weight in model.parameters()) == 128
    assert np.mean(fusion.predict(model, pairs.shares).argmax(1) == labels.numpy()) > 0.9


def test_the_fusion_keeps_the_epoch_that_judges_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "EPOCHS", 20)
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (64,), generator=draw)
    learnt = Pairs(torch.nn.functional.one_hot(labels, 4).float().repeat(1, 2), labels)
    against = Pairs(learnt.shares, (labels + 1) % 4)
    kept, last = (fusion.train(learnt, judged, 4, seed=0) for judged in (against, None))
    assert fusion.loss_of(kept, against) < fusion.loss_of(last, against)


def test_a_row_whose_cell_is_searched_is_marked_and_beside_the_papers_number(ready: Shell) -> None:
    small = "--rows rnn-1-128 --cells 1 --max-epochs 1 --set frames=2"
    assert ready.run(f"reproduce emotionnas-table4 --corpus toy --encoders wav2vec1-large=enc {small} -q --json") == 0
    row = next(one for one in json.loads(ready.out)["rows"] if one["name"] == "rnn-1-128")
    assert row["paper"] == {"ua": 69.4}
    assert {"other corpus", "other features", "reduced"} <= set(row["marks"])
    assert "1 of 20 recurrent cells" in row["reduced"]
    assert stored.read(Path(row["run"])).head == "cell"


def test_a_fused_row_says_what_its_parts_say_and_what_is_said_of_the_fusion(ready: Shell) -> None:
    whole = recipes.recipe("emotionnas-table4")
    small = [replace(row, name=name, settings=(*row.settings, "layers=1", "width=4")) for row, name in zip(whole.rows, "ab", strict=True)]
    sources = [replace(row.sources[0], encoder=encoder) for row, encoder in zip(small, ("enc", "other"), strict=True)]
    small = [replace(row, sources=(source,)) for row, source in zip(small, sources, strict=True)]
    table = replace(whole, corpus="toy", utterances=10, rows=(*small, fused("both", *small)))
    wish = Wish(recipe=table, corpus="toy", encoders={}, max_epochs=1, cells=1, settings=("frames=2",))
    both = reproduce.reproduce(wish, quiet=True).lines[-1].ours
    assert both is not None
    assert any(text.startswith("fusion: the paper prints neither a batch") for text in both.deviations)
    assert any(text.startswith("18 utterances; the paper has 10") for text in both.deviations)
    assert {"other utterances", "other settings"} <= set(both.marks)


def test_every_table_of_the_paper_is_there_with_its_rows() -> None:
    rows = {number: [row.name for row in recipes.recipe(f"emotionnas-table{number}").rows] for number in range(1, 5)}
    assert rows[2] == ["supernet-3-6", "derived-3-6", "rnn-2-256", "emotionnas", "emotionnas-derived"]
    assert rows[4] == ["rnn-1-128", "rnn-2-256"]
    assert len(rows[1]) == 10
    assert len(rows[3]) == 8
