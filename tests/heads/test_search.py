import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from heads import handmade, supernet
from heads.begun import Begun
from heads.config import override
from heads.data import Examples
from heads.emotionnas.baselines import GUESSES, class_losses, statistics
from heads.emotionnas.search import Searcher
from heads.trainer import Epoch, Fitted, Parts, fit
from tests.heads import toy
from tests.heads.toy_searched import config, emocache, image_input

MEMBERS = toy.utterances(takes=1)


def material() -> tuple[Examples, Parts]:
    """Four speakers to train on, one to validate, one to test."""
    examples, _ = toy.examples(MEMBERS, layers=1, strength=4.0)
    each = len(MEMBERS) // 6
    train, validation, test = torch.arange(4 * each), torch.arange(4 * each, 5 * each), torch.arange(5 * each, 6 * each)
    return examples, Parts(train, validation, test, train)


def fitted(
    *settings: str, begun: Begun | None = None, on_epoch: Callable[[int, int, Epoch], None] = lambda *_: None, **other: Tensor
) -> Fitted:
    examples, parts = material()
    made = config("epochs=2", *settings)
    examples = replace(examples, **other)  # type: ignore[arg-type]
    return fit(supernet, made, [image_input()], examples, [parts], classes=3, seeds=[0], begun=begun, on_epoch=on_epoch)[0]


def same(one: Fitted, other: Fitted) -> bool:
    weights = all(torch.equal(one.last[name], other.last[name]) and torch.equal(one.best[name], other.best[name]) for name in one.last)
    return weights and one.curve == other.curve and (one.probabilities == other.probabilities).all()


@pytest.mark.parametrize("order", ["first", "second", "second-order-exact"])
def test_architecture_weights_move_and_a_seed_gives_the_same_search(order: str):
    found = fitted(f"order={order}", "epochs=1")
    torch.manual_seed(0)
    begun = supernet.build(config(), [image_input()], 3).alphas
    assert (found.last["alphas"] != begun).all()
    assert same(found, fitted(f"order={order}", "epochs=1"))


def test_orders_give_different_architecture_weights():
    found = [fitted(f"order={order}").last["alphas"] for order in ("first", "second", "second-order-exact")]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_architecture_weights_learn_from_the_validation_part_and_never_from_the_test_part():
    examples, parts = material()
    wrong = examples.labels.clone()
    wrong[parts.test] = (wrong[parts.test] + 1) % 3
    assert torch.equal(fitted().last["alphas"], fitted(labels=wrong).last["alphas"])
    wrong[parts.validation] = (wrong[parts.validation] + 1) % 3
    assert not torch.equal(fitted().last["alphas"], fitted(labels=wrong).last["alphas"])


def test_a_validation_part_smaller_than_a_batch_begins_anew():
    examples, parts = material()
    learner = Searcher(supernet, config("batch=4"), [image_input()], examples, parts.train, None, 3, [0], parts.validation)
    drawn = learner._validating(3)
    assert [sorted(one.tolist()) for one in drawn] == [parts.validation.tolist()] * 3


def test_the_learning_rate_falls_to_its_end():
    examples, parts = material()
    made = config("epochs=4", "lr=0.1", "lr_end=0.02")
    learner = Searcher(supernet, made, [image_input()], examples, parts.train, None, 3, [0], parts.validation)
    rates = [0.1 * learner._factor(epoch) for epoch in range(5)]
    assert rates == pytest.approx([0.1, 0.088284, 0.06, 0.031716, 0.02], abs=1e-6)


class Stop(Exception):
    """Ends a training."""


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_search_that_was_stopped_goes_on_to_the_same_result(tmp_path: Path, order: str):
    seen: list[int] = []

    def stop(seed: int, number: int, epoch: Epoch) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise Stop

    begun = Begun(tmp_path / "0-0.begun", "d")
    with pytest.raises(Stop):
        fitted(f"order={order}", begun=begun, on_epoch=stop)
    found = fitted(f"order={order}", begun=begun, on_epoch=lambda seed, number, epoch: seen.append(number))
    assert seen == [1, 2, 2]
    assert same(found, fitted(f"order={order}"))


def test_what_another_run_left_or_what_is_damaged_is_begun_anew(tmp_path: Path):
    kept = Begun(tmp_path / "0-0.begun", "d")
    fitted(begun=kept)
    assert kept.load()
    assert Begun(kept.path, "other").load() is None
    kept.path.write_bytes(kept.path.read_bytes()[:100])
    assert kept.load() is None
    assert same(fitted(begun=kept), fitted())


@pytest.mark.parametrize("network", list(GUESSES))
def test_networks_made_by_hand_learn_and_name_their_guesses(network: str):
    examples, parts = material()
    made = override(handmade.Config(), [f"network={network}", "epochs=20", "batch=4", "frames=16"])
    found = fit(handmade, made, [image_input()], examples, [parts], classes=3, seeds=[0])[0]
    assert min(epoch.train_loss for epoch in found.curve) < found.curve[0].train_loss
    assert max(epoch.validation_ua for epoch in found.curve) > 0.4
    assert any(line.startswith(network) for line in handmade.deviations(made, [image_input()]))


def test_the_loss_of_a_class_is_that_of_every_path_that_says_it_once():
    shares = torch.tensor([[[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]]])  # two rows: classes 0 and 1, then the blank
    said = (-class_losses(shares.log())).exp()
    torch.testing.assert_close(said, torch.tensor([[0.5 * 0.1 + 0.5 * 0.3 + 0.3 * 0.1, 0.2 * 0.6 + 0.2 * 0.3 + 0.3 * 0.6]]))


