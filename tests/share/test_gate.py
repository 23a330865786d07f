"""Proof that the same audio is held: by what files hold, not by what they are called."""

from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from emocache import audio
from emocache.errors import CacheError, UsageError
from emocache.share import gate
from emocache.store import open_cache
from emocache.types import Corpus
from tests import small_corpus
from tests.small_corpus import wave
from tests.toy_store import toy, write


@pytest.fixture
def heard(tmp_path: Path) -> Corpus:
    """A prepared corpus whose audio was heard."""
    corpus = small_corpus.make(tmp_path)
    utterances, _ = audio.scan(corpus.utterances, corpus.audio_root)
    return replace(corpus, utterances=tuple(utterances))


def test_the_corpus_in_its_own_folder_is_proof(heard: Corpus) -> None:
    asked = gate.challenge(heard, [])
    assert (asked.of, len(asked.asked)) == (6, 6)
    assert gate.missing(asked, heard.audio_root) == []
    gate.check(asked, "tiny", "ask us", heard.audio_root)


def test_files_may_be_called_and_lie_otherwise_and_be_of_another_format(heard: Corpus, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine/deep"
    elsewhere.mkdir(parents=True)
    for i, path in enumerate(sorted(heard.audio_root.iterdir())):
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(elsewhere / f"x{i}.caf", samples, rate, subtype="FLOAT")
    (tmp_path / "mine/loop").symlink_to(tmp_path / "mine")
    assert gate.missing(gate.challenge(heard, []), tmp_path / "mine") == []


def test_what_is_not_there_is_listed_by_id(heard: Corpus) -> None:
    asked = gate.challenge(heard, [])
    (heard.audio_root / "u3.wav").unlink()
    soundfile.write(heard.audio_root / "u1.wav", wave(99, small_corpus.SECONDS[1]), 16_000, subtype="FLOAT")
    (heard.audio_root / "broken.wav").write_bytes(b"RIFF")
    assert sorted(gate.missing(asked, heard.audio_root)) == ["u1", "u3"]
    with pytest.raises(CacheError, match=r"of 6 utterances asked for, 2 are not in .*: u\d, u\d; give the folder of the whole corpus"):
        gate.check(asked, "tiny", "ask us", heard.audio_root)


def test_without_a_folder_of_audio_nothing_is_proven(heard: Corpus, tmp_path: Path) -> None:
    asked = gate.challenge(heard, [])
    with pytest.raises(UsageError, match=r"give its folder with --audio-root \(6 of 6 utterances"):
        gate.check(asked, "tiny", "ask us", None)
    with pytest.raises(UsageError, match="no such folder"):
        gate.check(asked, "tiny", "ask us", tmp_path / "nowhere")


def test_pieces_of_a_long_recording_are_looked_for_in_it(tmp_path: Path, heard: Corpus) -> None:
    soundfile.write(heard.audio_root / "long.wav", wave(7, 3.0), 16_000, subtype="FLOAT")
    piece = replace(heard.utterances[0], id="piece", path="long.wav", start_s=0.5, end_s=1.25, samples=None, audio_sha256=None)
    (piece,), _ = audio.scan([piece], heard.audio_root)
    asked = gate.challenge(replace(heard, utterances=(piece,)), [])
    assert gate.missing(asked, heard.audio_root) == []
    (heard.audio_root / "long.wav").unlink()
    assert gate.missing(asked, heard.audio_root) == ["piece"]


def test_the_salt_draws_who_is_asked_for_and_hides_the_digests(heard: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "ASKED", 3)
    one, again, other = (gate.challenge(heard, [], salt=salt) for salt in ("a", "a", "c"))
    assert one == again
    assert {asked.id for asked in one.asked} != {asked.id for asked in other.asked}
    assert not {u.audio_sha256 for u in heard.utterances} & {asked.digest for asked in one.asked}
    assert gate.challenge(heard, []).salt != gate.challenge(heard, []).salt


def test_digests_come_from_features_of_the_audio_where_the_corpus_is_not_at_hand(tmp_path: Path, heard: Corpus) -> None:
    write(tmp_path / "cache", toy([3, 4]))
    features = open_cache(tmp_path / "cache").features("corpus", "toy")
    silent = replace(heard, utterances=tuple(replace(u, samples=None, audio_sha256=None) for u in heard.utterances))
    asked = gate.challenge(silent, [features], salt="s")
    assert {one.id: one.digest for one in asked.asked} == {name: gate.salted("s", features.made_from(name)) for name in ("u0", "u1")}
    with pytest.raises(UsageError, match="prepare the corpus and give --data"):
        gate.challenge(silent, [])


def test_views_are_not_asked_for(heard: Corpus) -> None:
    views = replace(heard, utterances=(heard.utterances[0], replace(heard.utterances[1], parent="u0")))
    assert [one.id for one in gate.challenge(views, []).asked] == ["u0"]


def test_video_beside_the_audio_needs_no_ffmpeg(heard: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (heard.audio_root / "u0.avi").write_bytes(b"RIFF")
    asked = gate.challenge(heard, [])
    assert gate.missing(asked, heard.audio_root) == []
    (heard.audio_root / "u0.wav").unlink()
    with pytest.raises(CacheError, match="clips of video were passed over, since ffmpeg is not on PATH"):
        gate.check(asked, "tiny", "ask us", heard.audio_root)
