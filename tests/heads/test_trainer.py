"""One run: deterministic, chosen on the validation part, blind to the test part, and loud when it breaks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from emocache.errors import ProtocolError
from emocache.store import open_cache
from heads import linear, trainer
from heads.attention import AttentionBlock, padded
from heads.blocks import cross_entropy
from heads.config import Needs, override
from heads.data import Batch, Examples, Mapped, Output, PackedTensor, to_tensor
from heads.learner import OPTIMISERS, Learner, lr_factor
from heads.splits import split
from tests.heads.toy import examples, extract, utterances

MEMBERS = utterances()
FOLD = split("loso", MEMBERS)[0]
EXAMPLES, INPUT = examples(MEMBERS)
PARTS = trainer.Parts(*(EXAMPLES.indices(ids) for ids in (FOLD.train, FOLD.validation, FOLD.test, (*FOLD.train, *FOLD.validation))))
QUICK = override(linear.Config(), ["epochs=3", "hidden=16", "lr=0.01"])


def fit(data: Examples = EXAMPLES, *, config: linear.Config = QUICK, seed: int = 0, **options: Any) -> trainer.Fitted:
    return trainer.fit(linear, config, [INPUT], data, [PARTS], classes=3, seeds=[seed], **options)[0]


def changed(which: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> Examples:
    """The examples with the features of some utterances changed."""
    (one,) = EXAMPLES.inputs
    rows, _ = one.rows_of(which)
    values = one.values.clone()
    values[:, rows] = change(values[:, rows])
    return replace(EXAMPLES, inputs=(PackedTensor(values, one.offsets),))


def test_a_seed_gives_the_same_run_again_and_another_seed_another_run() -> None:
    one, again, other = fit(), fit(), fit(seed=1)
    np.testing.assert_array_equal(one.probabilities, again.probabilities)
    assert one.curve == again.curve
    assert not np.allclose(one.probabilities, other.probabilities)


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    fit()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_easy_corpus_is_learned() -> None:
    found = fit(config=override(QUICK, ["epochs=20"]))
    assert (found.probabilities.argmax(1) == EXAMPLES.labels[PARTS.test].numpy()).mean() > 0.9
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_the_test_part_has_no_say_in_what_is_learned() -> None:
    blind = replace(changed(PARTS.test, lambda x: x * 50), labels=EXAMPLES.labels.index_fill(0, PARTS.test, 0))
    assert fit(blind).curve == fit().curve


def test_the_validation_part_chooses_the_epoch_and_teaches_nothing() -> None:
    plain = override(QUICK, ["normalise=none"])
    other, usual = fit(changed(PARTS.validation, lambda x: x * 50), config=plain), fit(config=plain)
    assert [e.train_loss for e in other.curve] == [e.train_loss for e in usual.curve]
    assert [e.validation_loss for e in other.curve] != [e.validation_loss for e in usual.curve]


def test_an_epoch_says_the_ua_of_its_validation_part() -> None:
    on_validation = replace(PARTS, test=PARTS.validation)
    (found,) = trainer.fit(linear, QUICK, [INPUT], EXAMPLES, [on_validation], classes=3, seeds=[0])
    truth = EXAMPLES.labels[PARTS.validation].numpy()
    expected = balanced_accuracy_score(truth, found.probabilities.argmax(1))
    assert found.curve[found.chosen - 1].validation_ua == pytest.approx(expected)


def test_what_is_learnt_without_a_test_part_is_what_is_learnt_with_one() -> None:
    blind = replace(PARTS, test=PARTS.test[:0])
    (learnt,) = trainer.learn(linear, QUICK, [INPUT], EXAMPLES, [blind], classes=3, seeds=[0])
    assert (learnt.curve, learnt.chosen) == (fit().curve, fit().chosen)


def test_features_are_standardised_with_the_training_folds_alone() -> None:
    ((one,), _) = trainer.for_fold(linear, QUICK, [INPUT], EXAMPLES, PARTS.pool)
    assert one.moments is not None
    rows, _ = EXAMPLES.inputs[0].rows_of(PARTS.pool)
    expected = EXAMPLES.inputs[0].values[:, rows].double()
    torch.testing.assert_close(one.moments.mean.double(), expected.mean(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.moments.std.double(), expected.std(1, correction=0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [(0, 1), (1,)])
def test_seeds_that_are_trained_together_get_what_they_get_alone(layers: tuple[int, ...]) -> None:
    seeds = [3, 0, 8]
    folds = [split("loso", MEMBERS, seed=seed)[0] for seed in seeds]
    pool = EXAMPLES.indices(sorted((*folds[0].train, *folds[0].validation)))
    parts = [trainer.Parts(*(EXAMPLES.indices(ids) for ids in (fold.train, fold.validation, fold.test)), pool) for fold in folds]
    config = override(QUICK, ["epochs=25", "lr=0.05", "patience=3"])
    one = replace(INPUT, layers=layers)
    data = replace(EXAMPLES, inputs=(PackedTensor(EXAMPLES.inputs[0].values[list(layers)], EXAMPLES.inputs[0].offsets),))
    together = trainer.fit(linear, config, [one], data, parts, classes=3, seeds=seeds)
    for seed, part, found in zip(seeds, parts, together, strict=True):
        (alone,) = trainer.fit(linear, config, [one], data, [part], classes=3, seeds=[seed])
        assert (alone.chosen, len(alone.curve)) == (found.chosen, len(found.curve))
        np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-4)
        losses = [[(epoch.train_loss, epoch.validation_loss) for epoch in run.curve] for run in (found, alone)]
        np.testing.assert_allclose(*losses, rtol=1e-3, atol=1e-5)
    assert len({len(found.curve) for found in together}) > 1, "they should not all stop in the same epoch, or nothing is shown"


def test_accumulated_steps_are_one_step_of_a_larger_batch() -> None:
    one, several = (override(QUICK, ["clip=0", "dropout=0", *more]) for more in (["batch=40"], ["batch=20", "accumulate=2"]))
    pair = [fit(config=config).probabilities for config in (one, several)]
    np.testing.assert_allclose(*pair, atol=0.05)
    assert not np.allclose(fit(config=override(several, ["accumulate=1"])).probabilities, pair[1], atol=0.01)


def test_half_precision_learns_about_the_same() -> None:
    config = override(QUICK, ["epochs=20"])
    exact, rough = fit(config=config), fit(config=override(config, ["precision=bf16"]))
    assert (rough.probabilities.argmax(1) == exact.probabilities.argmax(1)).mean() > 0.9
    assert not np.array_equal(rough.probabilities, exact.probabilities)


def test_what_does_not_fit_into_memory_is_read_batch_by_batch_and_learnt_alike(tmp_path: Path) -> None:
    extract(tmp_path / "cache", MEMBERS, "enc")
    features = open_cache(tmp_path / "cache").features("toy", "enc")
    ids = tuple(u.id for u in MEMBERS)
    resident = to_tensor(features.load("frames", (0, 1), ids), "toy/enc", ids, torch.device("cpu"))
    mapped = Mapped(features, "frames", (0, 1), ids, resident.offsets, torch.device("cpu"))
    here, there = (fit(replace(EXAMPLES, ids=ids, inputs=(one,))) for one in (resident, mapped))
    assert [e.train_loss for e in here.curve] == pytest.approx([e.train_loss for e in there.curve], rel=1e-4)
    np.testing.assert_allclose(here.probabilities, there.probabilities, atol=1e-4)


def test_the_epoch_with_the_lowest_validation_loss_answers() -> None:
    long = fit(config=override(QUICK, ["epochs=60", "lr=0.05", "patience=5"]))
    losses = [epoch.validation_loss for epoch in long.curve]
    assert long.chosen == int(np.argmin(losses)) + 1
    assert len(losses) == long.chosen + 5 < 60
    stopped = fit(config=override(QUICK, [f"epochs={long.chosen}", "lr=0.05"]))
    np.testing.assert_array_equal(stopped.probabilities, long.probabilities)


def test_a_refit_learns_from_a_validation_part_that_is_no_part_of_the_training_folds() -> None:
    own, refit = replace(PARTS, pool=PARTS.train), override(QUICK, ["refit=true"])
    found, plain = (trainer.fit(linear, config, [INPUT], EXAMPLES, [own], classes=3, seeds=[0])[0] for config in (refit, QUICK))
    assert found.curve == plain.curve
    assert not np.allclose(found.probabilities, plain.probabilities)
    assert sorted(own.learnt.tolist()) == sorted(PARTS.pool.tolist())
    assert PARTS.learnt.tolist() == PARTS.pool.tolist()


def test_a_refit_learns_from_the_validation_part_too_for_as_many_epochs_as_were_chosen() -> None:
    refit = override(QUICK, ["refit=true"])
    found, plain = fit(config=refit), fit()
    assert (found.curve, found.chosen) == (plain.curve, plain.chosen)
    both = replace(PARTS, train=PARTS.pool)
    (whole,) = trainer.fit(linear, override(QUICK, [f"epochs={found.chosen}"]), [INPUT], EXAMPLES, [both], classes=3, seeds=[0])
    assert whole.chosen == found.chosen
    np.testing.assert_array_equal(found.probabilities, whole.probabilities)
    blind = replace(changed(PARTS.test, lambda x: x * 50), labels=EXAMPLES.labels.index_fill(0, PARTS.test, 0))
    assert fit(blind, config=refit).curve == found.curve


def test_a_refit_learns_from_a_validation_part_that_the_corpus_brings() -> None:
    own = replace(PARTS, pool=PARTS.train)
    other = replace(EXAMPLES, labels=EXAMPLES.labels.index_fill(0, PARTS.validation, 0))
    steady = override(QUICK, ["refit=true", "epochs=1"])  # one epoch, so the labels of the validation part have no say in which is chosen
    one, blind = (trainer.fit(linear, steady, [INPUT], data, [own], classes=3, seeds=[0])[0] for data in (EXAMPLES, other))
    assert one.chosen == blind.chosen == 1
    assert not np.array_equal(one.probabilities, blind.probabilities)


def test_a_second_training_that_breaks_is_an_error_not_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Learner.epoch

    def breaks(learner: Any) -> list[float]:
        return [float("nan") if learner._weights is None else loss for loss in whole(learner)]

    monkeypatch.setattr(Learner, "epoch", breaks)
    with pytest.raises(ProtocolError, match="the loss is nan in epoch 1 of the second training"):
        fit(config=override(QUICK, ["refit=true"]))


def test_a_test_part_with_values_that_are_not_finite_is_an_error_not_a_score() -> None:
    with pytest.raises(ProtocolError, match="tested utterances are given a probability that is not finite"):
        fit(changed(PARTS.test[:1], lambda x: x * float("nan")))


def after_an_epoch(*settings: str) -> torch.Tensor:
    """The weights of a linear layer after one epoch."""
    learner = Learner(linear, override(QUICK, ["clip=0", *settings]), [INPUT], EXAMPLES, PARTS.pool, None, 3, [0])
    learner.epoch()
    weight: torch.Tensor = learner.model.branch.classify.weight  # type: ignore[union-attr, assignment]
    return weight.detach()


def test_weight_decay_makes_weights_smaller() -> None:
    assert after_an_epoch("weight_decay=10").abs().sum() < 0.9 * after_an_epoch().abs().sum()


def test_gradients_of_accumulated_steps_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    step = torch.optim.Adam.step

    def watched(optimiser: torch.optim.Adam) -> None:
        seen.append(sum(float(one.grad.abs().sum()) for one in optimiser.param_groups[0]["params"] if one.grad is not None))
        step(optimiser)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    still = ("dropout=0", "lr=1e-9")
    after_an_epoch(*still, f"batch={len(PARTS.pool)}")
    after_an_epoch(*still, f"batch={len(PARTS.pool) // 4}", "accumulate=4")
    whole, accumulated = seen
    assert accumulated == pytest.approx(whole, rel=1e-3)


def test_the_last_steps_of_an_epoch_are_averaged_over_as_many_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    grads: list[float] = []

    def watched(optimiser: torch.optim.Adam) -> None:
        grads.append(sum(float(one.grad.abs().sum()) for one in optimiser.param_groups[0]["params"] if one.grad is not None))

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    for accumulate in (3, 1):  # the weights stay, so the last of four batches has the same gradient whatever it is averaged with
        after_an_epoch("dropout=0", f"batch={len(PARTS.pool) // 4}", f"accumulate={accumulate}")
    assert len(grads) == 2 + 4
    assert grads[1] == pytest.approx(grads[-1], rel=1e-4)


def test_a_seed_that_diverges_ends_alone_and_the_others_are_what_they_are_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fit(seed=4)
    whole = Learner.epoch

    def breaks(learner: Any) -> list[float]:
        for weight in learner.model.parameters() if 1 in learner._seeds else ():
            weight.data[learner._seeds.index(1)] = float("inf")
        return whole(learner)

    monkeypatch.setattr(Learner, "epoch", breaks)
    with pytest.raises(trainer.Diverged, match=r"^the loss is nan in epoch 1 \(seed 1\); lower") as error:
        trainer.fit(linear, QUICK, [INPUT], EXAMPLES, [PARTS] * 2, classes=3, seeds=[1, 4])
    assert [*error.value.finished] == [4]
    np.testing.assert_allclose(error.value.finished[4].probabilities, expected.probabilities, atol=1e-4)


def test_all_seeds_that_diverge_are_named() -> None:
    broken = changed(PARTS.train[:1], lambda x: x * float("inf"))
    with pytest.raises(trainer.Diverged, match=r"epoch 1 \(seed 0\).*and seeds 5 likewise") as error:
        trainer.fit(linear, QUICK, [INPUT], broken, [PARTS] * 2, classes=3, seeds=[0, 5])
    assert not error.value.finished


def test_a_cosine_ends_at_no_learning_rate_at_all() -> None:
    config = override(QUICK, ["schedule=cosine", "epochs=4"])
    assert [round(lr_factor(config, epoch), 4) for epoch in range(5)] == [1.0, 0.8536, 0.5, 0.1464, 0.0]
    assert [lr_factor(QUICK, epoch) for epoch in (0, 99)] == [1.0, 1.0]
    assert fit(config=config).curve[0] == fit().curve[0] != fit(config=config).curve[1]
    assert fit(config=config).curve[1] != fit().curve[1]


def test_layer_weights_learn_at_a_rate_of_their_own() -> None:
    def weight(*settings: str) -> torch.Tensor:
        config = override(QUICK, ["epochs=1", *settings])
        learner = Learner(linear, config, [INPUT], EXAMPLES, PARTS.train, None, 3, [0])
        learner.epoch()
        return learner.model.branch.mix.weight.detach()  # type: ignore[union-attr, no-any-return]

    usual, faster = (weight(f"layer_lr={rate}").sub(1).abs().max() for rate in (1, 10))
    assert faster > 5 * usual > 0


def test_every_epoch_is_told() -> None:
    told: list[int] = []
    fit(on_epoch=lambda seed, number, epoch: told.append(number))
    assert told == [1, 2, 3]


def test_a_loss_that_is_not_finite_stops_the_run_with_advice() -> None:
    with pytest.raises(ProtocolError, match=r"loss is nan in epoch 1 \(seed 0\).*--set lr=0.001"):
        fit(changed(PARTS.train[:1], lambda x: x * float("inf")))


def test_gradients_are_clipped_by_value() -> None:
    seen: list[float] = []

    def build(*arguments: Any) -> torch.nn.Module:
        head = linear.build(*arguments)
        head.branch.classify.weight.register_hook(lambda grad: grad * 1e6)
        return head

    class Watched(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:  # type: ignore[override]
            seen.extend(float(p.grad.abs().max()) for group in self.param_groups for p in group["params"])
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIMISERS, "adam", Watched)
        module = SimpleNamespace(Config=linear.Config, PAPER=linear.PAPER, NEEDS=linear.NEEDS, build=build, deviations=linear.deviations)
        trainer.fit(module, QUICK, [INPUT], EXAMPLES, [PARTS], classes=3, seeds=[0])
    assert max(seen) == 1.0


@pytest.mark.parametrize(
    ("normalise", "text", "expected"),
    [("global", True, True), ("speech", False, True), ("speech", True, False), ("none", False, False)],
)
def test_what_is_standardised_is_a_setting(normalise: str, text: bool, expected: bool) -> None:
    config = override(linear.Config(), [f"normalise={normalise}"])
    ((one,), _) = trainer.for_fold(linear, config, [replace(INPUT, text=text)], EXAMPLES, PARTS.pool)
    assert (one.moments is not None) == expected


class Padding(nn.Module):
    """A head that does not stack, with padding, dropout, a batch norm, and a number that says how long its batches were."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.block = AttentionBlock(dim, 1, 8, dropout=0.1, activation="relu")
        self.norm = nn.BatchNorm1d(dim)
        self.classify = nn.Linear(dim, classes)
        self.lengths: list[list[int]] = []

    def forward(self, batch: Batch) -> Output:
        (packed,) = batch.inputs
        self.lengths.append(packed.offsets.diff().tolist())
        logits = self.classify(self.norm(self.block(padded(packed.values[0].float(), packed.offsets)).mean()))[None]
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, logits)


