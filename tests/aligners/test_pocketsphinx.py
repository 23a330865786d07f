"""pocketsphinx on sentences whose words have known times."""

import contextlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from emocache.aligners import pocketsphinx
from emocache.aligners.base import Aligned
from emocache.alignment import LEVELS, SILENCE, SPEECH, Segment
from emocache.errors import AlignmentError, UsageError
from tests.aligners.speech import SENTENCE, said

pytest.importorskip("pocketsphinx", reason="the aligner is the extra emocache[align]")
pytest.importorskip("inflect", reason="the aligner is the extra emocache[align]")


def aligned(transcript: str, wave: np.ndarray | None = None, oov: str = "skip") -> Aligned:
    return pocketsphinx.find(oov).align(said()[0] if wave is None else wave, transcript)


def spoken(found: Aligned, level: str) -> list[Segment]:
    return [one for one in found.segments[level] if one.kind == SPEECH]


def test_words_are_placed_where_the_voice_says_that_they_are() -> None:
    found, (_, words) = spoken(aligned(SENTENCE), "word"), said()
    assert [one.label for one in found] == [word.text.lower() for word in words]
    off = [abs(a - b) for one, word in zip(found, words, strict=True) for a, b in ((one.start_s, word.start_s), (one.end_s, word.end_s))]
    assert np.median(off) < 0.02
    assert max(off) < 0.1


def test_every_level_covers_the_same_time_in_order_and_without_overlaps() -> None:
    found = aligned(SENTENCE)
    assert list(found.segments) == list(LEVELS)
    for level in LEVELS:
        segments = found.segments[level]
        assert all(0 <= one.start_s < one.end_s for one in segments)
        assert all(one.end_s <= after.start_s + 1e-9 for one, after in pairwise(segments))
    lasting = [sum(one.end_s - one.start_s for one in spoken(found, level)) for level in LEVELS]
    assert lasting == pytest.approx([lasting[0]] * 3)


def test_the_phones_of_a_word_are_those_of_the_dictionary_and_its_syllables_theirs() -> None:
    found = aligned(SENTENCE)
    kitchen = next(one for one in spoken(found, "word") if one.label == "kitchen")
    inside = {
        level: [one.label for one in spoken(found, level) if kitchen.start_s <= one.start_s < kitchen.end_s]
        for level in ("phone", "syllable")
    }
    assert inside["phone"] == ["K", "IH", "CH", "AH", "N"]
    assert inside["syllable"] == ["K_IH", "CH_AH_N"]


def test_a_pause_is_a_silence_in_every_level() -> None:
    wave = np.concatenate([np.zeros(8000, np.float32), said()[0]])
    found = aligned(SENTENCE, wave)
    for level in LEVELS:
        first = found.segments[level][0]
        assert (first.kind, first.label, first.start_s) == (SILENCE, "", 0.0)
        assert first.end_s == pytest.approx(0.5, abs=0.05)


def test_what_was_aligned_before_changes_nothing() -> None:
    before = aligned(SENTENCE)
    aligned("then he called", said("Then he called.", "en-us+m3")[0])
    assert aligned(SENTENCE) == before


def test_a_word_that_the_dictionary_lacks_is_named() -> None:
    with pytest.raises(AlignmentError, match=r"not in the dictionary: zorblax, qwyth .*--oov guess"):
        aligned("I was in the zorblax and then qwyth called")


def test_a_guessed_word_is_placed_and_noted_every_time() -> None:
    wave, words = said("I was in the zorblax, and then he called.")
    for _ in range(2):
        found = aligned("I was in the zorblax, and then he called.", wave, "guess")
        assert found.note == "pronunciation guessed: zorblax"
        placed = spoken(found, "word")[4]
        assert placed.label == "zorblax"
        assert placed.start_s == pytest.approx(words[4].start_s, abs=0.1)
        assert placed.end_s == pytest.approx(words[4].end_s, abs=0.1)


def test_a_word_in_another_script_is_not_guessed() -> None:
    with pytest.raises(AlignmentError, match="no letters that English is written in: 你好"):
        aligned("you say 你好", oov="guess")


def test_remarks_are_noted_and_not_aligned() -> None:
    found = aligned("[LAUGHTER] " + SENTENCE)
    assert found.note == "not aligned: [LAUGHTER]"
    assert len(spoken(found, "word")) == 9


@pytest.mark.parametrize(
    ("transcript", "wave", "reason"),
    [
        (SENTENCE, np.zeros(16_000, np.float32), "is silent"),
        (SENTENCE, np.full(16_000, 3e-5, np.float32), "is silent"),  # less than one step of 16 bits
        (SENTENCE, np.ones(800, np.float32), r"\(0.05 s\) is too short for 9 words of 2\d phones"),
        (f"{SENTENCE} " * 9, None, "is too short for 81 words"),
        ("[LAUGHTER]", None, r"holds no words \(\[LAUGHTER\]\)"),
    ],
)
def test_what_cannot_be_aligned_says_why(transcript: str, wave: np.ndarray | None, reason: str) -> None:
    with pytest.raises(AlignmentError, match=reason):
        aligned(transcript, wave)


NOISE = np.random.default_rng(0).normal(size=32_000).astype(np.float32)


@pytest.mark.parametrize("wave", [NOISE, np.full(32_000, 0.5, np.float32)], ids=["noise", "constant"])
def test_sound_without_speech_breaks_nothing(wave: np.ndarray) -> None:
    with contextlib.suppress(AlignmentError):
        assert len(spoken(aligned(SENTENCE, wave), "word")) == 9
    assert len(spoken(aligned(SENTENCE), "word")) == 9


def test_samples_beyond_full_scale_are_clipped_and_aligned() -> None:
    assert [one.label for one in spoken(aligned(SENTENCE, 5 * said()[0]), "word")][-1] == "called"


def test_the_model_is_named_with_version_and_digest() -> None:
    assert pocketsphinx.find().about.startswith("pocketsphinx 5.")
    assert "sha256" in pocketsphinx.find().about
    assert pocketsphinx.find("guess").about != pocketsphinx.find().about


def test_another_way_with_unknown_words_is_refused() -> None:
    with pytest.raises(UsageError, match="--oov spell: expected one of skip, guess"):
        pocketsphinx.find("spell")


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(UsageError, match=r'pip install "emocache\[align\]"'):
        pocketsphinx.find()


def test_it_needs_no_torch() -> None:
    code = "import sys; from emocache.aligners import pocketsphinx, run; pocketsphinx.find().about; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_noise_of_the_audio_before_changes_nothing() -> None:
    draw = np.random.default_rng(0)
    waves = [draw.normal(0, scale, 32_000).astype(np.float32) for scale in (0.3, 0.003, 0.1, 0.01, 0.05)]
    alone = []
    for wave in waves:
        pocketsphinx._decoder.cache_clear()
        alone.append(pocketsphinx.find().align(wave, "kids are talking").segments)
    for order in ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0)):
        found = {i: pocketsphinx.find().align(waves[i], "kids are talking").segments for i in order}
        assert [i for i in order if found[i] != alone[i]] == []
