"""CTC models as aligners: the best path is the best of all, frames become seconds, and only CTC models are taken."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from emocache.aligners import ctc
from emocache.aligners.ctc import CtcAligner, Vocabulary
from emocache.aligners.viterbi import best_path, least_frames
from emocache.alignment import SILENCE, Segment
from emocache.encoders import Source
from emocache.errors import AlignmentError, EncoderError
from tests import checkpoints, small_corpus
from tests.aligners.tiny_ctc import CHARACTERS, NUMBERS, checkpoint

VOCABULARY = Vocabulary({name: i for name, i in NUMBERS.items() if name != "|"}, blank=0, gap=1)
CPU = torch.device("cpu")


def collapsed(labels: tuple[int, ...]) -> list[int]:
    """What CTC reads off the labels of frames: without repetitions, then without blanks."""
    return [label for label, _ in itertools.groupby(labels) if label != 0]


@pytest.mark.parametrize(
    ("text", "frames"), [([2], 3), ([2, 3], 2), ([2, 3], 5), ([2, 2], 3), ([2, 2], 5), ([2, 1, 3], 6), ([3, 3, 3], 5), ([2, 1, 2], 6)]
)
def test_the_path_is_the_best_of_all_that_spell_the_text(text: list[int], frames: int) -> None:
    wanted = np.array(text)
    scores = np.log(np.random.default_rng(len(text) + frames).dirichlet(np.ones(4), frames)).astype(np.float32)
    ways = (way for way in itertools.product(range(4), repeat=frames) if collapsed(way) == text)
    best = max(ways, key=lambda way: scores[range(frames), way].sum())
    states = np.zeros(2 * len(text) + 1, int)
    states[1::2] = text
    assert tuple(states[best_path(scores, wanted, blank=0)]) == best


def test_too_few_frames_for_a_text_are_refused() -> None:
    assert least_frames(np.array([2, 2, 3])) == 4
    with pytest.raises(ValueError, match="3 frames for a text that needs 4"):
        best_path(np.zeros((3, 4), np.float32), np.array([2, 2, 3]), 0)


class Known:
    """A model that gives the same characters for whatever it hears: one a frame of 20 ms."""

    config = SimpleNamespace(inputs_to_logits_ratio=320)
    device = CPU

    def __init__(self, shown: str) -> None:
        self.logits = torch.full((1, len(shown), len(CHARACTERS)), -9.0)
        for frame, letter in enumerate(shown):
            self.logits[0, frame, 0 if letter == "_" else NUMBERS[letter]] = 9.0

    def _get_feat_extract_output_lengths(self, samples: int) -> int:
        return min(samples // 320, self.logits.shape[1])

    def __call__(self, _: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits)


def aligner(shown: str) -> CtcAligner:
    def extract(wave: np.ndarray, **_: object) -> SimpleNamespace:
        return SimpleNamespace(input_values=torch.from_numpy(wave)[None])

    source = Source(name="known", asked="./known", folder=Path(), origin="a test", revision="local")
    return CtcAligner(source, extract, Known(shown), VOCABULARY, "0" * 64)


def align(shown: str, transcript: str) -> list[Segment]:
    return list(aligner(shown).align(np.zeros(320 * len(shown), np.float32), transcript).segments["word"])


def test_a_word_lasts_from_its_first_characters_frame_to_its_last_ones() -> None:
    long = "_" * 15
    first, word, pause, other, last = align(f"{long}AA_B{long}|C{long}", "ab c")
    assert (first.label, first.kind, first.start_s) == ("", SILENCE, 0.0)
    assert (word.label, word.start_s, word.end_s) == ("ab", pytest.approx(0.30), pytest.approx(0.38))
    assert (pause.kind, pause.start_s, pause.end_s) == (SILENCE, pytest.approx(0.38), pytest.approx(0.70))
    assert (other.label, other.start_s, other.end_s) == ("c", pytest.approx(0.70), pytest.approx(0.72))
    assert (last.kind, last.end_s) == (SILENCE, pytest.approx(1.02))


def test_a_short_gap_between_words_is_shared() -> None:
    first, second = align("_A__|_B_", "a b")
    assert first.end_s == second.start_s == pytest.approx((0.04 + 0.12) / 2)
    assert (first.start_s, second.end_s) == (pytest.approx(0.02), pytest.approx(0.14))


def test_the_same_characters_twice_in_a_row_are_two_words() -> None:
    assert [one.label for one in align("AA_|__A_A", "a aa")] == ["a", "aa"]


def test_a_letter_stands_for_itself_in_either_case_and_without_its_accent() -> None:
    assert VOCABULARY.spell("äb'C") == [2, 3, 5, 4]
    with pytest.raises(AlignmentError, match="no character for 'd' in 'bad'"):
        VOCABULARY.spell("bad")


@pytest.mark.parametrize(
    ("transcript", "seconds", "reason"),
    [
        ("abc", 0.04, r"\(0.04 s\) is too short for 3 characters"),
        ("abc", 0.001, "is too short"),
        ("a 5", 0.1, "write them as words"),
        ("a", 91, "lasts 91.0 s; a CTC model is given 90 s at most"),
    ],
)
def test_what_cannot_be_aligned_says_why(transcript: str, seconds: float, reason: str) -> None:
    with pytest.raises(AlignmentError, match=reason):
        aligner("A_").align(np.zeros(round(16_000 * seconds), np.float32), transcript)


def test_a_checkpoint_on_disk_is_an_aligner_and_named_by_its_weights(tmp_path: Path) -> None:
    found, name = ctc.load(str(checkpoint(tmp_path / "tiny")), CPU)
    assert name == "tiny"
    assert "CTC by tiny from folder tiny at local (sha256 " in found.about
    words = [one for one in found.align(small_corpus.wave(0, 1.0), "Cab [x] a").segments["word"] if one.kind != SILENCE]
    assert [one.label for one in words] == ["cab", "a"]
    assert 0 <= words[0].start_s < words[0].end_s <= words[1].start_s < words[1].end_s <= 1.0


def test_the_head_counts_in_the_digest(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "tiny")
    before = ctc.load(str(folder), CPU)[0].about
    model = transformers.Wav2Vec2ForCTC.from_pretrained(folder)
    torch.nn.init.ones_(model.lm_head.weight)
    model.save_pretrained(folder)
    assert ctc.load(str(folder), CPU)[0].about != before


def test_a_checkpoint_without_a_head_is_refused_and_not_given_a_random_one(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"lacks 2 weights \(first lm_head.bias\)"):
        ctc.load(str(checkpoint(tmp_path / "tiny", head=False)), CPU)


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="vocabulary of 6 characters does not fit its model, which gives 9"):
        ctc.load(str(checkpoint(tmp_path / "tiny", size=9)), CPU)


def test_models_that_write_no_characters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no CTC model over samples; try wav2vec2-base-960h"):
        ctc.load(str(checkpoints.bert(tmp_path / "bert")), CPU)
    with pytest.raises(EncoderError, match=r"has no vocab\.json"):
        ctc.load(str(checkpoints.speech(tmp_path / "hubert")), CPU)
    with pytest.raises(EncoderError, match="egemaps: has no weights"):
        ctc.load("egemaps", CPU)


def test_trouble_with_the_hub_is_said_as_for_encoders() -> None:
    with pytest.raises(EncoderError, match=r"HF_HUB_OFFLINE is set.*emocache fetch wav2vec2-base-960h"):
        ctc.load("wav2vec2-base-960h", CPU)
