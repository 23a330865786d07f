"""What every head must be: the paper's size, indifferent to its batch mates, trained in all its parts, able to learn."""

from dataclasses import replace

import pytest
import torch

import heads
from emocache.errors import UsageError
from heads import late, linear
from heads.config import Training, override
from heads.data import Batch, Input, Moments, PackedTensor
from tests.heads import toy_mmer
from tests.heads.toy import DIM, packed
from tests.heads.toy_searched import PRINTED
from tests.heads.toy_searched import SMALL as SEARCH

BASE = Input(name="hubert-base", level="frames", layers=tuple(range(1, 13)), dim=768)
SPEECH = Input(name="a", level="frames", layers=(0, 1), dim=DIM)
TEXT = Input(name="b", level="tokens", layers=(0, 1), dim=4, text=True)
SMALL = {
    "transformer": ("feedforward=16",), "coattention": ("feedforward=16",),
    "mstr": ("width=16", "heads=2", "blocks=1", "dropout=0", "classifier_dropout=0"), "supernet": SEARCH,
    "cell": ("frames=8", "width=4", f"genotype={PRINTED}"), "handmade": ("frames=16",),
}  # fmt: skip
ONE_LAYER = ("mstr", "supernet", "cell", "handmade")
UNFELT = ("attention.key.bias", "augmented.2.bias")
"""Add the same to all products of a query, or of an utterance with views, which the softmax takes out."""

THREE = [
    Input(name="a", level="frames", layers=(1,), dim=DIM), Input(name="b", level="utterance", layers=(1,), dim=4),
    Input(name="c", level="tokens", layers=(1,), dim=DIM, text=True),
]  # fmt: skip
TINY = ("width=16", "heads=2", "layers=1", "dropout=0")


def made(name: str) -> tuple[torch.nn.Module, Batch]:
    """A small head in training mode, and a batch of eight utterances for it."""
    torch.manual_seed(0)
    if name == "mmer":
        return toy_mmer.head(), toy_mmer.batch()
    frames = packed([5, 2, 9, 1, 4, 4, 7, 3], seed=1)
    tokens = packed([2, 3, 1, 4, 1, 5, 2, 2], dim=4, dtype=torch.float32, seed=2)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    head = heads.head(name)
    if name == "tdfnet":
        longer = packed([36, 2, 50, 1, 40, 4, 7, 3], 1), packed([1] * 8, 1, 4), packed([9, 6, 8, 1, 9, 4, 2, 7], 1)
        return head.build(override(head.Config(), TINY), THREE, 3), Batch(longer, labels)
    inputs = [SPEECH if name not in ONE_LAYER else replace(SPEECH, layers=(1,)), TEXT][: head.NEEDS.least]
    frames = replace(frames, values=frames.values[-len(inputs[0].layers) :])
    built = head.build(override(head.Config(), SMALL.get(name, ())), inputs, 3)
    return built, Batch((frames, tokens)[: len(inputs)], labels)


