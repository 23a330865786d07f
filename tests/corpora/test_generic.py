"""A CSV file as a corpus, and what `prepare` does with whatever the files are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import audio, manifest
from emocache.corpora import prepare as module
from emocache.corpora import ravdess
from emocache.corpora.prepare import Prepared, prepare
from emocache.errors import CorpusError, UsageError

from . import trees


def prepare_csv(tmp_path: Path, root: Path, **options: object) -> Prepared:
    return prepare("csv", root, **({"name": "tiny", "data": tmp_path / "data"} | options))  # type: ignore[arg-type]


def listed(tmp_path: Path, rows: str) -> Path:
    """A CSV file beside one good wav called good.wav."""
    trees.tone(tmp_path / "corpus" / "good.wav")
    return trees.write(tmp_path / "corpus" / "list.csv", f"utterance_id,path,emotion\n{rows}")


def test_the_list_of_the_shared_ravdess_is_taken_as_it_stands(tmp_path: Path, ravdess_root: Path) -> None:
    prepared = prepare_csv(tmp_path, ravdess_root / "manifest.csv")
    assert len(prepared.corpus.utterances) == 1440
    assert prepared.seconds == pytest.approx(5329, abs=1)
    assert prepared.corpus.utterances[0].label("emotion4") == "neu"
    assert all(str(utterance.samples) == utterance.extra["num_samples"] for utterance in prepared.corpus.utterances)


def test_columns_that_nobody_knows_are_kept(tmp_path: Path) -> None:
    prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"))
    assert manifest.load(tmp_path / "data", "tiny").utterances[0].extra["room"] == "kitchen"


def test_an_utterance_without_label_is_kept_as_one(tmp_path: Path) -> None:
    corpus = prepare_csv(tmp_path, trees.listed(tmp_path / "corpus")).corpus
    assert [utterance.emotion for utterance in corpus.utterances] == ["calm", None]
    assert corpus.left_out == {}


def test_a_scheme_that_drops_unlabelled_utterances_counts_them(tmp_path: Path) -> None:
    corpus = prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"), scheme="ravdess-8").corpus
    assert [utterance.id for utterance in corpus.utterances] == ["a"]
    assert corpus.left_out == {"(no label)": 1}


def test_a_scheme_that_keeps_nothing_says_which_labels_there_were(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"'iemocap-4' keeps none of 2 utterances \(\(no label\) 1, calm 1\)"):
        prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"), scheme="iemocap-4")


def test_a_scheme_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no label scheme 'five'; there are: as-is, iemocap-4"):
        prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"), scheme="five")


def test_paths_count_from_the_folder_of_the_list_or_from_root(tmp_path: Path) -> None:
    root = trees.listed(tmp_path / "audio")
    moved = trees.write(tmp_path / "lists" / "moved.csv", root.read_bytes())
    corpus = prepare_csv(tmp_path, moved, audio_root=tmp_path / "audio").corpus
    assert corpus.audio_root == (tmp_path / "audio").resolve()
    assert manifest.load(tmp_path / "data", "tiny").audio_root == corpus.audio_root


def test_a_corpus_prepared_by_a_relative_path_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.listed(tmp_path / "corpus")
    monkeypatch.chdir(tmp_path)
    prepare_csv(tmp_path, Path("corpus/list.csv"))
    assert manifest.load(tmp_path / "data", "tiny").audio_root == (tmp_path / "corpus").resolve()


def test_a_path_may_climb_out_of_the_folder(tmp_path: Path) -> None:
    root = listed(tmp_path, "a,../elsewhere/a.wav,calm\n")
    trees.tone(tmp_path / "elsewhere" / "a.wav")
    assert prepare_csv(tmp_path, root).corpus.utterances[0].samples == 1600


def test_two_utterances_may_be_the_same_audio(tmp_path: Path) -> None:
    first, second = prepare_csv(tmp_path, listed(tmp_path, "a,good.wav,calm\nb,good.wav,calm\n")).corpus.utterances
    assert first.audio_sha256 == second.audio_sha256


def test_segments_of_a_long_recording_are_utterances_of_their_own(tmp_path: Path) -> None:
    trees.tone(tmp_path / "corpus" / "day.flac", seconds=3.0)
    rows = "a,day.flac,calm,,0.5\nb,day.flac,sad,0.5,2.25\nc,day.flac,calm,2.25,\n"
    root = trees.write(tmp_path / "corpus" / "list.csv", f"utterance_id,path,emotion,start,end\n{rows}")
    assert [utterance.samples for utterance in prepare_csv(tmp_path, root).corpus.utterances] == [8000, 28_000, 12_000]


def test_two_sides_of_a_call_are_two_utterances_with_audio_of_their_own(tmp_path: Path) -> None:
    call = np.stack([np.full(1600, 0.5), np.full(1600, -0.25)], axis=1)
    (tmp_path / "corpus").mkdir()
    soundfile.write(tmp_path / "corpus" / "call.wav", call, 16_000)
    rows = "a,call.wav,calm,left,0,0.05\nb,call.wav,sad,1,0,0.05\n"
    root = trees.write(tmp_path / "corpus" / "list.csv", f"utterance_id,path,emotion,channel,start,end\n{rows}")
    prepare_csv(tmp_path, root)
    corpus = manifest.load(tmp_path / "data", "tiny")
    waves = [audio.load_utterance(utterance, corpus.audio_root) for utterance in corpus.utterances]
    assert [(len(wave), set(wave.tolist())) for wave in waves] == [(800, {0.5}), (800, {-0.25})]


def test_a_csv_file_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --name"):
        prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"), name=None)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "two words", "-x", "a\n"])
def test_a_name_that_is_no_plain_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a folder's name"):
        prepare_csv(tmp_path, trees.listed(tmp_path / "corpus"), name=name)
    assert not (tmp_path / "data").exists()


def test_missing_files_are_all_counted_and_the_first_is_named(tmp_path: Path) -> None:
    root = listed(tmp_path, "a,good.wav,calm\nb,gone.wav,calm\nc,lost.wav,calm\n")
    with pytest.raises(CorpusError, match=r"2 of 3 audio files are missing, first b: .*gone\.wav: no such file; .*--root"):
        prepare_csv(tmp_path, root)


BAD_AUDIO = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer, .*git lfs pull"),
    "text": (b"this was never audio\n" * 9, r"cannot be decoded \(Format not recognised\)"),
    "truncated": (None, "broken off after 956 of 3200 bytes of audio"),
}


def spoil(path: Path, content: bytes | None) -> None:
    """Write bad content, or cut a good wav off at 1000 bytes."""
    trees.write(path, trees.tone(path).read_bytes()[:1000] if content is None else content)


@pytest.mark.parametrize("kind", sorted(BAD_AUDIO))
def test_every_kind_of_bad_audio_has_a_reason_of_its_own(tmp_path: Path, kind: str) -> None:
    content, reason = BAD_AUDIO[kind]
    root = listed(tmp_path, "a,good.wav,calm\nb,bad.wav,calm\n")
    spoil(tmp_path / "corpus" / "bad.wav", content)
    with pytest.raises(CorpusError, match=rf"1 of 2 audio files cannot be used, first b: .*bad\.wav: {reason}.*--skip-broken"):
        prepare_csv(tmp_path, root)


def test_when_something_was_raised_only_the_memory_of_what_was_heard_is_written(tmp_path: Path) -> None:
    root = listed(tmp_path, "a,good.wav,calm\nb,bad.wav,calm\n")
    spoil(tmp_path / "corpus" / "bad.wav", b"")
    with pytest.raises(CorpusError):
        prepare_csv(tmp_path, root)
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == [module.HEARD]
    assert manifest.names(tmp_path / "data") == []


def test_broken_audio_is_left_out_by_name_when_asked(tmp_path: Path) -> None:
    root = listed(tmp_path, "a,good.wav,calm\nb,bad.wav,calm\nc,gone.wav,calm\n")
    spoil(tmp_path / "corpus" / "bad.wav", b"")
    prepared = prepare_csv(tmp_path, root, skip_broken=True)
    assert [utterance.id for utterance in prepared.corpus.utterances] == ["a"]
    assert sorted(prepared.skipped) == ["b", "c"]
    assert prepared.skipped["b"].endswith("is empty (0 bytes)")
    assert manifest.load(tmp_path / "data", "tiny").left_out == {module.SKIPPED: 2}


def test_a_known_corpus_that_lost_an_utterance_differs_from_what_is_expected(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path / "corpus", ("03-01-03-01-01-01-01", "03-01-03-01-01-02-01"))
    spoil(root / "Actor_01" / "03-01-03-01-01-02-01.wav", b"")
    corpus = prepare("ravdess", root, data=tmp_path / "data", skip_broken=True).corpus
    assert "happy: 1 utterances, expected 192" in corpus.differs


def test_audio_that_its_publishers_call_broken_is_left_out_by_name_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = "03-01-03-01-01-01-01", "03-01-03-01-01-02-01"
    root = trees.ravdess(tmp_path / "corpus", (good, bad))
    spoil(root / "Actor_01" / f"{bad}.wav", b"")
    monkeypatch.setattr(ravdess, "INFO", replace(ravdess.INFO, broken={bad: "is empty"}))
    assert list(prepare("ravdess", root, data=tmp_path / "data").skipped) == [bad]


def test_nothing_is_prepared_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="none of 1 audio files can be used"):
        prepare_csv(tmp_path, listed(tmp_path, "a,gone.wav,calm\n"), skip_broken=True)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "a\tb", "a\u0007b"])
def test_an_id_that_cannot_be_a_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=r"1 utterance ids cannot be names, first .*use no slashes or control characters"):
        prepare_csv(tmp_path, listed(tmp_path, f"{name},good.wav,calm\n"))


def test_a_corpus_prepared_from_another_root_replaces_the_first(tmp_path: Path) -> None:
    prepare_csv(tmp_path, trees.listed(tmp_path / "first"))
    prepare_csv(tmp_path, listed(tmp_path, "z,good.wav,calm\n"))
    assert [utterance.id for utterance in manifest.load(tmp_path / "data", "tiny").utterances] == ["z"]
