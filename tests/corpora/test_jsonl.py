"""A JSONL file as a corpus: the same columns as in CSV, and one clear line for what does not fit."""

from pathlib import Path

import numpy as np
import pytest

from emocache import audio, manifest
from emocache.corpora import jsonl
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError

from . import trees


def test_numbers_text_null_and_lists_are_taken_as_csv_would_say_them(tmp_path: Path) -> None:
    a, b, c = jsonl.read(trees.json_listed(tmp_path))
    assert (a.emotion, a.speaker, a.extra) == ("calm", "p1", {"room": "kitchen", "mood": '["good", 3]'})
    assert (b.emotion, b.channel, b.start_s, b.end_s, b.turn) == (None, 0, 0.25, 0.35, 1)
    assert (c.emotion, c.channel, c.start_s, c.end_s) == ("angry", 1, 0.5, 0.6)


def test_an_object_inside_a_line_is_its_json(tmp_path: Path) -> None:
    root = trees.write(
        tmp_path / "list.jsonl", '{"utterance_id": "a", "path": "a.wav", "emotion": "x", "room": {"name": "hall", "doors": [1]}}\n'
    )
    assert jsonl.read(root)[0].extra == {"room": '{"name": "hall", "doors": [1]}'}


def test_two_sides_of_a_call_are_two_utterances_of_one_file(tmp_path: Path) -> None:
    root = trees.json_listed(tmp_path / "corpus")
    prepare("jsonl", root, name="tiny", data=tmp_path / "data")
    corpus = manifest.load(tmp_path / "data", "tiny")
    left, right = (audio.load_utterance(utterance, corpus.audio_root) for utterance in corpus.utterances[1:])
    assert [int(np.abs(np.fft.rfft(wave)).argmax() * 10) for wave in (left, right)] == [440, 880]


def test_the_manifest_of_a_jsonl_corpus_reads_back_as_csv(tmp_path: Path) -> None:
    root = trees.json_listed(tmp_path / "corpus")
    path = prepare("jsonl", root, name="tiny", data=tmp_path / "data").manifest
    assert [u.extra.get("mood") for u in manifest.read_csv(path)] == ['["good", 3]', "", ""]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"list\.jsonl:2: no JSON \("),
        ("[1]", r"list\.jsonl:2: no JSON object; write one a line"),
        ('{"utterance_id": "b", "path": "one.wav", "path": "two.wav"}', r"list\.jsonl:2: 'path' stands twice"),
        ('{"utterance_id": "b", "path": "b.wav", "transcript": "\\ud800"}', r"list\.jsonl:2: holds half a character"),
        (100_000 * "[", r"list\.jsonl:2: no JSON \(maximum recursion depth"),
        (f'{{"utterance_id": "b", "path": "{5000 * "b"}"}}', r"list\.jsonl:2: path has 5000 bytes"),
        ('{"utterance_id": "b"}', r"list\.jsonl:2: path is empty"),
        ('{"utterance_id": "b", "path": "b.wav", "start": "soon"}', r"list\.jsonl:2: start is 'soon', expected seconds"),
        ('{"utterance_id": "b", "path": "b.wav", "valence": NaN}', r"list\.jsonl:2: valence is 'NaN', expected a number"),
        ('{"utterance_id": "a", "path": "b.wav"}', r"list\.jsonl: 1 utterance ids stand more than once, first 'a'"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, line: str, message: str) -> None:
    root = trees.write(tmp_path / "list.jsonl", f'{{"utterance_id": "a", "path": "a.wav", "emotion": "x"}}\n{line}\n')
    with pytest.raises(CorpusError, match=message):
        jsonl.read(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no utterances"),
        (b'{"utterance_id": "a", "path": "a.wav"}\n', "no line has an emotion"),
    ],
)
def test_a_file_that_lists_nothing_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=rf"list\.jsonl: {message}"):
        jsonl.read(trees.write(tmp_path / "list.jsonl", content))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_file_in_another_encoding_is_named_by_its_line(tmp_path: Path, end: bytes) -> None:
    root = trees.write(tmp_path / "list.jsonl", b'{"utterance_id": "\xc3\xa9"}' + end + b'{"utterance_id": "\xe9"}' + end)
    with pytest.raises(CorpusError, match=r"list\.jsonl:2: not UTF-8 \(byte \d+\); save it as UTF-8"):
        jsonl.read(root)
