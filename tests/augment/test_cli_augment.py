"""`emocache augment`: what it says, its exit codes, and options that do not go together; espeak-ng for real."""

import json
from pathlib import Path

import pytest
import soundfile

from emocache import manifest
from emocache.store.claims import claim
from emocache.types import SAMPLE_RATE
from tests import small_corpus
from tests.augment.toy import corpus, loaded
from tests.shell import Shell


def spoken(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the synthesiser is the extra emocache[demo]")
    corpus(tmp_path)


def test_espeak_speaks_views_and_the_command_says_how_many(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path)
    assert shell.run("augment --text none --speech espeak") == 0
    assert "tiny: 8 views of 8 utterances, text unchanged, plain voices of espeak-ng, at data/tiny/views/views.csv" in shell.out
    assert "8 views worked on now: " in shell.out
    assert "licence  unknown, as the corpus; may be passed on: ask" in shell.err
    assert "voices   s0: m2 at pitch 50, s1: f5 at pitch 50, s2: m5 at pitch 50, s3: Annie at pitch 50" in shell.err
    first = {u.id: soundfile.read(u.path)[0].tobytes() for u in loaded(tmp_path).utterances if u.parent}
    assert shell.run("augment --text none --speech espeak --json") == 0
    done = json.loads(shell.out)
    assert (done["views"], done["utterances"], done["now"], done["left_out"]) == (8, 8, 0, {})
    assert done["voices"]["s1"] == "f5 at pitch 50"
    assert shell.run("augment --remove") == 0
    assert shell.out == "tiny: 8 views removed\n"
    assert not any(u.parent for u in loaded(tmp_path).utterances)
    assert shell.run("augment --text none --speech espeak") == 0
    assert {u.id: soundfile.read(u.path)[0].tobytes() for u in loaded(tmp_path).utterances if u.parent} == first


def test_espeak_speaks_texts_of_which_some_signs_are_not_heard(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path)
    of = small_corpus.changed(loaded(tmp_path), "u0", transcript="<break/> -v en ; $(rm)")
    manifest.save(small_corpus.changed(of, "u1", transcript="..."), tmp_path / "data")
    assert shell.run("augment --text none --speech espeak") == 1
    assert "first u1-view1: its speech is empty or silent" in shell.err


def test_views_that_are_left_out_make_the_exit_code_1_and_are_listed(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path)
    of = loaded(tmp_path)
    manifest.save(small_corpus.changed(small_corpus.changed(of, "u0", emotion=None), "u3", language="tlh"), tmp_path / "data")
    assert shell.run("augment --text none --speech espeak") == 1
    assert "left out 2 (data/tiny/views/left_out.csv lists all):" in shell.err
    assert "1 utterances, first u0-view1: has no emotion" in shell.err
    assert "first u3-view1: espeak-ng has no voice 'tlh+" in shell.err


def test_each_voice_that_stands_for_a_speaker_is_one_that_espeak_has_and_no_demo_speaker_uses() -> None:
    pytest.importorskip("espeakng_loader", reason="the synthesiser is the extra emocache[demo]")
    from emocache.augment.base import Voice
    from emocache.augment.espeak import FEMALE, MALE, EspeakSynthesiser, Stand, stands
    from emocache.demo.script import VOICES

    assert not {voice.name.partition("+")[2] for voice in VOICES.values()} & {*FEMALE, *MALE}
    many = stands({f"s{i:03d}": "female" for i in range(20)})
    assert len({str(stand) for stand in many.values()}) == 20
    assert stands({"a": "F", "b": "M", "c": "", "d": ""}) == {
        "a": Stand("f5", 50), "b": Stand("m2", 50), "c": Stand("m5", 50), "d": Stand("Annie", 50),
    }  # fmt: skip
    voices = EspeakSynthesiser({name: Stand(name, 50) for name in (*FEMALE, *MALE)})
    known = [Voice(speaker=name, emotion="sad", utterances=(), root=Path()) for name in voices.voices]
    heard = {voices.speak("stay", voice, "en", 0).tobytes() for voice in known}
    assert len(heard) == len(FEMALE) + len(MALE)


def test_two_commands_at_once_are_refused(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path)
    with claim(tmp_path / "data" / "tiny", "views", wait=False) as held:
        assert held
        assert shell.run("augment --text none --speech espeak") == 2
    assert "another command is at work on its views" in shell.err


def test_an_interrupt_keeps_what_was_made(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken(tmp_path)
    from emocache.augment import espeak

    real, calls = espeak.EspeakSynthesiser.speak, []

    def speak(*given: object) -> object:
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(espeak.EspeakSynthesiser, "speak", speak)
    assert shell.run("augment --text none --speech espeak") == 130
    assert "interrupted; what was made is kept" in shell.err
    assert shell.run("augment --text none --speech espeak --json") == 0
    assert (json.loads(shell.out)["now"], json.loads(shell.out)["views"]) == (5, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--text other", "--text other: expected one of back-translation, none"),
        ("--speech other", "--speech other: expected one of tts, coqui, espeak, none"),
        ("--text none --speech none", "views would be what their utterances are"),
        ("--views 0", "--views 0: expected 1 or more"),
        ("--batch 0", "--batch 0: expected 1 or more"),
        ("--seed -1", "--seed -1: expected 0 or more"),
        ("--text none --pivot fr", "--pivot does nothing with --text none"),
        ("--speech espeak --vocoder x/y", "--vocoder does nothing with --text back-translation --speech espeak"),
        ("--text none --speech espeak --device cpu", "--device does nothing"),
        ("--remove --views 2", "--remove removes all views of a corpus, and --views would do nothing"),
        ("--remove --corpus other", "no corpus 'other' in data (prepared there: tiny)"),
        ("--language tlhIngan", "--language tlhIngan: no language that is known here"),
        ("--pivot en", "--pivot en: is the language of the corpus"),
        ("--corpus other", "no corpus 'other'"),
        ("--ids-from nowhere.txt", "--ids-from nowhere.txt: cannot be read"),
        (
            "--text none --speech tts",
            "microsoft/speecht5_tts: the Hub cannot be reached (HF_HUB_OFFLINE is set), and there is no local copy",
        ),
        ("--device cpu", "Helsinki-NLP/opus-mt-en-de: the Hub cannot be reached"),
        ("--device cpu --forth ./none", "./none: no such folder"),
    ],
)
def test_options_that_cannot_be_are_one_line_and_exit_code_2(tmp_path: Path, shell: Shell, options: str, message: str) -> None:
    corpus(tmp_path)
    assert shell.run(f"augment {options}") == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "tiny" / "views").exists()


def test_back_translation_of_a_corpus_in_two_languages_needs_to_know_which(tmp_path: Path, shell: Shell) -> None:
    of = small_corpus.changed(small_corpus.changed(corpus(tmp_path), "u0", language="German"), "u1", language="en-US")
    manifest.save(of, tmp_path / "data")
    assert shell.run("augment") == 2
    assert "tiny is in de, en, and back-translation takes one; say which with --language" in shell.err


def test_the_sample_rate_of_views_is_that_of_encoders(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path)
    (tmp_path / "ids.txt").write_text("u3\n")
    assert shell.run("augment --text none --speech espeak --ids-from ids.txt") == 0
    [view] = [u for u in loaded(tmp_path).utterances if u.parent]
    about = soundfile.info(view.path)
    assert (about.samplerate, about.channels, about.subtype) == (SAMPLE_RATE, 1, "PCM_16")