def test_statistics_over_frames_are_largest_smallest_mean_and_share():
    found = statistics(torch.tensor([[[0.1, 0.9], [0.3, 0.7]]]))
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.9, 0.1, 0.7, 0.2, 0.8, 0.5, 1.0]]))


OPTIONS = (
    "--corpus", "toy", "--encoders", "enc", "--protocol", "emotionnas", "--set", "layers=2", "--set", "channels=2", "--set", "frames=4",
    "--set", "epochs=1", "--set", "batch=16",
)  # fmt: skip
"""Of a search on the toy corpus."""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    folder = tmp_path_factory.mktemp("searched")
    toy.corpus(folder / "data", MEMBERS)
    (folder / "cache").mkdir()
    toy.extract(folder / "cache", MEMBERS, "enc", layers=1)
    said = emocache("search", "spectrogram", *OPTIONS, "--retrain", "epochs=1", "--name", "s", "--json", *where(folder))
    assert said.exit_code == 0, said.stderr
    return json.loads(said.stdout), folder


def where(folder: Path) -> tuple[str, ...]:
    return ("--data", str(folder / "data"), "--cache", str(folder / "cache"), "--runs", str(folder / "runs"), "--quiet")


def test_both_the_network_of_the_search_and_the_derived_ones_are_scored(searched: tuple[dict[str, object], Path]):
    found, folder = searched
    assert found["supernet"]["n"] == found["derived"]["n"] == len(MEMBERS) // 2
    assert found["supernet"]["head"] == "supernet"
    assert found["derived"]["head"] == "cell"
    assert found["supernet"]["parameters"] > found["derived"]["parameters"]
    assert (folder / "runs" / "s-derived" / "predictions.csv").is_file()


def test_each_fold_leaves_its_cell_with_how_it_was_found_and_a_picture(searched: tuple[dict[str, object], Path]):
    found, folder = searched
    files = sorted((folder / "runs" / "s" / "cells").iterdir())
    assert [file.name for file in files] == ["0-0.json", "0-0.svg", "1-0.json", "1-0.svg", "2-0.json", "2-0.svg"]
    about = json.loads(files[0].read_text())
    assert about["kind"] == "convolutional"
    assert about["found"]["fold"] == "Ses1"
    assert about["found"]["settings"]["channels"] == 2
    assert about["found"]["validation_loss"] > 0
    cells = json.loads((folder / "runs" / "s-derived" / "config.json").read_text())["cells"]
    assert [one["normal"] for one in cells] == [one["cell"]["normal"] for one in found["cells"]]


def test_a_finished_search_is_not_done_again(searched: tuple[dict[str, object], Path]):
    found, folder = searched
    again = emocache("search", "spectrogram", *OPTIONS, "--retrain", "epochs=1", "--name", "s", "--json", *where(folder))
    assert json.loads(again.stdout)["derived"]["ua"] == found["derived"]["ua"]
    assert not list((folder / "runs").glob("**/*.begun"))


def test_a_searched_cell_is_trained_from_its_file_and_again_without_it(searched: tuple[dict[str, object], Path], tmp_path: Path):
    _, folder = searched
    file = tmp_path / "cell.json"
    file.write_text((folder / "runs" / "s" / "cells" / "0-0.json").read_text())
    asked = (
        "--corpus",
        "toy",
        "--encoders",
        "enc",
        "--protocol",
        "emotionnas",
        "--set",
        "epochs=1",
        "--set",
        "frames=4",
        "--set",
        "width=2",
    )
    first = emocache("train", "cell", "--genotype", str(file), *asked, "--json", *where(folder))
    assert first.exit_code == 0, first.stderr
    command = json.loads((Path(json.loads(first.stdout)["path"]) / "config.json").read_text())["command"]
    genotype = re.search(r"genotype=({.*?})'", command)
    assert genotype
    named = emocache("train", "cell", "--set", f"genotype={file}", *asked, "--json", *where(folder))
    file.unlink()
    again = emocache("train", "cell", "--set", genotype[0][:-1], *asked, "--json", *where(folder))
    results = [json.loads(one.stdout) for one in (first, named, again)]
    assert len({one["path"] for one in results}) == 1
    assert len({json.dumps(one["ua"]) for one in results}) == 1


def test_retraining_settings_with_nothing_to_retrain_are_one_line(searched: tuple[dict[str, object], Path]):
    _, folder = searched
    said = emocache("search", "spectrogram", *OPTIONS, "--search-only", "--retrain", "epochs=1", *where(folder))
    assert said.exit_code == 2
    assert "--search-only trains none" in said.stderr


def test_a_cell_is_named_once():
    said = emocache(
        "train", "cell", "--genotype", "a.json", "--set", "genotype=b.json", "--corpus", "toy", "--encoders", "enc", "--protocol", "loso"
    )
    assert (said.exit_code, said.stdout) == (2, "")
    assert "--genotype and --set genotype=... each name a cell" in said.stderr


def test_a_genotype_goes_with_the_head_cell_alone(searched: tuple[dict[str, object], Path]):
    _, folder = searched
    file = folder / "runs" / "s" / "cells" / "0-0.json"
    said = emocache(
        "train", "linear", "--genotype", str(file), "--corpus", "toy", "--encoders", "enc", "--protocol", "loso", *where(folder)
    )
    assert said.exit_code == 2
    assert "genotype: no such setting" in said.stderr