class Plain:
    """The module of such a head."""

    Config = linear.Config
    PAPER = linear.PAPER
    NEEDS = Needs(most=1, buckets=True)
    built: ClassVar[list[Padding]] = []

    @classmethod
    def build(cls, config: linear.Config, inputs: Any, classes: int) -> nn.Module:
        cls.built.append(Padding(inputs[0].dim, classes))
        return cls.built[-1]

    @staticmethod
    def deviations(config: linear.Config, inputs: Any) -> list[str]:
        return []


def fit_plain(data: Examples = EXAMPLES, **changes: Any) -> trainer.Fitted:
    config = override(linear.Config(), [f"{k}={v}" for k, v in {"epochs": 3, "batch": 8, "lr": 0.01, **changes}.items()])
    return trainer.fit(Plain, config, [INPUT], data, [PARTS], classes=3, seeds=[0])[0]  # type: ignore[arg-type]


def test_a_head_that_does_not_stack_is_trained_with_its_buffers() -> None:
    one, again = fit_plain(), fit_plain()
    np.testing.assert_array_equal(one.probabilities, again.probabilities)
    assert one.best["norm.num_batches_tracked"] > 0
    assert one.best["norm.running_mean"].any()
    assert (fit_plain(epochs=25).probabilities.argmax(1) == EXAMPLES.labels[PARTS.test].numpy()).mean() > 0.9


