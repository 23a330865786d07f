"""Frames become rows of segments by one rule, and no frame is lost or counted twice."""

import itertools

import numpy as np
import pytest
import torch

from emocache import pooling
from emocache.pooling import OUTER, PRINTED, Spans, spans

RAMP = torch.arange(10.0)[None, :, None]  # frames 0..9 whose value is their number


def cut(*edges: tuple[int, int], frames: int = 10, rule: str = pooling.CENTRE, hop: int = 320, centre: int = 200) -> Spans:
    """The spans of segments given in samples."""
    begin, end = np.array(edges, np.int32).T
    return spans(begin, end, frames=frames, hop=hop, centre=centre, rule=rule)


def in_frames(first: int, last: int) -> tuple[int, int]:
    """The samples from where frame `first` begins to where frame `last` does."""
    return 320 * first, 320 * last


def means(found: Spans, values: torch.Tensor = RAMP) -> list[float]:
    """What segments of one layer and one dimension come to."""
    return pooling.mean_of_spans(values, found)[0, :, 0].tolist()


def test_frames_two_to_before_five_come_to_three() -> None:
    assert means(cut(in_frames(2, 5))) == [3.0]
    assert means(cut(in_frames(2, 5), rule=OUTER)) == [3.0]


def test_the_printed_sum_of_the_same_frames_is_one_frame_too_large() -> None:
    assert means(cut(in_frames(2, 5), rule=PRINTED)) == pytest.approx([14 / 3])


def test_the_picture_in_the_module_is_true() -> None:
    found = cut((0, 320), (320, 720), (720, 780), (780, 1280), frames=4)
    assert means(found) == [0.0, 1.0, 2.0, 2.5]
    assert found.nearest.tolist() == [False, False, True, False]


def test_a_frame_belongs_to_the_segment_that_holds_its_centre_and_not_to_the_one_that_ends_on_it() -> None:
    assert means(cut((0, 520), (520, 900))) == [0.0, 1.5]
    assert means(cut((0, 521), (521, 900))) == [0.5, 2.0]


@pytest.mark.parametrize("edges", [(2990, 3000), (5000, 5100), (0, 10), (9_999, 100_000)])
def test_a_segment_without_a_centre_takes_the_frame_nearest_to_its_middle(edges: tuple[int, int]) -> None:
    middle = sum(edges) / 2
    nearest = min(range(10), key=lambda frame: abs(200 + 320 * frame - middle))
    found = cut(edges)
    assert found.nearest.tolist() == [True]
    assert means(found) == [float(nearest)]


@pytest.mark.parametrize(("edges", "even"), [((350, 370), 0), ((670, 690), 2), ((990, 1010), 2), ((1310, 1330), 4)])
def test_of_two_frames_that_are_as_near_the_even_one_is_taken(edges: tuple[int, int], even: int) -> None:
    assert means(cut(edges)) == [float(even)]


def test_the_outer_rule_is_that_of_the_paper_in_frames_of_ten_milliseconds() -> None:
    for s10, e10 in [(0, 0), (3, 6), (4, 7), (5, 5), (17, 18)]:
        found = cut((160 * s10, 160 * (e10 + 1)), rule=OUTER)
        expected = (s10 // 2, max(s10 // 2 + 1, min(10, -(-(e10 + 1) // 2))))
        assert (found.first.tolist(), found.last.tolist()) == ([expected[0]], [expected[1]])


def test_segments_that_tile_an_utterance_have_the_mean_of_all_frames_when_weighted_by_their_frames() -> None:
    rng = np.random.default_rng(0)
    states = torch.from_numpy(rng.normal(size=(3, 40, 5)).astype(np.float16)).float()
    edges = [0, *sorted(rng.choice(np.arange(400, 12_000), 7, replace=False).tolist()), 13_000]
    found = cut(*itertools.pairwise(edges), frames=40)
    assert not found.nearest.any()
    weights = torch.from_numpy((found.last - found.first) / 40)[None, :, None]
    total = (pooling.mean_of_spans(states, found).double() * weights).sum(1)
    torch.testing.assert_close(total, states.double().mean(1), rtol=1e-6, atol=1e-7)


def test_it_does_not_matter_whether_layers_or_frames_are_averaged_first() -> None:
    states = torch.randn(6, 30, 4, generator=torch.Generator().manual_seed(0))
    found = cut((0, 3000), (3000, 4100), (4100, 9000), frames=30)
    pooled_first = pooling.mean_of_spans(states, found).mean(0)
    layers_first = pooling.mean_of_spans(states.mean(0, keepdim=True), found)[0]
    torch.testing.assert_close(pooled_first, layers_first, rtol=1e-5, atol=1e-6)


def test_slow_loops_over_frames_give_the_same_on_a_thousand_random_tilings() -> None:
    rng = np.random.default_rng(1)
    for _ in range(1000):
        frames = int(rng.integers(1, 60))
        hop, centre = ((320, 200), (320, 0), (160, 232))[int(rng.integers(3))]
        values = rng.normal(size=(2, frames, 3)).astype(np.float16).astype(np.float32)
        edges = sorted(rng.choice(np.arange(0, 330 * frames + 400), int(rng.integers(2, 12)), replace=False).tolist())
        found = cut(*itertools.pairwise(edges), frames=frames, hop=hop, centre=centre)
        for row, (begin, end) in enumerate(itertools.pairwise(edges)):
            members = [f for f in range(frames) if begin <= centre + hop * f < end]
            if nearest := not members:
                middle = (begin + end) / 2
                gaps = [abs(centre + hop * f - middle) for f in range(frames)]
                members = [int(np.argmin(gaps))] if gaps.count(min(gaps)) == 1 else list(range(found.first[row], found.last[row]))
            assert bool(found.nearest[row]) == nearest
            got = pooling.mean_of_spans(torch.from_numpy(values), found)[:, row].numpy()
            np.testing.assert_allclose(got, values[:, members].mean(1, dtype=np.float64), rtol=1e-6, atol=1e-9)


def test_but_for_nearest_frames_no_frame_is_in_two_segments() -> None:
    rng = np.random.default_rng(2)
    edges = sorted(rng.choice(20_000, 60, replace=False).tolist())
    found = cut(*itertools.pairwise(edges), frames=62)
    members = [f for first, last, near in zip(found.first, found.last, found.nearest, strict=True) if not near for f in range(first, last)]
    assert len(members) == len(set(members)) > 30


def test_means_of_half_precision_rows_are_exact_whatever_stands_before_them() -> None:
    rng = np.random.default_rng(3)
    rows = torch.from_numpy((rng.normal(size=(1, 5000, 2)) * 10 ** rng.uniform(-6, 4, size=(1, 5000, 2))).astype(np.float16)).float()
    late = cut((320 * 4000, 320 * 4990), frames=5000)
    alone = Spans(np.array([0]), late.last - late.first, late.divisor, late.nearest)
    part = rows[:, int(late.first[0]) : int(late.last[0])]
    assert torch.equal(pooling.mean_of_spans(rows, late), pooling.mean_of_spans(part, alone))
    assert torch.equal(pooling.mean_of_spans(part, alone), pooling.mean_of_spans(part.flip(1), alone))