def size(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_linear_has_the_papers_size() -> None:
    assert size(linear.build(linear.Config(), [BASE], 4)) == 117_008


@pytest.mark.parametrize(("branches", "parameters"), [(3, 351_024), (5, 585_040)])
def test_late_has_the_papers_size(branches: int, parameters: int) -> None:
    assert size(late.build(late.Config(), [BASE] * branches, 4)) == parameters


def test_late_adds_the_logits_of_its_branches() -> None:
    head, batch = made("late")
    head.eval()
    each = [branch(one.values, one.offsets)[0] for branch, one in zip(head.branches, batch.inputs, strict=True)]
    torch.testing.assert_close(head(batch).logits, each[0] + each[1])


@pytest.mark.parametrize("name", heads.HEADS)
def test_batch_mates_and_their_order_change_no_logits(name: str) -> None:
    head, batch = made(name)
    head.eval()
    together = head(batch).logits
    for which in ([3], [6, 0, 3], [7, 6, 5, 4, 3, 2, 1, 0]):
        picked = Batch(tuple(one.take(torch.tensor(which)) for one in batch.inputs), batch.labels[which])
        torch.testing.assert_close(head(picked).logits, together[:, which], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", heads.HEADS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    head, batch = made(name)
    sum(head(batch).losses.values()).sum().backward()
    felt = {key: weight.grad for key, weight in head.named_parameters() if not key.endswith(UNFELT)}
    assert [key for key, grad in felt.items() if grad is None or not grad.abs().sum() > 0] == []


@pytest.mark.parametrize("name", heads.HEADS)
def test_eight_examples_can_be_learned_by_heart(name: str) -> None:
    head, batch = made(name)
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        sum(head(batch).losses.values()).sum().backward()
        optimiser.step()
    assert torch.equal(head.eval()(batch).logits[0].argmax(1), batch.labels)


def test_standardised_features_answer_the_same_at_any_scale() -> None:
    frames = packed([5, 2, 9], dtype=torch.float32)
    scaled = PackedTensor(frames.values * 64 + 3, frames.offsets)
    answers = []
    for one in (frames, scaled):
        torch.manual_seed(0)
        moments = Moments(one.values.mean(1), one.values.std(1))
        head = linear.build(linear.Config(), [Input(name="a", level="frames", layers=(0, 1), dim=DIM, moments=moments)], 3).eval()
        answers.append(head(Batch((one,), torch.zeros(3, dtype=torch.int64))).logits)
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-4)


def test_what_the_paper_does_not_do_is_named() -> None:
    used = Input(name="mine", encoder="whisper-tiny.en", level="utterance", layers=(0, 1), all_layers=(0, 1), dim=DIM)
    assert linear.deviations(override(linear.Config(), ["lr=0.01", "epochs=6"]), [used]) == [
        "lr is 0.01; the paper has 0.001",
        "epochs is 6; Pepino's code has 100",
        "mine: layers 0, 1; the paper averages the outputs of all transformer blocks",
        "mine: one row per utterance; the paper has rows in time",
        "mine: made by whisper-tiny.en, which the paper does not use",
    ]
    as_printed = Input(name="mine", encoder="wav2vec2-base", level="frames", layers=(1, 2), all_layers=(0, 1, 2), dim=768)
    assert linear.deviations(linear.Config(), [as_printed]) == []
    assert linear.deviations(override(linear.Config(), ["kept=best"]), [as_printed]) == []
    assert linear.deviations(override(linear.Config(), ["precision=bf16"]), [as_printed]) == ["precision is bf16; our choice has fp32"]


OWN, MEAN = "rows of segments are standardised with their own statistics", "a segment's row is the mean over its frames"


@pytest.mark.parametrize(
    ("level", "normalise", "named"),
    [
        ("word@mfa", "speech", [MEAN, OWN]), ("word@mfa", "none", [MEAN]), ("frames", "speech", []),
        ("word@mfa+all+printed", "speech", [OWN]), ("word@mfa+outer", "none", [MEAN]),
    ],
)  # fmt: skip
def test_where_segments_are_not_as_in_the_paper_is_named(level: str, normalise: str, named: list[str]) -> None:
    one = Input(name="mine", encoder="wav2vec2-base", level=level, layers=(1, 2), all_layers=(0, 1, 2), dim=768)
    found = linear.deviations(override(linear.Config(), [f"normalise={normalise}"]), [one])
    assert [text.partition(";")[0] for text in found if "segment" in text] == named


def test_settings_take_the_type_of_their_field() -> None:
    config = override(linear.Config(), ["lr=1e-4", "hidden=64", "pooling=mean+std"])
    assert (config.lr, config.hidden, config.pooling) == (1e-4, 64, "mean+std")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rate=1", "no such setting; there are: optimiser, lr, layer_lr, schedule, refit, weight_decay, batch"),
        ("batch=1.5", "expected a whole number"),
        ("lr=fast", "expected a number"),
        ("pooling=max", r"expected one of mean, mean\+std"),
        ("lr", "expected name=value"),
        ("batch=0", "expected more than 0"),
        ("lr=nan", "expected more than 0"),
        ("dropout=1", "less than 1"),
        ("dropout=nan", "less than 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_can(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override(linear.Config(), [setting])


def test_an_unknown_head_lists_them_all() -> None:
    with pytest.raises(UsageError, match="no head 'linaer'; there are: linear, late, transformer"):
        heads.head("linaer")


def test_training_defaults_are_the_papers() -> None:
    config = linear.Config()
    assert isinstance(config, Training)
    assert (config.lr, config.batch, config.epochs, config.patience, config.clip) == (1e-3, 32, 100, 4, 1)
    assert (config.hidden, config.dropout, config.layer_weights) == (128, 0.2, "plain")
