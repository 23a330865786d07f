"""A corpus goes in, features come out, and only what changed is encoded again."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import transformers

from emocache import encoding, manifest, pipeline
from emocache.encoding import Loop
from emocache.errors import CacheError, CorpusError, EncoderError, KeyMismatch, UsageError
from emocache.store import open_cache
from emocache.types import Corpus, Utterance
from tests import checkpoints, small_corpus


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.speech(tmp_path_factory.mktemp("models") / "tiny-hubert")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "tiny-bert")


def run(tmp_path: Path, corpus: Corpus, model: Path, **options: object) -> pipeline.Outcome:
    """Extract into tmp_path/cache."""
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(model), cache=tmp_path / "cache", device="cpu", **options)  # type: ignore[arg-type]
    return pipeline.extract(job)


def _same_but_for_rounding(stored: np.ndarray, direct: np.ndarray) -> None:
    """Half a unit in the last place of float16, and what a batch changes."""
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored.astype(np.float32), direct, rtol=2**-11, atol=1e-5 * np.abs(direct).max())


def test_stored_frames_are_those_of_transformers_but_for_rounding(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    features = run(tmp_path, corpus, hubert).features
    extract, model = transformers.AutoFeatureExtractor.from_pretrained(hubert), transformers.AutoModel.from_pretrained(hubert).eval()
    for utterance in corpus.utterances:
        sound, rate = soundfile.read(corpus.audio_root / utterance.path, dtype="float32")
        with torch.no_grad():
            direct = model(**extract(sound, sampling_rate=rate, return_tensors="pt"), output_hidden_states=True)
        _same_but_for_rounding(features.read(utterance.id), torch.cat(direct.hidden_states).numpy())


def test_stored_tokens_are_those_of_transformers_but_for_rounding(tmp_path: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    features = run(tmp_path, corpus, bert).features
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(bert), transformers.AutoModel.from_pretrained(bert).eval()
    for utterance in corpus.utterances:
        with torch.no_grad():
            direct = model(**tokenizer(utterance.transcript, return_tensors="pt"), output_hidden_states=True)
        _same_but_for_rounding(features.read(utterance.id), torch.cat(direct.hidden_states).numpy())
        assert len(features.columns(utterance.id, "tokens")["word"]) == features.read(utterance.id).shape[1]


def test_float32_is_stored_exactly_when_asked_for(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    exact = run(tmp_path, corpus, hubert, dtype="fp32").features
    assert exact.read("u1").dtype == np.float32
    with pytest.raises(KeyMismatch, match=r"dtype \(fp32 there, fp16 asked for\)"):
        run(tmp_path, corpus, hubert)
    rounded = run(tmp_path, corpus, hubert, name="rounded").features
    np.testing.assert_array_equal(exact.read("u1").astype(np.float16), rounded.read("u1"))


def test_the_utterance_level_is_mean_and_deviation_over_all_frames(tmp_path: Path, hubert: Path) -> None:
    features = run(tmp_path, small_corpus.make(tmp_path), hubert, levels=["frames", "utterance"], dtype="fp32").features
    frames, pooled = features.read("u3", "frames"), features.read("u3", "utterance")
    expected = np.concatenate([frames.mean(axis=1), frames.std(axis=1)], axis=-1)[:, None]
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-5)


def test_some_layers_only_are_stored_when_asked_for(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    assert run(tmp_path, corpus, hubert, layers="last").features.layers == (3,)
    outcome = run(tmp_path, corpus, hubert, layers="0,2")
    assert outcome.features.layers == (0, 2, 3)
    whole = run(tmp_path, corpus, hubert, name="whole").features
    np.testing.assert_array_equal(outcome.features.read("u2"), whole.read("u2", layers=[0, 2, 3]))


def test_a_second_run_encodes_nothing(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    assert run(tmp_path, corpus, hubert).encoded == len(corpus.utterances)
    assert run(tmp_path, corpus, hubert).encoded == 0


def test_a_relabelled_corpus_encodes_nothing_and_carries_the_new_labels(tmp_path: Path, hubert: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    run(tmp_path, corpus, hubert)
    run(tmp_path, corpus, bert)
    relabelled = small_corpus.changed(corpus, "u1", emotion="ang", speaker="someone else")
    assert run(tmp_path, relabelled, hubert).encoded == run(tmp_path, relabelled, bert).encoded == 0
    assert open_cache(tmp_path / "cache").corpus("tiny").utterances[1].emotion == "ang"


def test_changed_audio_is_seen_and_encoded_again(tmp_path: Path, hubert: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    before = run(tmp_path, corpus, hubert).features.read("u1")
    run(tmp_path, corpus, bert)
    soundfile.write(corpus.audio_root / "u1.wav", small_corpus.wave(77, 1.1), 16_000, subtype="FLOAT")
    outcome = run(tmp_path, corpus, hubert)
    assert outcome.encoded == 1
    assert outcome.features.read("u1").shape[1] != before.shape[1]
    assert run(tmp_path, corpus, bert).encoded == 0


def test_a_changed_transcript_is_encoded_again_by_text_encoders_alone(tmp_path: Path, hubert: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    run(tmp_path, corpus, hubert)
    features = run(tmp_path, corpus, bert).features
    other = small_corpus.changed(corpus, "u0", transcript="kids know")
    features.check(corpus.utterances)
    with pytest.raises(CacheError, match=r"features of 1 utterances \(first 'u0'\) were made from other text"):
        features.check(other.utterances)
    assert run(tmp_path, other, bert).encoded == 1
    assert run(tmp_path, other, hubert).encoded == 0


def test_new_utterances_alone_are_encoded(tmp_path: Path, hubert: Path) -> None:
    small = small_corpus.make(tmp_path)
    run(tmp_path, small, hubert)
    larger = small_corpus.make(tmp_path, (*small_corpus.SECONDS, 0.8, 1.2))
    outcome = run(tmp_path, larger, hubert)
    assert (outcome.encoded, len(outcome.features.ids)) == (2, 8)


def test_an_utterance_too_short_for_a_frame_is_listed_and_the_rest_encoded(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path, (0.02, 0.5, 0.6))
    outcome = run(tmp_path, corpus, hubert)
    assert outcome.failures == {"u0": "too short for one row (0.0200 s)"}
    assert sorted(outcome.features.ids) == ["u1", "u2"]


def test_audio_that_broke_since_it_was_prepared_is_listed_and_the_rest_encoded(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    (corpus.audio_root / "u2.wav").write_bytes(b"")
    (corpus.audio_root / "u3.wav").unlink()
    outcome = run(tmp_path, corpus, hubert)
    assert sorted(outcome.failures) == ["u2", "u3"]
    assert "empty" in outcome.failures["u2"]
    assert len(outcome.features.ids) == 4


def test_audio_that_changes_during_extraction_fails_by_name(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    soundfile.write(corpus.audio_root / "u1.wav", small_corpus.wave(77, 1.6), 16_000, subtype="FLOAT")
    outcome = pipeline.extract(job)
    assert "changed while" in outcome.failures["u1"]
    assert len(outcome.features.ids) == 5
    assert run(tmp_path, corpus, hubert).failures == {}


def test_what_would_not_fit_is_refused_before_anything_is_written(tmp_path: Path, hubert: Path) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    with pytest.raises(CacheError, match="--levels utterance"):
        pipeline.check_room(job, max_gb=1e-5)
    pipeline.check_room(job, max_gb=1)
    assert not (tmp_path / "cache").exists()


def test_what_is_stored_already_needs_no_room(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    assert pipeline.missing_bytes(job) == sum(job.size().values())
    pipeline.extract(job)
    assert pipeline.missing_bytes(job) == 0
    pipeline.check_room(job, max_gb=1e-9)


def test_only_options_that_would_fit_are_named(tmp_path: Path, hubert: Path) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    frames = sum(job.size().values())
    with pytest.raises(CacheError, match="this would fit: --layers 3 or"):
        pipeline.check_room(job, max_gb=frames / 3 / 1e9)
    with pytest.raises(CacheError, match="nothing smaller would fit"):
        pipeline.check_room(job, max_gb=1e-8)
    with pytest.raises(UsageError, match="--max-gb nan"):
        pipeline.check_room(job, max_gb=float("nan"))


def test_a_batch_too_large_for_memory_is_halved_and_an_utterance_too_large_fails_by_name(
    tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = small_corpus.make(tmp_path)
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    forward, tried = job.encoder.forward, []
    monkeypatch.setitem(encoding.PADDING, "cpu", 10)

    def limited(batch: list[np.ndarray], layers: tuple[int, ...]) -> list[torch.Tensor]:
        tried.append(len(batch))
        if any(len(wave) > 30_000 for wave in batch) or len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return forward(batch, layers)

    monkeypatch.setattr(job.encoder, "forward", limited)
    outcome = pipeline.extract(job)
    assert outcome.failures == {"u3": "out of memory: out of memory"}
    assert len(outcome.features.ids) == outcome.encoded == 5
    assert tried[0] > 2
    assert "encoded in halves" in outcome.notes[0]
    commits = [json.loads(path.read_text()) for path in (tmp_path / "cache").glob("tiny/*/commits/*/[0-9]*.json")]
    assert [note for entry in commits for note in entry.get("notes", ())] == list(outcome.notes)


def test_batches_keep_to_their_budget_and_to_their_share_of_padding(tmp_path: Path, hubert: Path) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu", batch=4)
    loop = Loop(job.encoder, job.rules, job.corpus.audio_root, job.dtype, job.budget)
    lengths = (9.0, 2.0, 1.99, 1.98, 1.0, 0.99, 0.98, 0.97, 0.96, 0.5)
    utterances = [Utterance(id=str(s), path="", samples=round(s * 16_000)) for s in lengths]
    batches = [[float(u.id) for u in batch] for batch in loop.batches(utterances)]
    assert batches == [[9.0], [2.0, 1.99], [1.98], [1.0, 0.99, 0.98, 0.97], [0.96], [0.5]]
    with pytest.raises(UsageError, match="--batch 0"):
        run(tmp_path, job.corpus, hubert, batch=0)


def test_speaker_embeddings_are_batched_at_equal_length_longest_first(tmp_path: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    for name, seconds in (("u0", 0.5), ("u1", 0.9), ("u2", 0.5), ("u3", 1.2), ("u4", 0.9), ("u5", 0.5)):
        soundfile.write(corpus.audio_root / f"{name}.wav", small_corpus.wave(int(name[1]), seconds), 16_000, subtype="FLOAT")
    one_session = replace(corpus, utterances=tuple(replace(u, session="1") for u in corpus.utterances))
    folder = checkpoints.ecapa(tmp_path / "ecapa")
    job = pipeline.prepare_job(one_session, tmp_path / "data", str(folder), cache=tmp_path / "cache", device="cpu")
    forward, lengths = job.encoder.forward, []

    def watched(batch: list[np.ndarray], layers: tuple[int, ...]) -> list[torch.Tensor]:
        lengths.append([len(one) for one in batch])
        return forward(batch, layers)

    job.encoder.forward = watched  # type: ignore[method-assign, assignment]
    assert pipeline.extract(job).encoded == 6
    assert lengths == [[19_200], [14_400] * 2, [8_000] * 3]


def test_an_encoder_that_gives_nothing_finite_has_encoded_nothing(tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    forward = job.encoder.forward
    monkeypatch.setattr(job.encoder, "forward", lambda batch, layers: [rows * float("nan") for rows in forward(batch, layers)])
    outcome = pipeline.extract(job)
    assert (outcome.encoded, len(outcome.failures)) == (0, 6)


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", "host"])
def test_memory_that_does_not_suffice_is_seen_in_whatever_words(
    tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    monkeypatch.setitem(encoding.PADDING, "cpu", 10)
    to_host, tried = encoding.to_host, []

    def limited(levels: dict[str, torch.Tensor], dtype: str) -> object:
        tried.append(1)
        if len(tried) == 2:
            raise MemoryError(said) if said == "host" else RuntimeError(said)
        return to_host(levels, dtype)

    monkeypatch.setattr(encoding, "to_host", limited)
    outcome = pipeline.extract(job)
    assert (outcome.encoded, len(outcome.notes)) == (6, 1)


def test_what_cannot_be_prepared_stops_in_one_line(tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")

    def broken(value: object) -> object:
        raise ValueError("a strange wave")

    monkeypatch.setattr(job.encoder, "prepare", broken)
    with pytest.raises(EncoderError, match=r"cannot be prepared for the encoder \(a strange wave\)"):
        pipeline.extract(job)


def test_words_and_sentences_are_pooled_from_the_tokens_of_the_same_pass(tmp_path: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    silent = small_corpus.changed(corpus, "u0", transcript="")
    features = run(tmp_path, silent, bert, levels=["tokens", "word", "sentence"], dtype="fp32").features
    for utterance in silent.utterances:
        tokens, word = features.read(utterance.id, "tokens"), features.columns(utterance.id, "tokens")["word"]
        words = [tokens[:, word == number].mean(axis=1) for number in range(word.max() + 1)] or [tokens.mean(axis=1)]
        np.testing.assert_allclose(features.read(utterance.id, "word"), np.stack(words, axis=1), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(features.read(utterance.id, "sentence"), tokens[:, :1])
        spoken = [*range(len(words))] if utterance.transcript else [-1]
        assert features.columns(utterance.id, "word")["word"].tolist() == spoken


def test_an_overflow_is_stored_as_float32(tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    forward = job.encoder.forward
    monkeypatch.setattr(job.encoder, "forward", lambda batch, layers: [rows * 1e6 for rows in forward(batch, layers)])
    features = pipeline.extract(job).features
    sound, _ = soundfile.read(job.corpus.audio_root / "u1.wav", dtype="float32")
    expected = forward([job.encoder.prepare(sound)], job.layers)[0].numpy() * 1e6
    stored = features.read("u1")
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, expected, rtol=2**-10, atol=1e-5 * np.abs(expected).max())


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_seen(tmp_path: Path, hubert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    run(tmp_path, corpus, hubert)
    path = corpus.audio_root / "u1.wav"
    stat = path.stat()
    soundfile.write(path, small_corpus.wave(77, 1.6), 16_000, subtype="FLOAT")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert run(tmp_path, corpus, hubert).encoded == 1


@pytest.mark.parametrize("name", ["manifest.csv", "corpus.json"])
def test_features_are_not_called_like_the_files_beside_them(tmp_path: Path, hubert: Path, name: str) -> None:
    with pytest.raises(UsageError, match="choose another"):
        run(tmp_path, small_corpus.make(tmp_path), hubert, name=name)


def test_the_announced_size_is_what_is_stored(tmp_path: Path, hubert: Path) -> None:
    job = pipeline.prepare_job(small_corpus.make(tmp_path), tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu")
    features = pipeline.extract(job).features
    assert job.size() == {"frames": features.load().values.nbytes}


def test_a_corpus_without_transcripts_is_refused_by_a_text_encoder(tmp_path: Path, bert: Path) -> None:
    corpus = small_corpus.make(tmp_path)
    silent = replace(corpus, utterances=tuple(replace(u, transcript=None) for u in corpus.utterances))
    with pytest.raises(CorpusError, match="has no transcripts"):
        run(tmp_path, silent, bert)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": ["tokens"]}, "there are frames, utterance, phone@ALIGNMENT"),
        ({"layers": "9"}, "no layer 9"),
        ({"dtype": "int8"}, "--dtype"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, hubert: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, small_corpus.make(tmp_path), hubert, **options)


def test_real_speech_is_decoded_once_and_remembered(tmp_path: Path, ravdess_root: Path, hubert: Path) -> None:
    utterances = tuple(manifest.read_csv(ravdess_root / "manifest.csv")[:3])
    corpus = Corpus(name="ravdess", reader="csv", scheme="as-is", audio_root=ravdess_root, utterances=utterances)
    (tmp_path / "data/ravdess").mkdir(parents=True)
    features = run(tmp_path, corpus, hubert).features
    assert [features.read(u.id).shape[1] for u in utterances] == [(int(u.extra["num_samples"]) - 400) // 320 + 1 for u in utterances]
    assert len((tmp_path / "data/ravdess/audio.csv").read_text().splitlines()) == 3
