"""TDFNet: the sizes that the paper's arithmetic forces, masks, shared GRUs, ablations that remove what they name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emocache.errors import UsageError
from heads import tdfnet
from heads.attention import Padded, padded
from heads.config import override
from heads.data import Batch, Input, Moments, PackedTensor
from heads.tdfnet.layers import LiteralBlock
from heads.tdfnet.model import TDFNet
from heads.tdfnet.scales import SharedGrus, shortened
from tests.heads.toy import packed

SPEECH = Input(name="hubert-large", encoder="hubert-large", level="frames", layers=(24,), all_layers=tuple(range(25)), dim=1024)
TEXT = Input(name="bert-base", encoder="bert-base", level="tokens", layers=(12,), all_layers=tuple(range(13)), dim=768, text=True)
SPEAKER = Input(name="ecapa", encoder="ecapa", level="utterance", layers=(0,), all_layers=(0,), dim=192)
PAPER = (SPEECH, TEXT, SPEAKER)
LENGTHS = {"speech": [37, 5, 64, 1, 20, 9], "text": [6, 3, 11, 2, 1, 8], "speaker": [1] * 6}
DIMS = {"speech": 7, "text": 5, "speaker": 3}
TINY = {
    "speech": Input(name="a", level="frames", layers=(2,), dim=DIMS["speech"]),
    "text": Input(name="b", level="tokens", layers=(2,), dim=DIMS["text"], text=True),
    "speaker": Input(name="c", level="utterance", layers=(0,), dim=DIMS["speaker"]),
}
SMALL = ("width=16", "heads=2", "hidden=24", "audio_frames=48", "text_tokens=8")
ABLATIONS = {
    "audio": ("path=audio",), "text": ("path=text",), "no-dst": ("dst=false",), "no-mt": ("mt=false",), "no-me": ("me=false",), "full": (),
}  # fmt: skip
WANTED = {"audio": ["speech"], "text": ["text"], "no-mt": ["speech", "text"]}
EVERY = ["speech", "text", "speaker"]


def config(*settings: str) -> tdfnet.Config:
    return override(tdfnet.Config(), [*SMALL, *settings])


def small(*settings: str, roles: Sequence[str] = EVERY, classes: int = 3) -> TDFNet:
    torch.manual_seed(0)
    return tdfnet.build(config(*settings), [TINY[role] for role in roles], classes)


def batch(roles: Sequence[str] = EVERY, which: Sequence[int] | None = None) -> Batch:
    inputs = [packed(LENGTHS[role], 1, DIMS[role], seed=i, dtype=torch.float32) for i, role in enumerate(EVERY) if role in roles]
    chosen = torch.tensor(list(range(6)) if which is None else which)
    return Batch(tuple(one.take(chosen) for one in inputs), torch.tensor([0, 1, 2, 0, 1, 2])[chosen])


def size(*settings: str, inputs: Sequence[Input] = PAPER) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in tdfnet.build(override(tdfnet.Config(), settings), inputs, 4).parameters())


def loss(head: nn.Module, given: Batch) -> Tensor:
    return sum(head(given).losses.values()).sum()  # type: ignore[no-any-return, union-attr]


@pytest.mark.parametrize(
    ("settings", "inputs", "expected"),
    [
        ((), PAPER, 254_731_780),
        (("gate=block",), PAPER, 254_731_780 - 11_712 * 11_712 + 21 * 11_712),
        (("path=audio",), PAPER[:1], 48_501_316),
        (("path=text",), PAPER[1:2], 45_944_644),
        (("dst=false",), PAPER, 114_757_636),
        (("mt=false",), PAPER[:2], 113_346_820),
        (("me=false",), (Input(name="log-mel", level="frames", layers=(0,), dim=80), TEXT, SPEAKER), 254_731_780 + 81 * 1024),
    ],
)
def test_every_row_has_a_size_of_its_own(settings: Sequence[str], inputs: Sequence[Input], expected: int) -> None:
    assert size(*settings, inputs=inputs) == expected


def test_one_matrix_after_the_attention_is_a_third_of_the_standard_layer() -> None:
    layers = [size(f"ffn={name}", "layers=2") - size(f"ffn={name}", "layers=1") for name in ("standard", "literal")]
    at_768 = {"standard": 8_660_992, "literal": 2_956_032}
    assert size("ffn=standard") - size("ffn=literal") > 10 * (at_768["standard"] - at_768["literal"])
    assert sum(weight.numel() for weight in LiteralBlock(768, 12, dropout=0.1).parameters()) == at_768["literal"]
    assert layers[0] > 2 * layers[1]


def paper_sized() -> tuple[TDFNet, Batch]:
    """The paper's shapes with one thin layer in each encoder, for two utterances that fill them."""
    made = override(tdfnet.Config(), ["layers=1", "hidden=8", "gate=block"])
    torch.manual_seed(0)
    given = [packed([rows] * 2, 1, one.dim) for rows, one in zip((512, 128, 1), PAPER, strict=True)]
    return tdfnet.build(made, PAPER, 4).eval(), Batch(tuple(given), torch.tensor([0, 1]))


