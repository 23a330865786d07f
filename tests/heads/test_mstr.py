"""MSTR: windows at several scales as the paper's arithmetic has them, padding that counts only where it is asked to, and both counts."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emocache.errors import UsageError
from heads import mstr, parameters
from heads.config import override
from heads.data import Batch, Input, Moments, PackedTensor
from heads.mstr.cost import attention
from heads.mstr.layers import Fractal, Frames, Vanilla, factor_of
from heads.mstr.model import Mstr, fixed
from heads.mstr.scales import Scale, mixed, scales_of
from heads.mstr.windows import windowed
from tests.heads.toy import packed

DIM, HEADS = 8, 2
SMALL = ("width=8", "heads=2", "blocks=2")
FIXED = (*SMALL, "frames=30", "norm=matrix", "mask=false", "normalise=none")
ONE = Input(name="hubert-large", encoder="hubert-large", level="frames", layers=(24,), all_layers=tuple(range(25)), dim=6)


def all_real(time: int, *, p: int = 3, levels: int = 4, floor: bool = True) -> tuple[Scale, ...]:
    return scales_of(torch.ones(1, time, dtype=torch.bool), p, levels, floor=floor)


def slow(joined: Tensor, real: Tensor, heads: int, p: int, levels: int, *, floor: bool) -> Tensor:
    """The operator for one utterance [time, 3 dim], frame by frame as the paper tells it: before the last linear layer."""
    time, dim = len(joined), joined.shape[1] // 3
    total = torch.zeros(time, dim, dtype=joined.dtype)
    for level in range(levels):
        frames = len(joined)
        found = torch.zeros(frames, dim, dtype=joined.dtype)
        for t in range(frames):
            keys = [i for i in range(t // p * p, min(t // p * p + p, frames)) if real[i]]
            for h in range(heads):
                q, k, v = (joined[:, part * dim + h * dim // heads : part * dim + (h + 1) * dim // heads] for part in range(3))
                scores = torch.stack([q[t] @ k[i] for i in keys] or [torch.zeros(())]) / math.sqrt(dim // heads)
                for weight, i in zip(scores.softmax(0), keys, strict=False):
                    found[t, h * dim // heads : (h + 1) * dim // heads] += weight * v[i]
        for t in range(time):
            total[t] += F.gelu(found[math.floor(t * frames / time) if floor else t // p**level])
        if level == levels - 1:
            return total
        windows = [range(i, min(i + p, frames)) for i in range(0, frames, p)]
        windows = [one for one in windows if len(one) == p] if floor else windows
        joined = torch.stack([joined[[i for i in one if real[i]] or [one[0]]].mean(0) for one in windows])
        real = torch.tensor([any(real[i] for i in one) for one in windows])
    raise AssertionError("no scale")


def fast(joined: Tensor, real: Tensor, heads: int, p: int, levels: int, *, floor: bool) -> Tensor:
    """The same for a batch [batch, time, 3 dim]."""
    scales = scales_of(real, p, levels, floor=floor)
    filled = F.pad(joined, (0, 0, 0, scales[0].time - joined.shape[1]))
    found = windowed(filled, heads, factor_of(joined.shape[2] // 3, heads, whole=False), scales)
    return mixed([F.gelu(one) for one in found], scales)


@pytest.mark.parametrize("floor", [True, False], ids=["as printed", "own length"])
@pytest.mark.parametrize(("time", "p", "levels"), [(27, 3, 3), (29, 3, 3), (28, 3, 1), (14, 2, 4), (31, 5, 2), (26, 4, 2)])
def test_windows_at_once_are_windows_one_by_one(time: int, p: int, levels: int, floor: bool) -> None:
    joined = torch.randn(2, time, 3 * DIM, generator=torch.Generator().manual_seed(0))
    real = torch.ones(1, time, dtype=torch.bool)
    found = fast(joined, real, HEADS, p, levels, floor=floor)
    for one, expected in zip(found, joined, strict=True):
        torch.testing.assert_close(one, slow(expected, real[0], HEADS, p, levels, floor=floor), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lengths", [(13, 4), (1, 9)])
def test_masked_windows_at_once_are_masked_windows_one_by_one(lengths: tuple[int, ...]) -> None:
    joined = torch.randn(2, 13, 3 * DIM, generator=torch.Generator().manual_seed(0))
    real = torch.arange(13) < torch.tensor(lengths)[:, None]
    found = fast(joined, real, HEADS, 3, 3, floor=False)
    for one, mine, given, length in zip(found, real, joined, lengths, strict=True):
        torch.testing.assert_close(one[:length], slow(given, mine, HEADS, 3, 3, floor=False)[:length], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("floor", [True, False])
def test_the_gradient_is_that_of_small_steps(floor: bool) -> None:
    joined = torch.randn(2, 11, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    real = torch.arange(11) < torch.tensor([[11], [4]])
    assert torch.autograd.gradcheck(lambda values: fast(values, real, 2, 3, 2, floor=floor), joined)


def attended(time: int, levels: int) -> tuple[Fractal, Frames, Tensor]:
    """The attention of a block, its frames, and something for it."""
    torch.manual_seed(0)
    return Fractal(DIM, HEADS, 0.5), Frames(None, all_real(time, levels=levels)), torch.randn(1, time, DIM)


@pytest.mark.parametrize(("levels", "reached"), [(1, 3), (2, 9), (3, 27), (4, 81)])
def test_a_frame_reaches_as_far_as_the_scales_let_it(levels: int, reached: int) -> None:
    layer, frames, values = attended(81, levels)
    moved = values.clone()
    moved[0, 80] += 1
    changed = (layer(values, frames) - layer(moved, frames))[0].abs().amax(1) > 1e-7
    assert changed.nonzero().flatten().tolist() == list(range(81 - reached, 81))


def test_one_scale_is_attention_within_windows_then_gelu() -> None:
    layer, frames, values = attended(9, 1)
    alone = Vanilla(DIM, HEADS, 0.5)
    alone.load_state_dict(layer.state_dict())
    alone.out = nn.Identity()  # type: ignore[assignment]
    each = [F.gelu(alone(values[:, at : at + 3], Frames(None, ()))) for at in (0, 3, 6)]
    torch.testing.assert_close(layer(values, frames), layer.out(torch.cat(each, 1)))


def test_the_scales_are_those_of_the_papers_arithmetic() -> None:
    def filled(time: int) -> list[int]:
        return [one.time for one in all_real(time)]

    assert [filled(time) for time in (326, 224, 150)] == [[327, 108, 36, 12], [225, 75, 24, 9], [150, 51, 18, 6]]
    assert [one.frames for one in all_real(326, floor=False)] == [326, 109, 37, 13]


def test_attention_has_the_parameters_of_multi_head_attention() -> None:
    sizes = {sum(w.numel() for w in made.parameters()) for made in (Fractal(1024, 16, 1.0), Vanilla(1024, 16, 1.0))}
    assert sizes == {4_198_400} == {sum(w.numel() for w in nn.MultiheadAttention(1024, 16).parameters())}


def test_vanilla_is_torchs_multi_head_attention() -> None:
    torch.manual_seed(0)
    usual, layer = nn.MultiheadAttention(DIM, HEADS, batch_first=True), Vanilla(DIM, HEADS, factor_of(DIM, HEADS, whole=False))
    layer.joined.load_state_dict({"weight": usual.in_proj_weight, "bias": usual.in_proj_bias})
    layer.out.load_state_dict(usual.out_proj.state_dict())
    values, real = torch.randn(2, 7, DIM), torch.arange(7) < torch.tensor([[7], [3]])
    torch.testing.assert_close(layer(values, Frames(real, ())), usual(values, values, values, key_padding_mask=~real)[0])
    torch.testing.assert_close(layer(values, Frames(None, ())), usual(values, values, values)[0])


@pytest.mark.parametrize(
    ("name", "classes", "size", "paper", "macs"),
    [
        ("iemocap", 4, 26.992, (892.241, 33.498), (7.708, 6.849)),
        ("meld", 7, 25.322, (432.670, 29.812), (5.109, 4.706)),
        ("crema-d", 6, 24.109, (205.948, 27.158), (3.331, 3.152)),
    ],
)
def test_sizes_and_both_counts_are_those_of_the_paper_and_of_arithmetic(
    name: str, classes: int, size: float, paper: tuple[float, ...], macs: tuple[float, ...]
) -> None:
    settings = {one["setting"]: one for one in parameters.settings() if one["recipe"] == f"mstr-table2-{name}"}
    pair = [settings[f"{name}-baseline"], settings[name]]
    frames = {"iemocap": 326, "meld": 224, "crema-d": 150}[name]
    exact = 4 * (4 * 1024**2 + 2 * 1024 * 512) + 4 * (4 * 1024 + 512 + 1024) + 16 * frames * 1024
    exact += 1024 * 512 + 512 + 512 * 256 + 256 + 256 * classes + classes
    assert [one["parameters"] for one in pair] == [exact, exact]
    assert round(exact / 1e6, 3) == size
    assert tuple(round(one["flops_paper"] / 1e6, 3) for one in pair) == pytest.approx(paper, abs=0.0011)
    assert tuple(round(one["flops_macs"] / 1e9, 3) for one in pair) == macs
    assert all("11.1, 7.9 and 5.4 %" in one["flops_notes"][0] and "p^2" in one["flops_notes"][1] for one in pair)


def test_the_product_count_of_windows_grows_with_time_and_that_of_all_pairs_with_its_square() -> None:
    def of(*settings: str) -> int:
        return attention(override(mstr.Config(), ["mask=false", *settings]), 1024)

    assert of("frames=8100") == 10 * of("frames=810")
    assert of("frames=8100", "attention=vanilla") == 100 * of("frames=810", "attention=vanilla")


def made(*settings: str, one: Input = ONE) -> Mstr:
    torch.manual_seed(0)
    return mstr.build(override(mstr.Config(), list(settings)), [one], 3)


def batch(*lengths: int) -> Batch:
    return Batch((packed(lengths, layers=1, dtype=torch.float32),), torch.arange(len(lengths)) % 3)


@pytest.mark.parametrize("kind", ["mstr", "vanilla"])
@pytest.mark.parametrize("fill", [0.0, 1e3])
def test_padding_never_changes_an_answer(kind: str, fill: float, monkeypatch: pytest.MonkeyPatch) -> None:
    head = made(*SMALL, f"attention={kind}").eval()
    together = batch(5, 1, 40, 27)
    alone = [Batch((one,), torch.zeros(1, dtype=torch.int64)) for one in (together.inputs[0].take(torch.tensor([i])) for i in range(4))]
    expected = torch.cat([head(one).logits for one in alone], 1)
    usual = head._padded

    def dirty(*given: Any) -> Any:
        found = usual(*given)
        longer = F.pad(found.values, (0, 0, 0, 9), value=fill).masked_fill(~F.pad(found.real, (0, 9))[:, :, None], fill)
        return type(found)(longer, F.pad(found.real, (0, 9)))

    torch.testing.assert_close(head(together).logits, expected, atol=1e-5, rtol=1e-4)
    monkeypatch.setattr(head, "_padded", dirty)
    torch.testing.assert_close(head(together).logits, expected, atol=1e-5, rtol=1e-4)


def test_as_printed_padding_attends_and_a_mask_keeps_it_out() -> None:
    def answers(fill: float | None, *settings: str) -> Tensor:
        head = made(*SMALL, "frames=30", *settings).eval()
        given = fixed(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 20]), 30)
        head._padded = lambda rows, offsets: (
            given if fill is None else given.holding(given.values.masked_fill(~given.real[:, :, None], fill))
        )  # type: ignore[method-assign]
        head.project = None
        return head(batch(20)).logits.detach()

    for settings, matters in ((("mask=false",), True), (("mask=false", "norm=matrix"), True), (("mask=true",), False)):
        clean, dirty = (answers(fill, "width=6", *settings) for fill in (None, 0.5))
        assert torch.allclose(clean, dirty, atol=1e-5) != matters


def test_utterances_are_cut_or_filled_up_with_zeros() -> None:
    rows = torch.arange(1.0, 11).view(10, 1)
    found = fixed(rows, torch.tensor([0, 7, 10]), 5)
    assert found.values[:, :, 0].tolist() == [[1, 2, 3, 4, 5], [8, 9, 10, 0, 0]]
    assert found.real.tolist() == [[True] * 5, [True] * 3 + [False] * 2]


VARIANTS = [
    SMALL, (*SMALL, "attention=vanilla"), FIXED, (*FIXED, "attention=vanilla"), (*FIXED, "mask=true"), (*FIXED, "p=2"),
    (*SMALL, "norm_first=true", "activation=gelu", "scale=model", "levels=1", "ffn=5"),
]  # fmt: skip


@pytest.mark.parametrize("settings", VARIANTS, ids=" ".join)
def test_every_parameter_of_every_variant_gets_a_gradient(settings: tuple[str, ...]) -> None:
    head = made(*settings, "classifier_dropout=0")
    head(batch(30, 5, 33, 30)).losses["cross_entropy"].sum().backward()
    assert [name for name, weight in head.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("settings", VARIANTS[:4], ids=" ".join)
def test_every_variant_can_learn_eight_examples_by_heart(settings: tuple[str, ...]) -> None:
    head, examples = made(*settings, "width=16", "classifier_dropout=0"), batch(30, 5, 33, 12, 4, 9, 21, 30)
    optimiser = torch.optim.Adam(head.parameters(), lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        head(examples).losses["cross_entropy"].sum().backward()
        optimiser.step()
    assert torch.equal(head.eval()(examples).logits[0].argmax(1), examples.labels)


def test_half_precision_answers_about_the_same() -> None:
    head, given = made(*SMALL, "classifier_dropout=0", "dropout=0"), batch(30, 5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = head(given)
    rough.losses["cross_entropy"].sum().backward()
    torch.testing.assert_close(rough.logits.float(), head(given).logits, atol=0.05, rtol=0.05)


def test_what_is_not_the_papers_is_named_and_what_is_is_not() -> None:
    always = ["dropout is not applied to the weights of attention, as the code of the paper's group does"]
    literal = ["frames=224", "norm=matrix", "mask=false", "normalise=none", "lr=5e-6", "attention=vanilla"]
    assert mstr.deviations(override(mstr.Config(), literal), [ONE]) == always
    mine = Input(name="mine", encoder="whisper-tiny.en", level="frames", layers=(2,), all_layers=(0, 1, 2, 3, 4), dim=6)
    assert mstr.deviations(override(mstr.Config(), ["width=128", "lr=0.001", "tested=best"]), [mine]) == [
        "lr is 0.001; the paper has 0.0001 or 5e-06 or 5e-05",
        "tested is best; our reading of the paper has last",
        "normalise is global; our reading of the paper has none",
        "frames is 0; the paper's parameter counts give 326 or 224 or 150",
        "mask is True; the code of the paper's group has False",
        "norm is feature; the paper's parameter counts give matrix",
        "width is 128, which a linear layer makes; the paper's parameter counts give none, and 1024",
        *always,
        "mine: made by whisper-tiny.en; the paper has hubert-large",
        "mine: layer 2; our choice, where the paper says nothing, is the last",
    ]
    wide = replace(ONE, dim=1024)
    assert mstr.deviations(override(mstr.Config(), [*literal, "ffn=512", "kept=best"]), [wide]) == always
    assert mstr.deviations(override(mstr.Config(), [*literal, "ffn=256", "precision=bf16"]), [wide]) == [
        "precision is bf16; our reading of the paper has fp32",
        "ffn is 256; the paper's parameter counts give half of the width, which is 512",
        *always,
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["mask=false"], r"mask=false lets padding answer, so utterances must be of one length: give --set frames=326"),
        (["norm=matrix"], "norm=matrix has weights for each frame, so utterances must be of one length"),
        (["frames=20"], "20 frames have no scale 4, whose frames last 27; lower levels"),
        (["p=1"], "p is 1, expected 2 to 64"),
        (["levels=0"], "levels is 0, expected 1 to 16"),
        (["classifier_dropout=1"], "less than 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_can(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override(mstr.Config(), settings)


def test_a_width_that_heads_cannot_share_is_refused_with_one_that_they_can() -> None:
    with pytest.raises(UsageError, match="16 heads cannot share a width of 6; give --set width=16"):
        made()


def test_several_layers_are_refused_with_what_to_give() -> None:
    several = Input(name="a", level="frames", layers=(1, 2), dim=16)
    with pytest.raises(UsageError, match="mstr takes one layer of its encoder, and a has 2; give --layers last"):
        made(one=several)


def test_flops_of_utterances_of_any_length_are_refused() -> None:
    with pytest.raises(UsageError, match="give --set frames=326"):
        mstr.costs(override(mstr.Config(), SMALL), [ONE], 4)


def test_features_without_statistics_are_taken_as_they_are_and_those_with_are_standardised() -> None:
    given = batch(7, 5)
    (one,) = given.inputs
    moments = Moments(torch.full((1, 6), 3.0), torch.full((1, 6), 64.0))
    scaled = Batch((PackedTensor(one.values * 64 + 3, one.offsets),), given.labels)
    standardised = made(*SMALL, one=Input(name="a", level="frames", layers=(0,), dim=6, moments=moments)).eval()
    torch.testing.assert_close(standardised(scaled).logits, made(*SMALL).eval()(given).logits, atol=1e-4, rtol=1e-3)
