"""A corpus through an aligner: resumable, and every failure listed."""

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import alignment
from emocache.aligners import journal, run
from emocache.aligners.base import Aligned, Waveform
from emocache.alignment import Segment
from emocache.errors import AlignmentError, CorpusError
from emocache.types import SAMPLE_RATE, Corpus
from tests import small_corpus


@dataclass(frozen=True)
class Even:
    """Gives every word the same time; knows no 'really'."""

    about: str = "words of equal length"
    levels: tuple[str, ...] = ("word",)
    languages: tuple[str, ...] = ("en",)
    calls: list[str] = field(default_factory=list, compare=False)

    def align(self, wave: Waveform, transcript: str) -> Aligned:
        self.calls.append(transcript)
        words = transcript.split()
        if "really!" in words:
            raise AlignmentError("not in the dictionary: really!")
        step_s = len(wave) / SAMPLE_RATE / len(words)
        return Aligned({"word": [Segment(word, i * step_s, (i + 1) * step_s) for i, word in enumerate(words)]}, "even")


def aligned(tmp_path: Path, corpus: Corpus, aligner: Even, **options: object) -> run.Outcome:
    return run.align(corpus, tmp_path / "data", aligner, source="even", **options)  # type: ignore[arg-type]


def test_every_utterance_is_aligned_or_listed_with_its_reason(tmp_path: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    corpus = small_corpus.changed(corpus, "u0", transcript=None)
    (corpus.audio_root / "u2.wav").unlink()
    made = aligned(tmp_path, corpus, Even()).alignment
    assert list(made.segments["word"]) == ["u3", "u5"]
    assert [one.label for one in made.segments["word"]["u3"]] == ["i", "do", "not", "know"]
    assert made.segments["word"]["u3"][-1].end_s == pytest.approx(2.2)
    assert list(made.without) == ["u0", "u1", "u2", "u4"]
    assert made.without["u0"] == "has no transcript"
    assert made.without["u1"] == "not in the dictionary: really!"
    assert "u2.wav" in made.without["u2"]
    assert made.notes == {"u3": "even", "u5": "even"}


def test_a_second_run_aligns_only_what_has_changed(tmp_path: Path) -> None:
    corpus, aligner = small_corpus.make(tmp_path), Even()
    first = aligned(tmp_path, corpus, aligner)
    assert (first.now, len(aligner.calls)) == (6, 6)
    assert first.audio_s == pytest.approx(sum(small_corpus.SECONDS), abs=1e-3)
    again = aligned(tmp_path, corpus, aligner)
    assert (again.now, again.alignment) == (0, first.alignment)
    corpus = small_corpus.changed(corpus, "u3", transcript="i know")
    soundfile.write(corpus.audio_root / "u5.wav", small_corpus.wave(9, 0.7), SAMPLE_RATE, subtype="FLOAT")
    aligner.calls.clear()
    third = aligned(tmp_path, corpus, aligner)
    assert aligner.calls == ["i know", "i don't"]
    assert third.alignment.segments["word"]["u5"][-1].end_s == pytest.approx(0.7)


def test_another_aligner_begins_anew(tmp_path: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    aligned(tmp_path, corpus, Even())
    assert aligned(tmp_path, corpus, Even(about="a newer version")).now == 6


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Interrupted(Even):
        def align(self, wave: Waveform, transcript: str) -> Aligned:
            if len(self.calls) == 3:
                raise KeyboardInterrupt
            return super().align(wave, transcript)

    corpus, whole = small_corpus.make(tmp_path), Even()
    with pytest.raises(KeyboardInterrupt):
        aligned(tmp_path, corpus, Interrupted())
    path = tmp_path / "data" / "tiny" / "alignments" / "even.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "u3", "key": "')  # what a kill in the middle of a line leaves
    done = aligned(tmp_path, corpus, whole)
    assert len(whole.calls) == 3
    assert len(done.alignment.segments["word"]) + len(done.alignment.without) == 6
    assert list(journal.read(path, whole.about)) == ["u0", "u1", "u2", "u3", "u4", "u5"]


@pytest.mark.parametrize("mark", ["\u2028", "\u0085"])
def test_a_remark_that_holds_a_mark_of_a_lines_end_is_not_aligned_again(tmp_path: Path, mark: str) -> None:
    class Noting(Even):
        def align(self, wave: Waveform, transcript: str) -> Aligned:
            return Aligned(super().align(wave, transcript).segments, f"not aligned: [one{mark}two]")

    corpus = small_corpus.make(tmp_path, (0.5,))
    first = aligned(tmp_path, corpus, Noting())
    again = aligned(tmp_path, corpus, Noting())
    assert (first.now, again.now) == (1, 0)
    assert again.alignment == first.alignment


def test_utterances_in_another_language_are_refused_unless_that_does_not_matter(tmp_path: Path) -> None:
    corpus = small_corpus.changed(small_corpus.make(tmp_path), "u0", language="German")
    corpus = small_corpus.changed(corpus, "u3", language="en-US")
    made = aligned(tmp_path, corpus, Even()).alignment
    assert made.without["u0"] == "is in 'German', and the aligner knows en (--language any tries all the same)"
    assert "u3" in made.segments["word"]
    assert "u0" in aligned(tmp_path, corpus, Even(), any_language=True).alignment.segments["word"]
    assert "u0" in aligned(tmp_path, corpus, Even(about="any", languages=())).alignment.segments["word"]


def test_segments_beyond_the_audio_are_mended_and_noted(tmp_path: Path) -> None:
    class Late(Even):
        def align(self, wave: Waveform, transcript: str) -> Aligned:
            return Aligned({"word": [Segment("late", 0.1, 99.0)]})

    made = aligned(tmp_path, small_corpus.make(tmp_path, (0.5,)), Late()).alignment
    assert made.segments["word"]["u0"] == (Segment("late", 0.1, 0.5),)
    assert made.notes["u0"] == "words: 1 of 1 segments cut at the audio's end"


def test_a_corpus_without_transcripts_is_refused(tmp_path: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    corpus = replace(corpus, utterances=tuple(replace(u, transcript=None) for u in corpus.utterances))
    with pytest.raises(CorpusError, match=r"tiny: has no transcripts, .* add a column `transcript`"):
        aligned(tmp_path, corpus, Even())


def test_several_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = small_corpus.make(tmp_path, tuple(0.1 + 0.01 * i for i in range(8)))
    one = aligned(tmp_path, corpus, Even()).alignment
    monkeypatch.setattr(run, "WORTH_A_WORKER", 4)
    many = run.align(corpus, tmp_path / "data", Even(), source="many", workers=2)
    assert many.now == 8
    assert replace(many.alignment, source="even") == one


@dataclass(frozen=True)
class Dying(Even):
    """Takes its process with it."""

    def align(self, wave: Waveform, transcript: str) -> Aligned:
        os._exit(1)


def test_a_worker_that_dies_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WORTH_A_WORKER", 3)
    with pytest.raises(AlignmentError, match=r"a worker process died .* run this again, with fewer --workers"):
        aligned(tmp_path, small_corpus.make(tmp_path), Dying(), workers=2)


def test_workers_end_when_the_command_is_killed() -> None:
    code = """
import functools, os, time
from emocache.aligners import run
with run._mapping(2) as spread:
    list(spread(functools.partial(os.write, 1), [b"x"]))
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.read(1) == b"x"
        command.kill()
        assert command.communicate(timeout=20) == (b"", None)  # which needs all who could write there to be gone


def test_what_was_made_can_be_saved_and_loaded(tmp_path: Path) -> None:
    made = aligned(tmp_path, small_corpus.make(tmp_path), Even()).alignment
    alignment.save(made, tmp_path / "data", "tiny")
    found = alignment.load(tmp_path / "data", "tiny", "even")
    assert found.without == made.without
    ends = [one.end_s for one in found.segments["word"]["u3"]]
    assert np.allclose(ends, [one.end_s for one in made.segments["word"]["u3"]], atol=1e-6)
    assert alignment.sources(tmp_path / "data", "tiny") == ["even"]
