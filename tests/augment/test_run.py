"""A corpus to views: in other voices of the same emotion, resumable, and whatever is of no use listed."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import manifest
from emocache.augment import run
from emocache.augment.base import Voice, Waveform
from emocache.augment.draw import draw, voices
from emocache.augment.plan import Wish
from emocache.errors import CorpusError, UsageError
from emocache.types import SAMPLE_RATE, Corpus, Utterance
from tests import small_corpus
from tests.augment.toy import Tone, Upper, corpus, loaded, made

WITHOUT_REALLY = {"u1-view1", "u4-view1", "u7-view1"}
"""Views that the tone refuses to speak."""


def test_a_view_is_an_utterance_like_its_parent_in_another_voice_of_the_same_emotion(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    done = made(tmp_path, of, Tone(), Upper())
    by_id = {u.id: u for u in loaded(tmp_path).utterances}
    speaks = {(u.speaker, u.emotion) for u in of.utterances}
    assert {view.utterance_id for view in done.views} | set(done.left_out) == {f"{u.id}-view1" for u in of.utterances}
    for name in (view.utterance_id for view in done.views):
        view, parent = by_id[name], by_id[str(by_id[name].parent)]
        assert (view.emotion, view.session, view.speaker) == (parent.emotion, parent.session, parent.speaker)
        assert view.transcript == str(parent.transcript).upper()
        assert view.extra["voice"] != parent.speaker
        assert (view.extra["voice"], view.emotion) in speaks
        assert view.extra["view"] == done.how == "in capitals, tones"
        assert soundfile.info(view.path).samplerate == SAMPLE_RATE
        assert Path(view.path).parent == (tmp_path / "data" / "tiny" / "views").resolve()


def test_views_that_cannot_be_made_are_listed_by_id_and_reason(tmp_path: Path) -> None:
    done = made(tmp_path, corpus(tmp_path), Tone())
    assert done.left_out == dict.fromkeys(sorted(WITHOUT_REALLY), "it says really")
    with (tmp_path / "data" / "tiny" / "views" / "left_out.csv").open() as file:
        assert [(row["utterance_id"], row["label"]) for row in csv.DictReader(file)] == [
            ("u1-view1", "hap"),
            ("u4-view1", "sad"),
            ("u7-view1", "hap"),
        ]


def test_a_view_whose_id_is_too_long_for_a_file_is_listed_and_the_others_are_made(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    utterances = [replace(u, id="L" * 245) if u.id == "u0" else u for u in of.utterances]
    done = made(tmp_path, replace(of, utterances=tuple(utterances)), Tone())
    assert done.left_out[f"{'L' * 245}-view1"] == "its id is too long for the name of a file"
    assert len(done.views) == len(utterances) - 1 - len(WITHOUT_REALLY)


def test_no_view_is_made_of_a_view_and_none_is_a_voice_whether_its_original_is_there_or_not(tmp_path: Path) -> None:
    of, tone = corpus(tmp_path), Tone()
    of = small_corpus.changed(small_corpus.changed(of, "u0", parent="u2"), "u4", parent="gone", speaker="s9")
    done = made(tmp_path, of, tone)
    assert not {view.parent for view in done.views} & {"u0", "u4"}
    assert "s9" not in {voice for _, voice, _ in tone.calls}


def test_utterances_without_text_emotion_or_readable_audio_or_in_another_language_are_listed(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    for name, lacks in (("u0", {"transcript": None}), ("u2", {"emotion": None}), ("u3", {"speaker": None}), ("u5", {"language": "de"})):
        of = small_corpus.changed(of, name, **lacks)
    (of.audio_root / "u6.wav").unlink()
    left_out = made(tmp_path, of, Tone()).left_out
    assert left_out["u0-view1"] == "has no transcript"
    assert left_out["u2-view1"] == "has no emotion"
    assert left_out["u3-view1"] == "has no speaker"
    assert left_out["u5-view1"] == "is in 'de', and tones speaks en"
    assert "u6.wav: cannot be opened" in left_out["u6-view1"]


def test_views_beyond_the_other_voices_of_an_emotion_are_listed(tmp_path: Path) -> None:
    done = made(tmp_path, corpus(tmp_path), Tone(), views=2)
    assert done.left_out["u0-view2"] == "1 other speakers say anything in 'sad'"
    assert not [view for view in done.views if view.utterance_id.endswith("-view2")]


def test_a_second_run_makes_only_what_is_new_or_has_changed(tmp_path: Path) -> None:
    of, tone = corpus(tmp_path), Tone()
    first = made(tmp_path, of, tone)
    again = made(tmp_path, of, tone)
    assert (first.now, again.now, again.views, again.left_out) == (8, 0, first.views, first.left_out)
    of = small_corpus.changed(of, "u0", transcript="i know")
    tone.calls.clear()
    made(tmp_path, of, tone)
    assert [text for text, _, _ in tone.calls] == ["i know"]
    soundfile.write(of.audio_root / "u2.wav", small_corpus.wave(99, 1.0), SAMPLE_RATE, subtype="FLOAT")
    tone.calls.clear()
    made(tmp_path, of, tone)
    assert {speaker for _, speaker, _ in tone.calls if speaker != "s0"} == {"s2"}  # who sounds otherwise now
    assert len(tone.calls) == 3  # and u2 itself, which is compared with its view
    (tmp_path / "data" / "tiny" / "views" / "u3-view1.wav").unlink()
    assert made(tmp_path, of, tone).now == 1


def test_more_views_are_added_to_those_that_there_are_and_fewer_take_none_away(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    of = replace(of, utterances=tuple(replace(u, emotion="sad") for u in of.utterances))
    one = made(tmp_path, of, Tone())
    three = made(tmp_path, of, Tone(), views=3)
    assert three.now == 16
    assert set(one.views) < set(three.views)
    assert made(tmp_path, of, Tone()).views == three.views
    for name in ("u0", "u2"):
        assert {view.voice for view in three.views if view.parent == name} == {"s0", "s1", "s2", "s3"} - {f"s{int(name[1]) % 4}"}


def test_some_utterances_alone_can_have_views_and_others_follow(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    assert [view.parent for view in made(tmp_path, of, Tone(), ids=["u3"]).views] == ["u3"]
    assert [view.parent for view in made(tmp_path, of, Tone(), ids=["u0"]).views] == ["u0", "u3"]
    changed = small_corpus.changed(of, "u3", transcript="i know")
    done = made(tmp_path, changed, Tone(), ids=["u0"])
    assert [view.parent for view in done.views] == ["u0"]
    assert done.left_out["u3-view1"] == run.CHANGED
    assert not (tmp_path / "data" / "tiny" / "views" / "u3-view1.wav").exists()
    with pytest.raises(UsageError, match="has no utterance 'u99'"):
        made(tmp_path, of, Tone(), ids=["u99"])


def test_views_of_utterances_that_are_gone_are_listed_and_removed(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    made(tmp_path, of, Tone())
    done = made(tmp_path, replace(of, utterances=of.utterances[1:]), Tone())
    assert done.left_out["u0-view1"] == run.GONE
    assert not (tmp_path / "data" / "tiny" / "views" / "u0-view1.wav").exists()


def test_views_of_two_kinds_are_never_mixed(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    first = made(tmp_path, of, Tone())
    with pytest.raises(UsageError, match=r"made otherwise .* --remove"):
        made(tmp_path, of, Tone(), Upper())
    with pytest.raises(UsageError, match="seed 1; two kinds are never mixed"):
        made(tmp_path, of, Tone(), seed=1)
    assert made(tmp_path, of, Tone()).views == first.views
    assert run.remove(tmp_path / "data", "tiny") == 5
    assert loaded(tmp_path).utterances == manifest.load(tmp_path / "data", "tiny").utterances
    assert len(loaded(tmp_path).utterances) == 8
    assert made(tmp_path, of, Tone(), Upper()).how == "in capitals, tones"


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.zeros(0, np.float32), "its speech is empty or silent"),
        (np.zeros(8000, np.float32), "its speech is empty or silent"),
        (np.full(8000, np.nan, np.float32), "its speech holds samples that are not finite"),
        (np.ones(41_000, np.float32), "its speech lasts 2.56 s, over 3 times the 0.80 s of the source"),
        (small_corpus.wave(0, 0.8), "its speech is the same as the source"),
    ],
)
def test_speech_that_degenerates_is_listed_and_not_used(tmp_path: Path, wave: Waveform, reason: str) -> None:
    class Fixed(Tone):
        def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
            return wave

    of = corpus(tmp_path)
    done = made(tmp_path, of, Fixed(), ids=["u0"])
    assert (done.views, done.left_out) == ((), {"u0-view1": reason})
    assert len(loaded(tmp_path).utterances) == 8


def test_loud_speech_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    class Loud(Tone):
        def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
            return 4 * super().speak(text, voice, language, seed)

    [view] = made(tmp_path, corpus(tmp_path), Loud(), ids=["u0"]).views
    samples, _ = soundfile.read(tmp_path / "data" / "tiny" / "views" / view.path)
    assert np.mean(np.abs(samples) > 0.999) < 0.05


def test_what_a_view_is_depends_on_the_seed_and_the_utterance_alone(tmp_path: Path) -> None:
    of, tone, other = corpus(tmp_path), Tone(), Tone()
    of = replace(of, utterances=tuple(replace(u, emotion="sad", transcript=f"i know {u.id}") for u in of.utterances))
    made(tmp_path, of, tone, views=2)
    run.remove(tmp_path / "data", "tiny")
    made(tmp_path, replace(of, utterances=of.utterances[::-1]), other, views=2, batch=1)
    assert sorted(tone.calls) == sorted(other.calls)
    assert len({seed for _, _, seed in tone.calls}) == 16
    run.remove(tmp_path / "data", "tiny")
    made(tmp_path, of, other := Tone(), views=2, seed=1)
    assert sorted(tone.calls) != sorted(other.calls)


def test_voices_are_drawn_from_different_sessions_while_there_are_any() -> None:
    people = [Utterance(id=f"{s}{g}", path="x", speaker=f"{s}{g}", session=s, emotion="sad") for s in "12345" for g in "FM"]
    known = voices(people, Path())
    assert [voice.speaker for voice in known["sad"]] == [u.speaker for u in people]
    for seed in range(20):
        drawn = draw(people[0], known, 9, seed)
        assert len({voice.utterances[0].session for voice in drawn[:5]}) == 5
        assert {voice.speaker for voice in drawn} == {u.speaker for u in people[1:]}
        assert drawn[:3] == draw(people[0], known, 3, seed)
    assert len({draw(people[0], known, 1, seed)[0].speaker for seed in range(200)}) == 9


def test_of_a_corpus_with_a_split_voices_of_the_same_part_come_first() -> None:
    people = [Utterance(id=name, path="x", speaker=name, emotion="sad", split=split) for name, split in zip("abcd", "xxyy", strict=True)]
    assert all(draw(people[0], voices(people, Path()), 1, seed)[0].speaker == "b" for seed in range(10))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"transcript": None}, "has no transcripts"), ({"speaker": "s"}, "fewer than two speakers"), ({"emotion": None}, "has no emotions")],
)
def test_a_corpus_that_lacks_what_views_need_is_refused(tmp_path: Path, fields: dict[str, str | None], message: str) -> None:
    of = corpus(tmp_path)
    of = replace(of, utterances=tuple(replace(u, **fields) for u in of.utterances))  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=message):
        made(tmp_path, of, Tone())


def test_a_name_that_an_utterance_has_already_is_refused(tmp_path: Path) -> None:
    of = small_corpus.changed(corpus(tmp_path), "u5", id="u0-view1", path="u5.wav")
    with pytest.raises(CorpusError, match="has an utterance 'u0-view1' already"):
        made(tmp_path, of, Tone())


def test_in_other_words_alone_a_view_keeps_its_parents_audio(tmp_path: Path) -> None:
    of: Corpus = corpus(tmp_path)
    done = run.augment(of, tmp_path / "data", Upper(), None, Wish(views=2))
    assert len(done.views) == 8
    assert done.left_out["u0-view2"] == "in other words alone an utterance has one view"
    view = next(u for u in loaded(tmp_path).utterances if u.id == "u3-view1")
    assert (view.path, view.extra["voice"], view.extra["view"]) == ("u3.wav", "s3", "in capitals, own audio")
    assert run.remove(tmp_path / "data", "tiny") == 8


KILLED = """
import os, signal, sys
from pathlib import Path
from emocache import manifest
from emocache.augment.base import Unchanged
from emocache.augment.plan import Wish
from emocache.augment.run import augment
from tests.augment.toy import Tone
class Dying(Tone):
    def speak(self, *given):
        if len(self.calls) == 4:
            print("now", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().speak(*given)
augment(manifest.load(Path(sys.argv[1]), "tiny"), Path(sys.argv[1]), Unchanged(), Dying(), Wish())
"""


def test_a_killed_run_leaves_no_view_and_the_next_one_goes_on(tmp_path: Path) -> None:
    of = corpus(tmp_path)
    whole = made(tmp_path, of, Tone())
    run.remove(tmp_path / "data", "tiny")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False)
    assert killed.stdout == "now\n", killed.stderr
    assert len(loaded(tmp_path).utterances) == 8
    folder = tmp_path / "data" / "tiny" / "views"
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"id": "u3-vi')
    (folder / ".u9-view1.wav.part").write_bytes(b"RIFF")
    tone = Tone()
    done = made(tmp_path, of, tone)
    assert (len(tone.calls), done.now) == (4, 4)
    assert (done.views, done.left_out) == (whole.views, whole.left_out)
    assert sorted(path.name for path in folder.glob("*.wav")) == sorted(view.path for view in done.views)
    assert not list(folder.glob(".*"))