def test_the_tensors_have_the_shapes_of_the_paper() -> None:
    head, given = paper_sized()
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Padded) -> None:
            shapes[name] = tuple(output.values.shape[1:])

        return hook

    assert head.scales is not None
    assert head.mutual is not None
    watched = {
        "A": head.rows["speech"], "T": head.rows["text"], "A'": head.scales.encoders["speech"], "T'": head.scales.encoders["text"],
        "C": head.mutual.joint, "C_AT": head.mutual.speech_asks, "C_TA": head.mutual.text_asks,
    }  # fmt: skip
    for number, block in enumerate(head.scales.blocks, start=1):
        watched |= {f"D{number}": block.encoders["speech"], f"H{number}": block.encoders["text"]}  # type: ignore[index, union-attr]
    for name, module in watched.items():
        module.register_forward_hook(watch(name))
    with torch.no_grad():
        parts = head.pooled(given)
    assert shapes == {
        "A": (512, 768), "T": (128, 768), "A'": (512, 768), "T'": (128, 768), "D1": (64, 384), "H1": (64, 384),
        "D2": (32, 192), "H2": (32, 192), "C": (640, 768), "C_AT": (512, 768), "C_TA": (128, 768),
    }  # fmt: skip
    u = parts[6:13]
    assert sum(part.shape[1] for part in u) == 4800
    assert torch.equal(u[-1], given.inputs[2].values[0].float())
    assert [part.shape[1] for part in parts] == head.fusion.widths
    assert sum(head.fusion.widths) == 11_712


def test_the_list_of_eq_10_taken_literally_is_longer() -> None:
    with torch.device("meta"):
        assert sum(tdfnet.build(override(tdfnet.Config(), ["pool=literal"]), PAPER, 4).fusion.widths) == 13_248


def test_the_grus_go_forward_and_either_modality_may_take_either_place() -> None:
    grus = SharedGrus(4)
    assert (grus.first.input_size, grus.first.hidden_size, grus.second.hidden_size, grus.first.bidirectional) == (4, 8, 4, False)
    early = torch.randn(1, 6, 4)
    late = torch.cat([early[:, :4], torch.randn(1, 2, 4)], 1)
    found = [grus(Padded(one, torch.ones(1, 6, dtype=torch.bool))).values for one in (early, late)]
    assert torch.equal(found[0][:, :4], found[1][:, :4])
    head = small()
    assert head.scales is not None
    given = {name: padded(torch.randn(9, 8), torch.tensor([0, 9])) for name in ("speech", "text")}
    names = {name for name, _ in head.named_parameters() if "gru" in name}
    assert len(names) == 2 * 2 * 4, "two blocks, two GRUs, four tensors each: none by modality"
    block = head.scales.blocks[1].eval()
    block.narrow["text"], block.encoders["text"] = block.narrow["speech"], block.encoders["speech"]  # type: ignore[operator, index]
    there = block(given)
    back = block({"speech": given["text"], "text": given["speech"]})
    assert torch.equal(there["speech"].values, back["text"].values)
    assert torch.equal(there["text"].values, back["speech"].values)


@pytest.mark.parametrize("name", ABLATIONS)
def test_padding_and_batch_mates_never_change_an_answer(name: str) -> None:
    roles = WANTED.get(name, EVERY)
    head = small(*ABLATIONS[name], roles=roles).eval()
    together = head(batch(roles)).logits[0]
    for which in ([3], [1], [4, 2], [5, 4, 3, 2, 1, 0]):
        torch.testing.assert_close(head(batch(roles, which)).logits[0], together[which], atol=1e-5, rtol=1e-5)


