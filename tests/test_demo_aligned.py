"""The demo's ForcedAlignment: the synthesiser's own times, in IEMOCAP's files, as the reader of that corpus reads them."""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from emocache.alignment import SILENCE, Segment
from emocache.alignments import sphinx
from emocache.corpora.prepare import prepare
from emocache.demo import aligned, corpus, phones, script
from emocache.demo.espeak import PAUSE, Speech, Timed, speak
from emocache.demo.plan import dialogues
from emocache.syllables import syllables
from tests.corpora.trees import write

FRAME_S = 0.01


@cache
def session() -> list[Speech]:
    """All that is spoken in the first session."""
    pytest.importorskip("espeakng_loader", reason="the voice is the extra emocache[demo]")
    return [speak(turn.text, turn.voice, turn.prosody) for dialogue in dialogues(1) for turn in dialogue.turns]


def read(speech: Speech, folder: Path) -> dict[str, tuple[Segment, ...]]:
    """Level -> segments, written and read back."""
    tiers = [sphinx.read(write(folder / f"u{suffix}", text))[0] for suffix, text in aligned.files(speech).items()]
    return {tier.level: tier.segments for tier in tiers}


def spoken(segments: tuple[Segment, ...]) -> list[Segment]:
    return [one for one in segments if one.kind != SILENCE]


def farthest_s(found: list[Segment], expected: Sequence[Timed]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(max(abs(one.start_s - time.start_s), abs(one.end_s - time.end_s)) for one, time in pairs)


def test_words_read_back_are_the_synthesisers_to_a_frame(tmp_path: Path) -> None:
    for speech in session():
        words = spoken(read(speech, tmp_path)["word"])
        assert [one.label for one in words] == [word.text.upper() for word in speech.words]
        assert farthest_s(words, speech.words) <= FRAME_S


def test_phones_read_back_begin_and_end_where_the_synthesisers_phonemes_do(tmp_path: Path) -> None:
    for speech in session():
        found = iter(spoken(read(speech, tmp_path)["phone"]))
        phonemes = [one for one in speech.phonemes if not one.text.startswith(PAUSE)]
        groups = [[next(found) for _ in phones.phones(phoneme.text)] for phoneme in phonemes]
        assert list(found) == []
        assert farthest_s([Segment("", group[0].start_s, group[-1].end_s) for group in groups], phonemes) <= FRAME_S


def test_every_phoneme_that_the_corpus_speaks_has_its_phones() -> None:
    for number in script.SESSIONS:
        for turn in (turn for dialogue in dialogues(number) for turn in dialogue.turns):
            pytest.importorskip("espeakng_loader", reason="the voice is the extra emocache[demo]")
            for phoneme in speak(turn.text, turn.voice, turn.prosody).phonemes:
                assert phoneme.text.startswith(PAUSE) or phones.phones(phoneme.text)


def test_a_phoneme_without_a_counterpart_is_an_error() -> None:
    with pytest.raises(KeyError):
        phones.phones("x")


def test_words_and_phones_fill_the_audio_frame_by_frame(tmp_path: Path) -> None:
    for speech in session():
        tiers = read(speech, tmp_path)
        for level in ("word", "phone"):
            assert tiers[level][0].start_s == 0
            assert all(first.end_s == second.start_s for first, second in pairwise(tiers[level]))
        assert tiers["word"][-1].end_s == tiers["phone"][-1].end_s


def test_syllables_are_the_phones_of_words_with_gaps_at_pauses(tmp_path: Path) -> None:
    for speech in session():
        tiers = read(speech, tmp_path)
        assert "_".join(one.label for one in tiers["syllable"]).split("_") == [one.label for one in spoken(tiers["phone"])]
        words = spoken(tiers["word"])
        assert {one.start_s for one in words} <= {one.start_s for one in tiers["syllable"]}
        assert {one.end_s for one in words} <= {one.end_s for one in tiers["syllable"]}


def test_pauses_are_named_by_their_place(tmp_path: Path) -> None:
    named = set()
    for speech in session():
        labels = [one.label for one in read(speech, tmp_path)["word"]]
        named |= {label for label in labels if label.startswith("<")}
        assert "<s>" not in labels[1:]
        assert "</s>" not in labels[:-1]
        assert labels[0] != "<sil>"
        assert labels[-1] != "<sil>"
    assert named == {"<s>", "<sil>", "</s>"}


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("M AO R N IH NG", [3, 6]),
        ("EH K S P EH K T", [2, 7]),
        ("IH N S T R AH K T", [2, 8]),
        ("S IH NG IH NG", [3, 5]),
        ("Y UW ZH UW AX L IY", [2, 4, 5, 7]),
        ("AY", [1]),
        ("S T", [2]),
    ],
)
def test_a_syllable_takes_as_many_consonants_before_its_vowel_as_english_allows(word: str, ends: list[int]) -> None:
    assert list(accumulate(map(len, syllables(word.split())))) == ends


def test_the_demo_brings_alignments_and_one_turn_lacks_them(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the voice is the extra emocache[demo]")
    corpus.write(tmp_path / "demo", sessions=(1,))
    prepared = prepare("iemocap", tmp_path / "demo", name="demo", data=tmp_path / "data")
    [found] = prepared.alignments
    assert found.levels == ("phone", "syllable", "word")
    assert found.about.startswith("the times at which espeak-ng spoke")
    assert found.without == {corpus.UNALIGNED: "no file"}
    assert found.notes == {}
    assert set(found.segments["word"]) == {utterance.id for utterance in prepared.corpus.utterances} - {corpus.UNALIGNED}
