"""Attention over padded sequences: the same as alone, and the same as written out."""

import math

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from heads.attention import Attention, AttentionBlock, Padded, padded

LENGTHS = (5, 1, 11)
ROWS = torch.randn(sum(LENGTHS), 12, generator=torch.Generator().manual_seed(0))
OFFSETS = torch.tensor([0, 5, 6, 17])


def alone(i: int) -> Padded:
    return padded(ROWS[OFFSETS[i] : OFFSETS[i + 1]], torch.tensor([0, LENGTHS[i]]))


def block() -> AttentionBlock:
    torch.manual_seed(1)
    return AttentionBlock(12, 3, 24, dropout=0.2, activation="relu").eval()


def test_padded_rows_lie_where_they_were_and_the_rest_is_zero() -> None:
    found = padded(ROWS, OFFSETS)
    assert found.real.sum(1).tolist() == list(LENGTHS)
    assert torch.equal(found.values[found.real], ROWS)
    assert not found.values[~found.real].any()
    for i, length in enumerate(LENGTHS):
        torch.testing.assert_close(found.mean()[i], ROWS[OFFSETS[i] : OFFSETS[i] + length].mean(0))


def test_attention_is_the_softmax_of_scaled_products() -> None:
    torch.manual_seed(1)
    layer, one = Attention(12, 3), ROWS[:5]
    q, k, v = (part(one).view(5, 3, 4).transpose(0, 1) for part in (layer.query, layer.key, layer.value))
    expected = layer.out(((q @ k.mT / math.sqrt(4)).softmax(-1) @ v).transpose(0, 1).reshape(5, 12))
    torch.testing.assert_close(layer(alone(0), alone(0))[0, :5], expected)


@pytest.mark.parametrize("i", range(3))
def test_batch_mates_and_padding_change_no_answer(i: int) -> None:
    together, single = block()(padded(ROWS, OFFSETS)), block()(alone(i))
    torch.testing.assert_close(together.values[i, : LENGTHS[i]], single.values[0, : LENGTHS[i]])


def test_what_is_in_the_padding_changes_no_answer() -> None:
    given = padded(ROWS, OFFSETS)
    dirty = given.holding(given.values.masked_fill(~given.real[:, :, None], 1e4))
    found, clean = block()(dirty), block()(given)
    torch.testing.assert_close(found.values[given.real], clean.values[given.real])
    torch.testing.assert_close(found.mean(), clean.mean())


def test_queries_come_from_one_sequence_and_what_is_summed_from_the_other() -> None:
    speech, text = padded(ROWS, OFFSETS), padded(ROWS.flip(0), torch.tensor([0, 2, 9, 17]))
    found = block()(text, speech)
    assert found.values.shape == text.values.shape
    moved = block()(text, speech.holding(speech.values + 1))
    assert not torch.allclose(found.values[text.real], moved.values[text.real])


def test_a_mask_leaves_attention_in_a_kernel_without_a_matrix_of_all_pairs() -> None:
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
        found = block().train()(padded(ROWS, OFFSETS))
        found.mean().sum().backward()