def test_a_window_that_an_end_cuts_is_filled_with_zeros_and_one_behind_it_is_not_real() -> None:
    narrow = nn.Conv1d(3, 2, 4, stride=4)
    rows = torch.randn(6, 3)
    given = padded(rows, torch.tensor([0, 6]))
    dirty = given.holding(given.values.masked_fill(~given.real[:, :, None], 1e4))
    found = shortened(narrow, dirty)
    assert found.real.tolist() == [[True, True]]
    torch.testing.assert_close(found.values[0, 1], narrow(F.pad(rows[4:], (0, 0, 0, 2)).T[None])[0, :, 0])
    longer = shortened(narrow, Padded(F.pad(given.values, (0, 0, 0, 5)), F.pad(given.real, (0, 5))))
    assert longer.real.tolist() == [[True, True, False, False]]


def test_zeros_that_count_as_rows_are_a_setting_and_give_the_same_in_any_batch() -> None:
    masked, filled = small().eval(), small("padding=zero").eval()
    filled.load_state_dict(masked.state_dict())
    together = filled(batch()).logits[0]
    assert not torch.allclose(together, masked(batch()).logits[0], atol=1e-4)
    torch.testing.assert_close(filled(batch(which=[3])).logits[0], together[[3]], atol=1e-5, rtol=1e-5)
    assert filled.rows["speech"](batch().inputs[0]).values.shape == (6, 48, 16)


def test_what_is_behind_the_longest_sequence_is_cut_off() -> None:
    head, given = small().eval(), batch()
    values = given.inputs[0].values.clone()
    starts = given.inputs[0].offsets
    values[:, int(starts[2]) + 48 : int(starts[3])] = 1e3
    changed = Batch((PackedTensor(values, starts), *given.inputs[1:]), given.labels)
    assert torch.equal(head(changed).logits, head(given).logits)
    values[:, int(starts[2]) + 47] = 1e3
    assert not torch.allclose(head(changed).logits, head(given).logits)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_parameter_gets_a_gradient_in_every_ablation(name: str) -> None:
    roles = WANTED.get(name, EVERY)
    head = small(*ABLATIONS[name], roles=roles)
    loss(head, batch(roles)).backward()  # type: ignore[no-untyped-call]
    assert [key for key, one in head.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0] == []


@pytest.mark.parametrize(
    ("name", "gone"),
    [("audio", {"rows.text", "mutual"}), ("text", {"rows.speech", "mutual"}), ("no-dst", {"scales"}), ("no-mt", {"mutual"})],
)
def test_an_ablation_has_no_weights_of_what_it_removes(name: str, gone: set[str]) -> None:
    def has(head: nn.Module, prefix: str) -> bool:
        return any(key.startswith(prefix) for key, _ in head.named_modules())

    head = small(*ABLATIONS[name], roles=WANTED.get(name, EVERY))
    assert {prefix for prefix in ("rows.text", "rows.speech", "mutual", "scales") if not has(head, prefix)} == gone


@pytest.mark.parametrize("settings", [(), ("gate=block",), ("ffn=literal",), ("mutual=encoded", "pool=literal"), ("shared_encoders=true",)])
def test_the_examples_can_be_learned_by_heart(settings: Sequence[str]) -> None:
    head, given = small(*settings), batch()
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        loss(head, given).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert torch.equal(head.eval()(given).logits[0].argmax(1), given.labels)


def test_the_order_of_the_inputs_changes_nothing() -> None:
    here, there = small().eval(), small(roles=EVERY[::-1]).eval()
    given = batch()
    torch.testing.assert_close(there(Batch(given.inputs[::-1], given.labels)).logits, here(given).logits)


