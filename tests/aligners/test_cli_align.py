"""`emocache align`: what it says, its exit codes, and options that do not go together."""

import json
from pathlib import Path

import pytest
import soundfile

from emocache import alignment, manifest
from emocache.store.claims import claim
from emocache.types import SAMPLE_RATE, Corpus, Utterance
from tests import small_corpus
from tests.aligners.speech import SENTENCE, said
from tests.aligners.tiny_ctc import checkpoint
from tests.shell import Shell


def spoken(tmp_path: Path, *transcripts: str) -> Corpus:
    """A prepared corpus of one spoken sentence, with these transcripts."""
    pytest.importorskip("pocketsphinx", reason="the aligner is the extra emocache[align]")
    root = tmp_path / "audio"
    root.mkdir()
    soundfile.write(root / "a.wav", said()[0], SAMPLE_RATE)
    utterances = tuple(Utterance(id=f"u{i}", path="a.wav", transcript=text) for i, text in enumerate(transcripts))
    corpus = Corpus(name="said", reader="csv", scheme="as-is", audio_root=root, utterances=utterances)
    manifest.save(corpus, tmp_path / "data")
    return corpus


def test_a_corpus_is_aligned_and_saved(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path, SENTENCE)
    assert shell.run("align") == 0
    assert "said/pocketsphinx: 1 of 1 utterances, 25 phones, 10 syllables, 9 words, at " in shell.out
    assert "s of work per second of audio" in shell.out
    assert "aligner  pocketsphinx 5." in shell.err
    assert alignment.load(tmp_path / "data", "said", "pocketsphinx").levels == ("phone", "syllable", "word")
    assert shell.run("align --list --json") == 0
    [row] = json.loads(shell.out)
    assert (row["corpus"], row["source"], row["utterances"], row["without"]) == ("said", "pocketsphinx", 1, 0)


def test_utterances_without_alignment_are_listed_and_the_exit_code_says_so(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path, SENTENCE, *["I was in the zorblax"] * 11)
    assert shell.run("align --corpus said --name mine") == 1
    assert "without alignment: 11, here the first 10" in shell.err
    assert "u1: not in the dictionary: zorblax" in shell.err
    assert "u11:" not in shell.err
    assert len(alignment.load(tmp_path / "data", "said", "mine").without) == 11
    assert shell.run("align --corpus said --name mine --json") == 1
    assert json.loads(shell.out)["without"]["u11"].startswith("not in the dictionary: zorblax")
    assert json.loads(shell.out)["now"] == 0


def test_a_ctc_model_aligns_words(tmp_path: Path, shell: Shell) -> None:
    corpus = small_corpus.make(tmp_path, (1.0,))
    manifest.save(small_corpus.changed(corpus, "u0", transcript="a cab"), tmp_path / "data")
    checkpoint(tmp_path / "tiny")
    assert shell.run("align --model ./tiny --device cpu --json") == 0
    done = json.loads(shell.out)
    assert (done["source"], list(done["segments"])) == ("tiny", ["word"])
    assert [one.label for one in alignment.load(tmp_path / "data", "tiny", "tiny").of("word", "u0", 1.0)] == ["a", "cab"]


def test_what_another_aligner_wrote_is_read(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path, (0.5, 0.5))
    (tmp_path / "words.ctm").write_text("u0 1 0.10 0.20 hello\n")
    assert shell.run("align --from words.ctm --format ctm --shift 0.02 --name mine") == 1
    assert "tiny/mine: 1 of 2 utterances, 1 words" in shell.out
    assert "without alignment: 1\n  u1: " in shell.err
    [word] = alignment.load(tmp_path / "data", "tiny", "mine").of("word", "u0", 0.5)
    assert (word.label, word.start_s, word.end_s) == ("hello", pytest.approx(0.12), pytest.approx(0.32))


def test_segments_beyond_audio_that_nobody_has_heard_yet_are_cut_and_said(tmp_path: Path, shell: Shell) -> None:
    corpus = small_corpus.make(tmp_path, (1.6, 0.5, 0.5))
    (corpus.audio_root / "u2.wav").unlink()
    (tmp_path / "words.ctm").write_text("u0 1 0.5 98.5 long\nu1 1 2.0 97.0 late\nu2 1 0.1 0.2 gone\n")
    assert shell.run("align --from words.ctm") == 1
    found = alignment.load(tmp_path / "data", "tiny", "ctm")
    assert found.segments == {"word": {"u0": (alignment.Segment("long", 0.5, 1.6),)}}
    assert found.notes == {"u0": "word: 1 of 1 segments cut at the audio's end"}
    assert list(found.without) == ["u1", "u2"]
    assert found.without["u1"] == "word: 1 of 1 segments empty or beyond the audio: dropped"
    assert "u2.wav: cannot be opened" in found.without["u2"]
    assert list(found.audio) == ["u0"]


