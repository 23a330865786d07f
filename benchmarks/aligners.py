"""How well `emocache align` (pocketsphinx) finds words: on synthetic speech that says itself when, and on a corpus of recordings.

    python benchmarks/aligners.py [--data data --corpus ravdess] [--sessions 1 2]

The demo corpus is spoken again by espeak-ng, whose own word times are held against those found:
bias is the median of found less true, median and 90 % are of the error without its sign. Of the recordings nobody knows
the word times: begin of the first word and end of the last are held against where the sound rises EDGE_DB below its loudest
10 ms, and that is a check of gross errors alone, since soft consonants lie below.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from emocache import audio, manifest
from emocache.aligners import pocketsphinx, run
from emocache.alignment import SPEECH
from emocache.demo import espeak
from emocache.demo.plan import dialogues
from emocache.errors import AlignmentError
from emocache.types import SAMPLE_RATE

EDGE_DB = 30


def main() -> None:
    """Print one table, and what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--corpus", default="", help="a prepared corpus of recordings")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print(f"{pocketsphinx.find().about}\n")
    errors = "bias, median, 90 % (ms)"
    print(f"| speech | utterances | aligned | words matched | starts: {errors} | ends: {errors} | s per s of audio |")
    print("|---|---|---|---|---|---|---|")
    failures = synthetic(options.sessions)
    if options.corpus:
        failures += recordings(options.data, options.corpus, options.workers)
    for reason, count in failures.most_common():
        print(f"- {count} x {reason}")


def synthetic(sessions):
    """The demo corpus against the synthesiser's own word times."""
    aligner, failures = pocketsphinx.find(), Counter()
    starts, ends, total, audio_s, work_s, count, aligned = [], [], 0, 0.0, 0.0, 0, 0
    for turn in (turn for session in sessions for dialogue in dialogues(session) for turn in dialogue.turns):
        speech = espeak.speak(turn.text, turn.voice, turn.prosody)
        wave = audio._resample(speech.samples.astype(np.float32) / 32768, espeak.SPOKEN_RATE)
        count, audio_s, total = count + 1, audio_s + len(wave) / SAMPLE_RATE, total + len(speech.words)
        began = time.perf_counter()
        try:
            found = aligner.align(wave, turn.text)
        except AlignmentError as error:
            failures[str(error)] += 1
            continue
        finally:
            work_s += time.perf_counter() - began
        aligned += 1
        words = [one for one in found.segments["word"] if one.kind == SPEECH]
        if [one.label for one in words] != [word.text.lower() for word in speech.words]:
            failures[f"aligned, but in other words than the voice tells of: {turn.text}"] += 1
            continue
        starts += [one.start_s - word.start_s for one, word in zip(words, speech.words, strict=True)]
        ends += [one.end_s - word.end_s for one, word in zip(words, speech.words, strict=True)]
    print(row("demo corpus (espeak-ng)", count, aligned, f"{len(starts)} of {total}", starts, ends, work_s / audio_s))
    return failures


def recordings(data, name, workers):
    """A prepared corpus; what was aligned before is not counted in the time, so give a folder where nothing was."""
    corpus = manifest.load(data, name)
    outcome = run.align(corpus, data, pocketsphinx.find(), source="benchmark", workers=workers)
    starts, ends = [], []
    for utterance in corpus.utterances:
        words = [one for one in outcome.alignment.segments["word"].get(utterance.id, ()) if one.kind == SPEECH]
        if words:
            start_s, end_s = edges(audio.load_utterance(utterance, corpus.audio_root))
            starts.append(words[0].start_s - start_s)
            ends.append(words[-1].end_s - end_s)
    speed = outcome.work_s / max(outcome.audio_s, 1e-9)
    print(row(f"{name} (against loudness)", len(corpus.utterances), len(starts), "-", starts, ends, speed))
    return Counter(outcome.alignment.without.values())


def edges(wave):
    """Where the sound first and last is EDGE_DB below its loudest 10 ms or louder, in seconds."""
    step = SAMPLE_RATE // 100
    power = (wave[: len(wave) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-EDGE_DB / 10))
    return loud[0] / 100, (loud[-1] + 1) / 100


def row(name, count, aligned, words, starts, ends, speed):
    """One line of the table."""
    figures = [(np.median(off), np.median(np.abs(off)), np.percentile(np.abs(off), 90)) for off in (starts, ends)]
    cells = [", ".join(f"{1e3 * value:.0f}" for value in three) for three in figures]
    return f"| {name} | {count} | {aligned} ({100 * aligned / count:.1f} %) | {words} | {cells[0]} | {cells[1]} | {speed:.3f} |"


if __name__ == "__main__":
    main()