@pytest.mark.parametrize(
    ("roles", "settings", "message"),
    [
        (["speech", "text"], (), r", a speaker embedding \(ecapa utterance\); given: a frames \(speech\), b tokens"),
        (["speech", "speech", "speaker"], (), r"takes, once each .* text \(bert-base tokens\)"),
        (["speech", "text", "speaker"], ("mt=false",), r"given: a frames \(speech\), b tokens \(text\), c utterance \(speaker\)"),
        (["text"], ("path=audio",), r"takes, once each and with these settings: speech in time"),
    ],
)
def test_inputs_that_lack_or_are_doubled_are_refused_with_what_is_wanted(roles: list[str], settings: Sequence[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        small(*settings, roles=roles)
    assert "\n" not in str(refused.value)


def test_an_input_of_several_layers_is_refused_with_what_to_say() -> None:
    several = Input(name="whisper", level="frames", layers=(0, 1), dim=7)
    with pytest.raises(UsageError, match="takes one layer of each encoder, and whisper has 2; give --layers last"):
        tdfnet.build(config("path=audio"), [several], 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["width=100"], "width is 100, and 12 heads at 2 scales want a multiple of 48"),
        (["audio_frames=500"], "audio_frames is 500, expected a multiple of 8"),
        (["path=text", "me=false"], "me=false is about speech"),
        (["dst=false", "mutual=encoded"], "mutual=encoded takes what the encoders of dst=true make"),
        (["dropout=1"], "dropout is 1.0"),
        (["layers=0"], "layers is 0, expected 1 to"),
        (["scales=20000"], "scales is 20000, expected 1 to 16"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override(tdfnet.Config(), settings)


def test_statistics_of_the_training_folds_are_taken_off_before_anything_is_padded() -> None:
    given = packed(LENGTHS["speech"], 1, 7, dtype=torch.float32)
    scaled = PackedTensor(given.values * 50 + 3, given.offsets)
    answers = []
    for one in (given, scaled):
        torch.manual_seed(0)
        moments = Moments(one.values.mean(1), one.values.std(1))
        head = tdfnet.build(config("path=audio", "padding=zero"), [Input(name="a", level="frames", layers=(0,), dim=7, moments=moments)], 3)
        answers.append(head.eval()(Batch((one,), torch.zeros(6, dtype=torch.int64))).logits)
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-4)


def test_the_layer_of_eq_5_adds_its_own_input_twice() -> None:
    torch.manual_seed(0)
    block = LiteralBlock(8, 2, dropout=0.1).eval()
    x = padded(torch.randn(5, 8), torch.tensor([0, 5]))
    expected = block.last_norm(x.values + F.gelu(block.inner(block.norm(x.values + block.attention(x, x)))))
    torch.testing.assert_close(block(x).values, expected)


def test_logits_as_printed_have_a_floor() -> None:
    plain, bent = small().eval(), small("gelu_logits=true").eval()
    torch.testing.assert_close(bent(batch()).logits, F.gelu(plain(batch()).logits))
    assert bool((bent(batch()).logits > -0.2).all())


def test_the_gate_is_elementwise_and_by_part_one_score_for_each() -> None:
    for name, scores in (("full", 15 * 16 + 3), ("block", 21)):
        head = small(f"gate={name}").eval()
        assert head.fusion.gate.out_features == scores
        whole = torch.cat(head.pooled(batch()), 1)
        alpha = head(batch()).embedding[0] / whole
        first = alpha[:, :16]
        assert torch.allclose(first, first[:, :1].expand_as(first), atol=1e-4) == (name == "block")


def test_the_paper_s_setting_deviates_in_nothing_and_others_say_so() -> None:
    assert tdfnet.deviations(tdfnet.Config(), PAPER) == []
    assert tdfnet.deviations(override(tdfnet.Config(), ["path=audio"]), [SPEECH]) == []
    assert tdfnet.deviations(override(tdfnet.Config(), ["hidden=4096", "kept=best+last"]), PAPER) == []
    assert tdfnet.deviations(override(tdfnet.Config(), ["hidden=1024", "precision=bf16"]), PAPER) == [
        "precision is bf16; our choice has fp32", "hidden is 1024; the paper has 4096 for a width of 768",
    ]  # fmt: skip
    used = Input(name="mine", encoder="whisper-tiny.en", level="frames", layers=(2,), all_layers=(0, 1, 2, 3, 4), dim=384)
    assert tdfnet.deviations(override(tdfnet.Config(), ["width=96", "normalise=speech"]), [used]) == [
        "normalise is speech; our choice has none",
        "width is 96; the paper has 768",
        "mine: made by whisper-tiny.en; the paper has hubert-large for speech",
        "mine: layer 2; our choice, where the paper says nothing, is the last",
    ]


def test_numbers_of_tiny_heads_are_finite_at_the_shortest_inputs() -> None:
    head = small()
    given = Batch(tuple(packed([1, 1], 1, DIMS[role]) for role in EVERY), torch.tensor([0, 1]))
    assert np.isfinite(loss(head, given).item())