def test_a_corpus_without_any_audio_is_one_line(tmp_path: Path, shell: Shell) -> None:
    corpus = small_corpus.make(tmp_path, (0.5,))
    (corpus.audio_root / "u0.wav").unlink()
    (tmp_path / "words.ctm").write_text("u0 1 0.1 0.2 gone\n")
    assert shell.run("align --from words.ctm") == 2
    assert "tiny: none of 1 audio files can be read (first " in shell.err


def test_a_broken_file_of_another_aligner_is_refused_unless_it_may_be_left_out(tmp_path: Path, shell: Shell) -> None:
    small_corpus.make(tmp_path, (0.5, 0.5))
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "u0.wdseg").write_text("  SFrm  EFrm    SegAScr Word\n\t0\t9\t-1 HELLO\n Total score: -1\n")
    (tmp_path / "grids" / "u1.wdseg").write_text("  SFrm  EFrm    SegAScr Word\n\tx\ty\n")
    assert shell.run("align --from grids") == 2
    assert "u1.wdseg" in shell.err
    assert shell.run("align --from grids --skip-broken") == 1
    assert "tiny/wdseg: 1 of 2 utterances, 1 words" in shell.out
    assert "u1.wdseg" in shell.err


def test_an_alignment_that_came_in_another_way_is_not_overwritten(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path, SENTENCE)
    (tmp_path / "words.ctm").write_text("u0 1 0.10 0.20 hello\n")
    assert shell.run("align --from words.ctm") == 0
    assert shell.run("align --name ctm") == 2
    assert "said has an alignment 'ctm' that was read from files; give another --name" in shell.err
    assert shell.run("align") == 0
    assert shell.run("align --from words.ctm --name pocketsphinx") == 2
    assert "an alignment 'pocketsphinx' that an aligner made here" in shell.err
    assert shell.run("align --from words.ctm") == shell.run("align") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model wav2vec2-base-960h --from .", "exclude each other"),
        ("--from nowhere", "--from nowhere: no such folder or file"),
        ("--format textgrid", "give it with --from"),
        ("--shift 0.02", "give it with --from"),
        ("--language de", "--language de: expected any"),
        ("--from . --language any", "--language is for aligning"),
        ("--from . --shift nan", "a shift of nan s is none; give seconds"),
        ("--workers 0", "--workers 0: expected 1 or more"),
        ("--model wav2vec2-base-960h --workers 2", "--workers and --oov are for pocketsphinx"),
        ("--model wav2vec2-base-960h --oov guess", "--workers and --oov are for pocketsphinx"),
        ("--device cpu", "--device is for --model"),
        ("--list --from .", "--list lists the alignments that there are, and --from would do nothing"),
        ("--corpus tiny --list --name mine --json", "and --name would do nothing"),
        ("--list --oov skip", "and --oov would do nothing"),
        ("--oov spell", "expected one of skip, guess"),
        ("--name a/b", "cannot be a folder's name"),
        ("--corpus other", "no corpus 'other'"),
        ("--model nothing-like-it", "no encoder 'nothing-like-it'"),
    ],
)
def test_options_that_cannot_be_are_one_line_and_exit_code_2(tmp_path: Path, shell: Shell, options: str, message: str) -> None:
    pytest.importorskip("pocketsphinx", reason="the aligner is the extra emocache[align]")
    small_corpus.make(tmp_path, (0.5,))
    assert shell.run(f"align {options}") == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "tiny" / "alignments").exists()


@pytest.mark.parametrize("command", ["align --name mine", "align --from words.ctm --name mine"])
def test_what_another_command_is_making_is_left_to_it(tmp_path: Path, shell: Shell, command: str) -> None:
    spoken(tmp_path, SENTENCE)
    (tmp_path / "words.ctm").write_text("u0 1 0.10 0.20 hello\n")
    folder = tmp_path / "data" / "said" / "alignments"
    folder.mkdir()
    with claim(folder, "mine"):
        assert shell.run(command) == 2
        assert shell.err == "emocache: said: another command is making alignment 'mine'; wait for it to end, then repeat, or give --name\n"
        assert shell.run("align --from words.ctm --name other") == 0
    assert alignment.sources(tmp_path / "data", "said") == ["other"]
    assert shell.run(command) == 0


def test_an_interrupted_run_says_that_it_goes_on(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from emocache.aligners import run

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    spoken(tmp_path, SENTENCE)
    monkeypatch.setattr(run, "_entries", interrupted)
    assert shell.run("align") == 130
    assert "the same command goes on from there" in shell.err


def test_an_alignment_that_was_not_finished_keeps_its_name(tmp_path: Path, shell: Shell) -> None:
    spoken(tmp_path, SENTENCE)
    assert shell.run("align") == 0
    (tmp_path / "data" / "said" / "alignments" / "pocketsphinx.csv").unlink()  # as a run leaves it that was killed
    (tmp_path / "words.ctm").write_text("u0 1 0.10 0.20 hello\n")
    assert shell.run("align --from words.ctm --name pocketsphinx") == 2
    assert "an alignment 'pocketsphinx' that an aligner made here" in shell.err
