"""MMER: the released network's size, its losses by hand, what CTC reaches, and what paper and released code differ in."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from emocache.errors import UsageError
from heads import mmer
from heads.attention import Padded
from heads.config import Beside, override
from heads.data import Input, PackedTensor
from heads.mmer import losses
from heads.mmer.bank import Bank
from heads.mmer.characters import BLANK, VOCABULARY, frames_needed, symbols
from heads.mmer.model import Mmer
from heads.ragged import Ragged
from tests.heads.toy import packed
from tests.heads.toy_mmer import CPU, SMALL, SPEECH, TEXT, TINY, batch, head


def config(*settings: str) -> mmer.Config:
    return override(mmer.Config(), settings)


def size(*settings: str, inputs: tuple[Input, ...] = (SPEECH, TEXT)) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in mmer.build(config(*settings), inputs, 4).parameters())


def test_the_released_network_has_its_size_without_the_vector_that_nothing_uses() -> None:
    assert size("adapter=none") == 35_466_289 - 13
    assert size("adapter=none", "beta=0", "gamma=0") == 31_924_273 - 13
    assert size() - size("adapter=none") == 7_087_872


@pytest.mark.parametrize(("setting", "fewer"), [("text_layer=false", 7_087_872), ("audio_projections=false", 1_181_184)])
def test_what_the_paper_does_not_have_is_left_out_of_its_reading(setting: str, fewer: int) -> None:
    assert size() - size(setting) == fewer


def test_the_baselines_are_a_single_linear_layer() -> None:
    pooled = ("network=pooled", "adapter=none", "alpha=0", "beta=0", "gamma=0")
    assert [size(*pooled, inputs=of) for of in ((SPEECH,), (TEXT,), (SPEECH, TEXT))] == [3_076, 3_076, 6_148]
    one = mmer.build(config(*TINY, *pooled), SMALL, 3)
    values = [part.values[0].float() for part in batch().inputs]
    expected = torch.cat([values[0][:40].amax(0), values[1][:9].amax(0)])
    torch.testing.assert_close(one(batch()).embedding[0, 0], expected)


def test_the_vocabulary_is_that_of_wav2vec2_base() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 32
    assert (VOCABULARY[BLANK], VOCABULARY[4], VOCABULARY[5], VOCABULARY[27], VOCABULARY[31]) == ("<pad>", "|", "E", "'", "Z")


@pytest.mark.parametrize(
    ("said", "learnt"),
    [("It's, {LG}  OK.", "IT'S|LG|OK"), ("a | b", "A|B"), (" <s> ", "S"), ("42!", ""), ("", ""), ("Größe", "GRSSE")],
)
def test_a_transcript_is_cleaned_to_the_vocabulary(said: str, learnt: str) -> None:
    assert "".join(VOCABULARY[number] for number in symbols(said)) == learnt


@pytest.mark.parametrize("target", [(5,), (5, 6), (5, 5), (5, 5, 5, 6, 6)])
def test_ctc_is_infinite_below_the_frames_that_a_target_needs(target: tuple[int, ...]) -> None:
    for frames in range(1, 9):
        scores = torch.zeros(frames, 1, 32).log_softmax(-1)
        loss = F.ctc_loss(scores, torch.tensor([target]), (frames,), (len(target),))
        assert bool(loss.isinf()) == (frames < frames_needed(target))


def test_ctc_is_the_sum_over_the_batch_of_what_each_transcript_costs() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3]])  # of blank, A and B, in two frames
    frames = Padded(probabilities.log().expand(4, 2, 3), torch.ones(4, 2, dtype=torch.bool))
    a = 0.3 * 0.1 + 0.3 * 0.6 + 0.5 * 0.1
    b = 0.2 * 0.3 + 0.2 * 0.6 + 0.5 * 0.3
    found = losses.ctc(frames, Ragged.of([[1], [2], [1, 1], []], CPU))  # [1, 1] takes three frames, [] is no transcript
    assert float(found) == pytest.approx(-math.log(a) - math.log(b))


def test_padding_and_cut_frames_are_not_spelled() -> None:
    values = torch.randn(1, 8, 32)
    short = Padded(values[:, :5], torch.ones(1, 5, dtype=torch.bool))
    long = Padded(values, torch.arange(8)[None] < 5)
    torch.testing.assert_close(*(losses.ctc(one, Ragged.of([[7, 8]], CPU)) for one in (short, long)))


Z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
PAIRED = torch.tensor([0, 0, 1])
# z_i . z_j: [1, 0, 1], [0, 1, 1], [1, 1, 2]


def test_scl_as_released_counts_each_utterance_among_its_own_pairs() -> None:
    row = math.log(2 * math.e + 1)  # of anchors 0 and 1
    last = math.log(2 * math.e + math.e**2)  # of anchor 2, whose only pair is itself
    pairs = [1 - row, 0 - row, 0 - row, 1 - row, 2 - last]
    assert float(losses.release(Z, PAIRED, Z, PAIRED)) == pytest.approx(-sum(pairs) / (0.07 * 5))


def test_scl_of_the_algorithm_has_tau_inside_the_softmax() -> None:
    def log_sum(*scores: float) -> float:
        return math.log(sum(math.exp(score / 0.07) for score in scores))

    row, last = log_sum(1, 0, 1), log_sum(1, 1, 2)
    pairs = [1 / 0.07 - row, -row, -row, 1 / 0.07 - row, 2 / 0.07 - last]
    assert float(losses.paper(Z, PAIRED, Z, PAIRED)) == pytest.approx(-sum(pairs) / 5)


def test_scl_of_khosla_leaves_out_each_utterance_itself_and_those_without_a_pair() -> None:
    half = 1 / math.sqrt(2)  # cosine of utterance 2 with the others, which are orthogonal
    each = math.log(1 + math.exp(half / 0.07))  # -log(e^0 / (e^0 + e^(half/tau))) of anchors 0 and 1
    assert float(losses.supcon(Z, PAIRED, Z, PAIRED)) == pytest.approx(each)
    assert float(losses.supcon(7 * Z, PAIRED, 7 * Z, PAIRED)) == pytest.approx(each), "it is normalised"


@pytest.mark.parametrize("reading", losses.SCL)
def test_an_utterance_that_is_alone_has_a_finite_loss_and_gradient(reading: losses.Scl) -> None:
    z = Z[:1].clone().requires_grad_()
    loss = losses.SCL[reading](z, PAIRED[:1], z, PAIRED[:1])
    loss.backward()
    assert z.grad is not None
    assert float(loss.detach()) == 0
    assert bool(z.grad.isfinite().all())


def test_acl_is_the_cross_entropy_of_the_own_view_in_one_direction() -> None:
    theirs = torch.tensor([[0.1, 0.0], [0.0, 0.2], [0.0, 0.0]])  # products with the views: [.1, 0, 0], [0, .2, 0], [.1, .2, 0]
    rows = [(0.1, (0.1, 0, 0)), (0.2, (0, 0.2, 0)), (0.0, (0.1, 0.2, 0))]
    expected = [-own / 0.07 + math.log(sum(math.exp(score / 0.07) for score in scores)) for own, scores in rows]
    assert float(losses.acl(Z, theirs)) == pytest.approx(sum(expected) / 3)


@pytest.mark.parametrize("reading", losses.SCL)
def test_a_bank_stands_behind_the_batch_as_if_it_were_of_it(reading: losses.Scl) -> None:
    z, labels = torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 0, 0])
    bank = Bank(4, 4)
    bank.behind(z[:4], labels[:4])
    behind, theirs = bank.behind(z[4:], labels[4:])
    assert torch.equal(behind, torch.cat([z[4:], z[:4]]))
    assert torch.equal(theirs, torch.tensor([0, 0, 0, 1, 0, 1]))
    found = losses.SCL[reading](z[4:], labels[4:], behind, theirs)
    rows = [losses.SCL[reading](z[i : i + 1], labels[i : i + 1], torch.cat([z[i:], z[:i]]), torch.cat([labels[i:], labels[:i]]))
            for i in (4, 5)]  # fmt: skip
    torch.testing.assert_close(found, torch.stack(rows).mean())  # both anchors have as many pairs
    assert [len(one) for one in bank.behind(z[:3], labels[:3])] == [7, 7]
    assert len(bank.values) == 4


def gradient_reaches(one: Mmer, name: str) -> set[str]:
    """The parameters that get a gradient from one of the losses."""
    given = batch()
    u, speech = one.represent(given.inputs)
    one.auxiliary(given, u, speech)[name].backward()
    return {key for key, weight in one.named_parameters() if weight.grad is not None and bool(weight.grad.any())}


def test_ctc_reaches_what_the_classifier_uses_through_the_adapter_alone() -> None:
    for adapter in ("transformer", "linear"):
        reached = gradient_reaches(head(f"adapter={adapter}"), "ctc")
        assert any(key.startswith("adapter.") for key in reached), "and speech's own maxima are taken after the adapter"
    wide = mmer.build(config(*TINY, "adapter=none"), [replace(SPEECH, dim=8), SMALL[1]], 3)
    given = replace(batch(), inputs=(packed([40, 20, 50, 10, 40, 24, 37, 30], 1, 8), batch().inputs[1]), views=None)
    u, speech = wide.represent(given.inputs)
    wide.auxiliary(given, u, speech)["ctc"].backward()
    assert {key for key, weight in wide.named_parameters() if weight.grad is not None} == {"characters.weight", "characters.bias"}


def test_what_an_adapter_changes_is_what_the_classifier_sees() -> None:
    one = head().eval()
    before = one(batch()).embedding
    with torch.no_grad():
        one.adapter.last_norm.bias += 1  # type: ignore[union-attr, operator]
    assert not torch.allclose(one(batch()).embedding[..., :8], before[..., :8])
    assert not torch.allclose(one(batch()).embedding[..., 8:], before[..., 8:])


def test_each_loss_is_there_in_training_with_its_weight_and_in_evaluation_none_but_cross_entropy() -> None:
    found = head()(batch()).losses
    assert list(found) == ["cross_entropy", "ctc", "scl", "acl"]
    assert {tuple(loss.shape) for loss in found.values()} == {(1,)}
    twice = head("alpha=0.2", "beta=0.2", "gamma=0.2")(batch()).losses
    for name in ("ctc", "scl", "acl"):
        torch.testing.assert_close(twice[name], 2 * found[name])
    assert list(head().eval()(batch()).losses) == ["cross_entropy"]


@pytest.mark.parametrize(("setting", "lost"), [("alpha=0", "ctc"), ("beta=0", "scl"), ("gamma=0", "acl")])
def test_a_weight_of_0_takes_a_loss_away(setting: str, lost: str) -> None:
    assert lost not in head(setting)(batch()).losses


def test_acl_compares_with_the_views_that_there_are_and_is_off_without() -> None:
    assert "acl" not in head()(replace(batch(), views=None)).losses
    assert gradient_reaches(head(), "acl") >= {"original.0.weight", "augmented.0.weight", "fusion.gate.weight", "adapter.inner.weight"}


def test_targets_and_views_change_no_answer() -> None:
    one = head().eval()
    torch.testing.assert_close(one(batch()).logits, one(replace(batch(), targets=None, views=None)).logits)


def test_rows_behind_the_cut_change_no_answer() -> None:
    one, given = head("audio_frames=16").eval(), batch()
    values = given.inputs[0].values.clone()
    values[0, 16:40] += 50
    other = replace(given, inputs=(PackedTensor(values, given.inputs[0].offsets), given.inputs[1]))
    torch.testing.assert_close(one(given).logits, one(other).logits)


def test_the_order_of_r_and_q_is_the_order_of_columns_of_one_layer() -> None:
    one, other = head("order=RQ").eval(), head("order=QR").eval()
    assert one.fusion is not None
    assert other.fusion is not None
    assert not torch.allclose(one(batch()).logits, other(batch()).logits)
    with torch.no_grad():
        other.fusion.narrow.weight.copy_(one.fusion.narrow.weight.roll(8, 1))
    torch.testing.assert_close(one(batch()).logits, other(batch()).logits)


def test_projecting_before_the_maxima_is_another_network_of_the_same_size() -> None:
    after, before = head().eval(), head("projection=before").eval()
    assert {key: one.shape for key, one in after.state_dict().items()} == {key: one.shape for key, one in before.state_dict().items()}
    assert not torch.allclose(after(batch()).logits, before(batch()).logits)


@pytest.mark.parametrize("settings", [(), ("contrast=fused", "scl=supcon", "projection=before", "order=QR"), ("bank=16", "scl=paper")])
def test_every_weight_learns_in_every_reading_but_those_that_cancel_in_a_softmax(settings: tuple[str, ...]) -> None:
    one = head(*settings)
    sum(one(batch()).losses.values()).sum().backward()
    moved = {key for key, weight in one.named_parameters() if weight.grad is not None and weight.grad.abs().max() > 1e-5}
    dead = {key for key, _ in one.named_parameters()} - moved
    assert dead == {key for key, _ in one.named_parameters() if key.endswith("attention.key.bias")} | {"augmented.2.bias"}


def test_dropout_acts_on_attention_in_training_alone() -> None:
    one = head("dropout=0.5")
    assert not torch.equal(one(batch()).logits, one(batch()).logits)
    assert torch.equal(one.eval()(batch()).logits, one(batch()).logits)


def test_half_precision_gives_about_the_same_losses() -> None:
    exact = head("bank=8")(batch()).losses
    with torch.autocast("cpu", torch.bfloat16):
        one = head("bank=8")
        rough = one(batch()).losses
        again = one(batch()).losses
    for name, loss in exact.items():
        torch.testing.assert_close(rough[name].float(), loss, rtol=0.1, atol=0.05)
    sum(again.values()).sum().backward()


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ([SPEECH], (), "speech in time and text, once each"),
        ([SPEECH, SPEECH], ("network=pooled",), "once each"),
        ([TEXT], ("network=pooled",), "CTC is learnt from speech"),
        ([replace(SPEECH, layers=(1, 2)), TEXT], (), "give --layers last"),
        ([SPEECH, TEXT], ("network=pooled", "contrast=fused"), "nothing to compare"),
        ([SPEECH, TEXT], ("heads=5",), "a multiple of 5"),
        ([SPEECH, TEXT], ("gamma=-1",), "gamma is -1.0"),
        ([SPEECH, TEXT], ("audio_frames=100",), "a multiple of 8"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(inputs: list[Input], settings: tuple[str, ...], message: str) -> None:
    with torch.device("meta"), pytest.raises(UsageError, match=message):
        mmer.build(config(*settings), inputs, 4)


def test_what_is_not_the_papers_is_named() -> None:
    own = [one for one in mmer.deviations(config(), [SPEECH, TEXT]) if "released code" in one or "frozen" in one]
    assert own == mmer.deviations(config(), [SPEECH, TEXT])
    other = mmer.deviations(config("adapter=none", "batch=2"), [replace(SPEECH, name="mine", encoder="mine", dim=384), TEXT])
    assert {one for one in other if one not in own} == {
        "frozen variant: the paper trains wav2vec 2.0, here it is cached, and nothing is trained in its place, so CTC changes no answer",
        "batch is 2; the paper has 4",
        "adapter is none; our default has transformer",
        "mine: made by mine, which the paper does not use",
        "mine: 384 wide, projected to 768; the paper projects nothing",
    }


def test_no_number_is_laid_to_the_paper_that_it_does_not_print() -> None:
    changed = ("kept=best", "layer_lr=2", "schedule=cosine", "refit=true", "precision=bf16", "normalise=speech", "tested=last")
    usual, other = (mmer.deviations(config(*settings), [SPEECH, TEXT]) for settings in ((), changed))
    assert [one for one in other if one not in usual] == [
        "layer_lr is 2.0; our choice has 1.0",
        "schedule is cosine; our choice has constant",
        "refit is True; our choice has False",
        "precision is bf16; our choice has fp32",
        "tested is last; the released code has best",
        "normalise is speech; the released code has none",
    ]


def test_what_the_paper_does_not_have_is_named_as_long_as_it_is_there() -> None:
    def said(*settings: str) -> str:
        return " ".join(one for one in mmer.deviations(config(*settings), [SPEECH, TEXT]) if one.startswith("as in the released code"))

    assert "two layers before SCL and ACL, an apostrophe among the characters" in said()
    assert "two layers before" in said("beta=0")
    assert "two layers before" not in said("beta=0", "gamma=0")
    assert "apostrophe" not in said("alpha=0")


def test_the_rows_of_the_paper_are_no_deviations_from_it() -> None:
    ablation = mmer.deviations(config("beta=0"), [SPEECH, TEXT])
    assert ablation == mmer.deviations(config(), [SPEECH, TEXT])
    pooled = config("network=pooled", "adapter=none", "alpha=0", "beta=0", "gamma=0")
    assert mmer.deviations(pooled, [TEXT]) == []
    assert any("CTC changes no answer" in text for text in mmer.deviations(config("adapter=none"), [SPEECH, TEXT]))
    assert not any("CTC" in text for text in mmer.deviations(pooled, [SPEECH]))
    assert "alpha is 0.5; the paper has 0.1" in mmer.deviations(config("alpha=0.5"), [SPEECH, TEXT])


def test_what_is_lacking_for_a_loss_is_said() -> None:
    given = Beside(rows=(3, 3, 900), targets=((5, 6), (5, 5, 5), ()), viewed=(0, 0))
    found = mmer.remarks(config(), given)
    assert "CTC: 1 of 3 utterances have no character to learn" in found.notes
    assert "CTC: infinite, and counted as 0, for 1 utterances with more characters than rows of speech" in found.notes
    assert found.deviations == ("no views of training utterances (emocache augment makes them), so ACL is off",)
    assert mmer.remarks(config("gamma=0", "alpha=0"), given) == mmer.remarks(config("gamma=0", "alpha=0"), replace(given, viewed=(1, 1)))
    mute = mmer.remarks(config(), replace(given, targets=((), (), ()), viewed=(3, 0)))
    assert mute.deviations == ("no transcripts, so CTC is off", "no views in 1 of 2 trainings, so ACL is off there")
