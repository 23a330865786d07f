"""The demo corpus: a miniature of IEMOCAP that is the same every time, and whose INFO.json tells the truth."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import labels
from emocache.corpora import iemocap
from emocache.demo import corpus, espeak, script
from emocache.demo.espeak import PAUSE, Prosody, speak
from emocache.demo.plan import Dialogue, dialogues
from emocache.errors import UsageError
from emocache.types import CorpusInfo

ID = re.compile(r"^Ses0[1-5][FM]_(impro\d\d[ab]?|script\d\d_\d[b]?)_[FM]\d{3}$")
SENTENCE = "I was in the kitchen, and then he called."


def voice_needed() -> None:
    pytest.importorskip("espeakng_loader", reason="the voice is the extra emocache[demo]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first session, spoken once."""
    voice_needed()
    root = tmp_path_factory.mktemp("demo") / "one"
    corpus.write(root, sessions=(1,))
    return root


@pytest.fixture
def two_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus of one dialogue with two turns, for what needs many writes."""
    voice_needed()
    whole = dialogues(1)[0]
    short = Dialogue(id=whole.id, session=1, kind=whole.kind, turns=whole.turns[:2])
    monkeypatch.setattr(corpus, "dialogues", lambda session: [short])


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def planned() -> list[Dialogue]:
    return [dialogue for session in script.SESSIONS for dialogue in dialogues(session)]


def test_every_id_is_one_that_iemocap_could_hold() -> None:
    ids = [turn.id for dialogue in planned() for turn in dialogue.turns]
    assert [name for name in ids if not ID.match(name)] == []
    assert len(set(ids)) == len(ids)


def test_every_voice_says_each_emotion_as_often_improvised_as_scripted() -> None:
    counts = Counter(
        (dialogue.session, turn.gender, dialogue.kind, turn.emotion)
        for dialogue in planned()
        for turn in dialogue.turns
        if turn.emotion in script.EMOTIONS
    )
    assert set(counts.values()) == {6}
    assert len(counts) == 5 * 2 * 2 * 5


def test_both_voices_speak_in_every_dialogue() -> None:
    assert all({turn.gender for turn in dialogue.turns} == {"F", "M"} for dialogue in planned())


def test_ten_speakers_have_ten_voices() -> None:
    assert len({voice.name for voice in script.VOICES.values()}) == 10


def test_the_whole_corpus_has_the_classes_of_the_four_class_scheme() -> None:
    expected = corpus.info(planned())["expected"]
    assert isinstance(expected, dict)
    assert expected["iemocap-4"] == {"ang": 120, "hap": 240, "neu": 120, "sad": 120}


def test_few_turns_have_other_labels() -> None:
    counts = Counter(turn.emotion for dialogue in planned() for turn in dialogue.turns)
    assert {label: count for label, count in counts.items() if label not in script.EMOTIONS} == {"xxx": 10, "fru": 10}


def test_the_counts_that_info_promises_are_those_the_reader_finds(tree: Path) -> None:
    utterances = iemocap.read(tree)
    expected = iemocap.info(tree).expected
    assert set(expected) == {"iemocap-4", "iemocap-improvised", "as-is"}
    for scheme, counts in expected.items():
        assert counts == Counter(utterance.emotion for utterance in labels.apply(scheme, utterances)[0])


def test_the_corpus_may_be_shared(tree: Path) -> None:
    info: CorpusInfo = iemocap.info(tree)
    assert (info.share, info.language, info.scheme) == ("free", "en", "iemocap-4")
    told = {"title", "licence", "share", "citation", "language", "alignment", "edition", "expected"}
    assert set(json.loads((tree / "INFO.json").read_text())) == told


def test_every_turn_has_audio_and_words(tree: Path) -> None:
    utterances = iemocap.read(tree)
    assert all(utterance.transcript for utterance in utterances)
    assert {utterance.path for utterance in utterances} == {path.relative_to(tree).as_posix() for path in tree.rglob("*.wav")}


def test_the_times_of_a_turn_are_as_long_as_its_audio(tree: Path) -> None:
    for utterance in iemocap.read(tree):
        audio = soundfile.info(tree / utterance.path)
        assert (audio.samplerate, audio.channels, audio.subtype) == (16_000, 1, "PCM_16")
        length_s = float(utterance.extra["dialogue_end"]) - float(utterance.extra["dialogue_start"])
        assert length_s == pytest.approx(audio.duration, abs=2e-4)


def test_turns_last_between_one_and_five_seconds(tree: Path) -> None:
    seconds = [soundfile.info(path).duration for path in tree.rglob("*.wav")]
    assert min(seconds) >= 1
    assert max(seconds) <= 5
    assert np.mean(seconds) == pytest.approx(2.2, abs=0.2)


def test_no_turn_is_silent_or_clipped_flat(tree: Path) -> None:
    for path in tree.rglob("*.wav"):
        samples, _ = soundfile.read(path, dtype="int16")
        assert np.abs(samples).max() > 1000, path
        assert np.mean(np.abs(samples.astype(int)) >= 32_767) < 0.001, path


def test_two_evaluators_agree_on_a_label_and_none_on_xxx(tree: Path) -> None:
    for utterance in iemocap.read(tree):
        votes = [vote.split("=")[1] for vote in (utterance.votes or "").split(";") if vote.startswith("C-E")]
        [(winner, count), *_] = Counter(votes).most_common()
        assert count == 1 if utterance.emotion == "xxx" else (count >= 2 and winner == script.RATINGS[utterance.emotion or ""].name)


def test_ratings_lie_on_the_scale(tree: Path) -> None:
    ratings = [value for u in iemocap.read(tree) for value in (u.valence, u.arousal, u.dominance)]
    assert all(value is not None and 1 <= value <= 5 for value in ratings)


def test_two_writes_are_byte_identical_even_from_another_process(tree: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from emocache.demo import corpus, espeak;"
        "espeak.speak('Other words first.', 'en-us+f2', espeak.Prosody());"
        "corpus.write(pathlib.Path(sys.argv[1]), sessions=(1,))"
    )
    repository = Path(corpus.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, cwd=repository, capture_output=True)
    assert contents(tmp_path / "again") == contents(tree)


@pytest.mark.usefixtures("two_turns")
def test_a_finished_corpus_is_left_alone(tmp_path: Path) -> None:
    corpus.write(tmp_path / "demo", sessions=(1,))
    [changed, _] = (tmp_path / "demo").rglob("*.wav")
    changed.write_bytes(b"mine")
    corpus.write(tmp_path / "demo", sessions=(1,))
    assert changed.read_bytes() == b"mine"


@pytest.mark.usefixtures("two_turns")
def test_an_interrupted_write_leaves_nothing_and_is_redone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "_evaluation", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            corpus.write(tmp_path / "demo", sessions=(1,))
    assert list(tmp_path.iterdir()) == []
    corpus.write(tmp_path / "demo", sessions=(1,))
    assert len(iemocap.read(tmp_path / "demo")) == 2


def test_another_corpus_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "Session1").mkdir()
    with pytest.raises(UsageError, match="holds something else"):
        corpus.write(tmp_path, sessions=(1,))


@pytest.mark.usefixtures("two_turns")
def test_an_older_demo_corpus_is_told_apart_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "EDITION", corpus.EDITION - 1)
        corpus.write(tmp_path / "demo", sessions=(1,))
    older = contents(tmp_path / "demo")
    with pytest.raises(UsageError, match="holds the demo corpus of another release"):
        corpus.write(tmp_path / "demo", sessions=(1,))
    assert contents(tmp_path / "demo") == older


@pytest.mark.usefixtures("two_turns")
def test_an_empty_folder_may_be_given(tmp_path: Path) -> None:
    corpus.write(tmp_path, sessions=(1,))
    assert len(iemocap.read(tmp_path)) == 2


def test_without_the_wheel_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UsageError, match=re.escape('pip install "emocache[demo]"')) as caught:
        corpus.write(tmp_path / "demo")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_sentence_sounds_the_same_whatever_was_spoken_before() -> None:
    voice_needed()
    for voice in ("en-us+f2", "en-us+m3"):
        first = speak(SENTENCE, voice, Prosody())
        speak("Something else.", "en-us+m1", Prosody(pitch=80))
        assert np.array_equal(first.samples, speak(SENTENCE, voice, Prosody()).samples)


def test_words_lie_in_order_inside_the_audio() -> None:
    voice_needed()
    speech = speak(SENTENCE, "en-us+f1", Prosody(word_gap=3))
    assert [word.text for word in speech.words] == ["I", "was", "in", "the", "kitchen", "and", "then", "he", "called"]
    assert all(word.start_s < word.end_s for word in speech.words)
    assert all(first.end_s <= second.start_s for first, second in pairwise(speech.words))
    assert speech.words[0].start_s >= 0
    assert speech.words[-1].end_s <= len(speech.samples) / espeak.SPOKEN_RATE


def test_every_word_of_the_corpus_has_its_time() -> None:
    voice_needed()
    for turn in dialogues(1)[0].turns:
        words = speak(turn.text, turn.voice, turn.prosody).words
        assert [word.text for word in words] == re.findall(r"[\w'-]+", turn.text)


def test_so_much_is_two_words_though_espeak_counts_it_otherwise() -> None:
    voice_needed()
    words = speak("I miss you so much.", "en-us+f1", Prosody()).words
    assert [word.text for word in words] == ["I", "miss", "you", "so", "much"]


def test_phonemes_fill_the_audio_and_a_comma_is_a_pause() -> None:
    voice_needed()
    speech = speak(SENTENCE, "en-us+f1", Prosody())
    assert all(first.end_s == second.start_s for first, second in pairwise(speech.phonemes))
    assert speech.phonemes[-1].end_s == pytest.approx(len(speech.samples) / espeak.SPOKEN_RATE)
    kitchen, following = speech.words[4], speech.words[5]
    assert [p.text[0] for p in speech.phonemes if kitchen.end_s <= p.start_s < following.start_s] == [PAUSE]


def test_a_higher_rate_is_shorter_and_a_higher_volume_louder() -> None:
    voice_needed()
    plain = speak(SENTENCE, "en-us+m1", Prosody()).samples
    assert len(speak(SENTENCE, "en-us+m1", Prosody(rate_wpm=250)).samples) < len(plain)
    assert np.abs(speak(SENTENCE, "en-us+m1", Prosody(volume=40)).samples).mean() < np.abs(plain).mean() / 2


def test_an_unknown_voice_and_a_setting_out_of_range_are_named() -> None:
    voice_needed()
    with pytest.raises(UsageError, match="no voice 'en-us\\+nobody'"):
        speak(SENTENCE, "en-us+nobody", Prosody())
    with pytest.raises(UsageError, match="pitch is 120, expected 0 to 99"):
        speak(SENTENCE, "en-us+f1", Prosody(pitch=120))
