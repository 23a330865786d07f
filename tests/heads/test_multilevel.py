"""The transformer models of multi-level fusion: the paper's sizes and equations, and indifference to padding."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from emocache.errors import UsageError
from heads import coattention, concatenation, linear, multilevel, transformer
from heads.attention import Padded, heads_within, padded
from heads.blocks import normalised
from heads.config import override
from heads.data import Batch, Input, PackedTensor
from tests.heads.toy import packed

BASE = Input(name="speech", level="frames", layers=tuple(range(1, 13)), dim=768, encoder="wav2vec2-base")
TEXT = Input(name="text", level="tokens", layers=tuple(range(1, 13)), dim=768, text=True, encoder="bert-base")
SMALL = ("feedforward=16", "heads=2")
FRAMES = Input(name="speech", level="frames", layers=(1, 2), dim=6, encoder="wav2vec2-base")
TOKENS = Input(name="text", level="tokens", layers=(1, 2), dim=6, text=True, encoder="bert-base")
LENGTHS = {"frames": [50, 2, 19], "tokens": [3, 8, 5], "phone": [10, 1, 4]}
LABELS = torch.tensor([0, 1, 2])


def size(build: object, config: object, inputs: list[Input]) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(config, inputs, 4).parameters())  # type: ignore[operator]


def batch(*levels: str) -> Batch:
    return Batch(tuple(packed(LENGTHS[level], seed=i) for i, level in enumerate(levels)), LABELS)


def head(*settings: str) -> coattention.Coattention:
    """A small co-attention of text, frames and phones."""
    torch.manual_seed(0)
    config = override(coattention.Config(), [*SMALL, *settings])
    return coattention.build(config, [TOKENS, FRAMES, replace(FRAMES, level="phone@mfa")], 3).eval()


GIVEN = batch("tokens", "frames", "phone")


def test_one_co_attention_layer_has_the_papers_size() -> None:
    with torch.device("meta"):
        layer = coattention.Layer(coattention.Config(), 768)
    assert sum(weight.numel() for weight in layer.parameters()) == 14_175_744


@pytest.mark.parametrize(("speech", "parameters"), [(1, 43_125_532), (2, 87_429_160), (4, 179_575_360)])
def test_co_attention_has_the_papers_size(speech: int, parameters: int) -> None:
    assert size(coattention.build, coattention.Config(), [TEXT] + [BASE] * speech) == parameters


def test_a_shared_stack_is_there_once() -> None:
    own, shared = (
        size(coattention.build, override(coattention.Config(), [f"shared={one}"]), [TEXT, BASE, BASE]) for one in ("false", "true")
    )
    assert own - shared == 3 * 14_175_744
    found = head("shared=true")(GIVEN)
    found.losses["cross_entropy"].sum().backward()
    assert found.logits.shape == (1, 3, 3)


def test_the_transformer_encoder_is_half_a_co_attention_with_the_same_last_layers() -> None:
    assert size(transformer.build, transformer.Config(), [BASE]) == 12 + 1536 + 3 * 14_175_744 // 2 + 768 * 769 + 1536 + 769 * 4


def test_concatenation_is_one_branch_with_layer_weights_and_norms_of_each_input() -> None:
    assert size(concatenation.build, linear.Config(), [TEXT, BASE, BASE]) == 117_008 + 2 * (12 + 2 * 768)


def test_embeddings_are_eq_1() -> None:
    torch.manual_seed(0)
    one = multilevel.Embedding(FRAMES, 6, "plain")
    with torch.no_grad():
        one.mix.weight.copy_(torch.tensor([[1.0, 3.0]]))
    given = packed([4, 2])
    expected = F.layer_norm((given.values[0].float() + 3 * given.values[1].float()) / 4, (6,))
    found = one(given)
    torch.testing.assert_close(found.values[found.real], expected, atol=1e-5, rtol=1e-5)


def test_eq_4_by_hand() -> None:
    fusion = multilevel.Fusion(2, 3, 0.2).eval()
    with torch.no_grad():
        for weight, values in (
            (fusion.inner.weight, [[1.0, 0.0], [0.0, -1.0]]), (fusion.inner.bias, [1.0, 0.0]),
            (fusion.outer.weight, [[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]), (fusion.outer.bias, [0.0, 0.0, 5.0]),
        ):  # fmt: skip
            weight.copy_(torch.tensor(values))
    found = fusion(torch.tensor([[2.0, 1.0]]), Batch((), torch.tensor([0])))
    # ReLU(W4 c + b4) = ReLU(3, -1) = (3, 0); + c = (5, 1); LN = (1, -1); W5 g + b5 = (1, -1, 7)
    torch.testing.assert_close(found.embedding, torch.tensor([[[1.0, -1.0]]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.logits, torch.tensor([[[1.0, -1.0, 7.0]]]), atol=1e-4, rtol=0)


def test_both_blocks_of_a_layer_are_given_what_comes_into_it() -> None:
    torch.manual_seed(0)
    layer = coattention.Layer(override(coattention.Config(), SMALL), 6).eval()
    text, speech = (multilevel.Embedding(one, 6, "plain")(given) for one, given in zip((TOKENS, FRAMES), GIVEN.inputs, strict=False))
    new_text, new_speech = layer(text, speech)
    torch.testing.assert_close(new_text.values, layer.text(text, speech).values)
    torch.testing.assert_close(new_speech.values, layer.speech(speech, text).values)
    assert not torch.allclose(new_speech.values[speech.real], layer.speech(speech, new_text).values[speech.real], atol=1e-3)


def test_every_speech_input_meets_the_text_alone() -> None:
    model = head()
    moved = Batch((*GIVEN.inputs[:2], packed(LENGTHS["phone"], seed=9)), LABELS)
    caught: list[torch.Tensor] = []
    model.fusion.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    model(GIVEN), model(moved)
    torch.testing.assert_close(caught[0][:, :6], caught[1][:, :6])
    assert not torch.allclose(caught[0][:, 6:], caught[1][:, 6:])


def test_the_text_may_stand_anywhere_among_the_inputs() -> None:
    model = head()
    found = model(GIVEN).logits
    model.text, model.embeddings = 2, torch.nn.ModuleList(model.embeddings[i] for i in (1, 2, 0))
    torch.testing.assert_close(model(Batch(tuple(GIVEN.inputs[i] for i in (1, 2, 0)), LABELS)).logits, found)


@pytest.mark.parametrize("level", ["tokens", "frames"])
def test_branches_of_two_lengths_are_averaged_each_over_its_own_rows(level: str) -> None:
    text, speech = (padded(one.values[0].float(), one.offsets) for one in GIVEN.inputs[:2])
    means = [torch.stack([one.values[i, :length].mean(0) for i, length in enumerate(lengths)])
             for one, lengths in ((text, LENGTHS["tokens"]), (speech, LENGTHS["frames"]))]  # fmt: skip
    torch.testing.assert_close(coattention.averaged(text, speech, "branches"), (means[0] + means[1]) / 2)
    first = torch.cat([text.values[0, :3], speech.values[0, :50]]).mean(0)
    torch.testing.assert_close(coattention.averaged(text, speech, "rows")[0], first)


def test_d_may_be_read_as_the_embeddings_dimension() -> None:
    assert multilevel.block(multilevel.Config(), 768).attention.scale is None
    literal = multilevel.block(override(multilevel.Config(), ["scale=embedding"]), 768).attention
    assert literal.scale == pytest.approx(1 / math.sqrt(768))
    assert not torch.allclose(head()(GIVEN).logits, head("scale=embedding")(GIVEN).logits)


@pytest.mark.parametrize("extra", [1, 8, 64])
def test_more_padding_changes_no_answer(extra: int) -> None:
    torch.manual_seed(0)
    stack = coattention.Stack(override(coattention.Config(), SMALL), 6).eval()
    text, speech = (padded(one.values[0].float(), one.offsets) for one in GIVEN.inputs[:2])
    longer = [Padded(F.pad(one.values, (0, 0, 0, extra), value=7.0), F.pad(one.real, (0, extra))) for one in (text, speech)]
    torch.testing.assert_close(stack(*longer), stack(text, speech), atol=1e-5, rtol=1e-5)


def test_concatenation_is_along_time() -> None:
    torch.manual_seed(0)
    model = concatenation.build(override(linear.Config(), ["hidden=8"]), [TOKENS, FRAMES], 3).eval()
    given = batch("tokens", "frames")
    said = model(given)
    for i in range(3):
        rows = torch.cat([
            F.layer_norm(one.values[:, one.offsets[i] : one.offsets[i + 1]].float().mean(0), (6,)) for one in given.inputs
        ])  # fmt: skip
        hidden = rows
        for layer in (model.first, model.second):
            hidden = F.relu(F.linear(hidden, layer.weight[0], layer.bias[0]))
        expected = F.linear(hidden.mean(0), model.classify.weight[0], model.classify.bias[0])
        torch.testing.assert_close(said.logits[0, i], expected, atol=1e-4, rtol=1e-4)


def test_inputs_whose_first_step_was_done_beforehand_give_the_same_concatenation() -> None:
    inputs, given = [replace(one, layers=(1,)) for one in (TOKENS, FRAMES)], batch("tokens", "frames")
    single = tuple(PackedTensor(one.values[:1].float(), one.offsets) for one in given.inputs)
    done = tuple(PackedTensor(normalised(one.values), one.offsets) for one in single)
    answers = []
    for frozen, packs in ((False, single), (True, done)):
        torch.manual_seed(0)
        model = concatenation.build(linear.Config(), [replace(one, frozen=frozen) for one in inputs], 3).eval()
        answers.append(model(Batch(packs, LABELS)).logits)
    torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("dim", "most", "heads"), [(768, 12, 12), (384, 12, 12), (1024, 12, 8), (6, 12, 6), (7, 12, 7), (13, 12, 1)])
def test_heads_are_as_many_as_divide_the_width(dim: int, most: int, heads: int) -> None:
    assert heads_within(dim, most) == heads


def test_other_widths_are_projected_to_the_largest_and_both_are_named() -> None:
    wide = replace(BASE, dim=1024, encoder="wav2vec2-base")
    assert multilevel.deviations(multilevel.Config(), [TEXT, wide]) == [
        "text: 768 wide, projected to 1024; the paper's inputs are of one width",
        "8 attention heads; 1024 is no multiple of 12",
    ]
    assert concatenation.deviations(linear.Config(), [TEXT, wide]) == [
        "text: 768 wide, projected to 1024; the paper's inputs are of one width"
    ]
    assert coattention.deviations(coattention.Config(), [TEXT, BASE]) == []
    assert coattention.deviations(override(coattention.Config(), ["average=rows", "heads=8"]), [TEXT, BASE]) == [
        "heads is 8; BERT has 12", "average is rows; our reading has branches",
    ]  # fmt: skip


@pytest.mark.parametrize("inputs", [[FRAMES, FRAMES], [TOKENS, TOKENS, FRAMES]])
def test_co_attention_without_one_text_is_refused(inputs: list[Input]) -> None:
    with pytest.raises(UsageError, match="one text input and one or more of speech; of the"):
        coattention.build(coattention.Config(), inputs, 3)


@pytest.mark.parametrize("setting", ["heads=0", "depth=0", "feedforward=0", "dropout=1", "scale=none", "average=sum"])
def test_settings_that_cannot_be_are_refused(setting: str) -> None:
    with pytest.raises(UsageError):
        override(coattention.Config(), [setting])


def test_the_defaults_are_the_papers() -> None:
    config = coattention.Config()
    assert (config.lr, config.batch, config.patience, config.dropout, config.normalise) == (5e-5, 32, 4, 0.2, "speech")
    assert (config.depth, config.heads, config.feedforward) == (3, 12, 3072)