def test_a_head_that_does_not_stack_never_sees_who_validates() -> None:
    broken = changed(PARTS.validation, lambda rows: rows * 50 + 7)
    untouched = override(linear.Config(), ["normalise=none", "epochs=1", "batch=8"])
    here, there = (
        trainer.fit(Plain, untouched, [INPUT], data, [PARTS], classes=3, seeds=[0])[0]  # type: ignore[arg-type]
        for data in (EXAMPLES, broken)
    )
    assert here.curve[0].train_loss == there.curve[0].train_loss
    assert here.curve[0].validation_loss != there.curve[0].validation_loss


def test_batches_of_a_head_that_pads_hold_utterances_of_about_one_length() -> None:
    fit_plain(epochs=1)
    in_training = Plain.built[-1].lengths[: -(-len(PARTS.train) // 8)]
    spread = [max(one) - min(one) for one in in_training]
    ordered = sorted(length for one in in_training for length in one)
    assert sum(spread) <= sum(max(part) - min(part) for part in (ordered[at : at + 8] for at in range(0, len(ordered), 8)))
    assert sorted(map(min, in_training)) != list(map(min, in_training))


def test_answers_of_a_head_that_pads_are_in_the_order_of_the_test_part() -> None:
    turned = replace(PARTS, test=PARTS.test.flip(0))
    config = override(linear.Config(), ["epochs=2", "batch=8"])
    there = trainer.fit(Plain, config, [INPUT], EXAMPLES, [turned], classes=3, seeds=[0])[0]  # type: ignore[arg-type]
    here = trainer.fit(Plain, config, [INPUT], EXAMPLES, [PARTS], classes=3, seeds=[0])[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(here.probabilities, there.probabilities[::-1], atol=1e-6)
    assert here.embeddings is not None
    assert there.embeddings is not None
    np.testing.assert_allclose(here.embeddings, there.embeddings[::-1], atol=2e-3)


def test_the_last_epoch_is_tested_where_that_is_asked_for_however_validation_fares() -> None:
    found = fit_plain(tested="last", epochs=12, patience=1, lr=0.3)
    assert found.chosen == len(found.curve) == 12
    assert all(torch.equal(found.best[name], found.last[name]) for name in found.best)


def test_weight_decay_of_adamw_is_another_than_that_of_adam() -> None:
    adam, adamw = (fit_plain(weight_decay=0.5, optimiser=name) for name in ("adam", "adamw"))
    assert not np.allclose(adam.probabilities, adamw.probabilities)


def test_a_checkpoint_may_do_without_the_last_weights() -> None:
    both, best = (fit_plain(epochs=4, kept=kept) for kept in ("best+last", "best"))
    assert both.last
    assert best.last == {}
    np.testing.assert_array_equal(both.probabilities, best.probabilities)
    assert all(torch.equal(both.best[name], best.best[name]) for name in both.best)
