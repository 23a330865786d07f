"""Levels of segments: from the same forward pass or from cached frames, with one and the same numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import alignment, manifest, pipeline
from emocache.alignment import NOISE, SILENCE, SPEECH, WHOLE, Alignment, Segment
from emocache.care.verify import verify
from emocache.corpora.prepare import prepare
from emocache.errors import CacheError, CorpusError, UsageError
from emocache.pool import pool
from emocache.segments import parse_segments
from emocache.store import Features, check_aligned, fallbacks, open_cache
from emocache.store.card import to_text
from emocache.types import Corpus
from tests import checkpoints, small_corpus
from tests.shell import Shell

WORDS = (
    Segment("", 0.0, 0.1, SILENCE),
    Segment("KIDS", 0.1, 0.45),
    Segment("++LAUGHTER++", 0.45, 0.6, NOISE),
    Segment("ÜBER", 0.6, 0.604),
    Segment("ALL", 0.604, 0.88),
)
PHONES = (Segment("K", 0.1, 0.2), Segment("IH", 0.2, 0.45), Segment("D", 0.61, 0.7))


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.speech(tmp_path_factory.mktemp("models") / "tiny-hubert")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """The small corpus, with words of all utterances but u0, and phones of u1 alone."""
    made = small_corpus.make(tmp_path)
    prepare("csv", tmp_path / "data" / "tiny" / "manifest.csv", name="tiny", data=tmp_path / "data", audio_root=tmp_path / "audio")
    seconds = dict(zip((u.id for u in made.utterances), small_corpus.SECONDS, strict=True))
    words = {u.id: alignment.tidy(WORDS, seconds[u.id])[0] for u in made.utterances if u.id != "u0"}
    align(tmp_path, words)
    return manifest.load(tmp_path / "data", "tiny")


def align(tmp_path: Path, words: dict[str, tuple[Segment, ...]], source: str = "mfa") -> None:
    """Write an alignment of the small corpus."""
    made = Alignment(source=source, about="by hand", segments={"word": words, "phone": {"u1": PHONES}}, without={"u0": "no file"})
    alignment.save(made, tmp_path / "data", "tiny")


def extract(tmp_path: Path, corpus: Corpus, model: Path, levels: list[str], **options: object) -> Features:
    """Extract into tmp_path/cache."""
    job = pipeline.prepare_job(
        corpus, tmp_path / "data", str(model), cache=tmp_path / "cache", device="cpu", levels=levels, **options
    )  # type: ignore[arg-type]  # fmt: skip
    return pipeline.extract(job).features


def test_a_row_is_the_mean_over_the_frames_whose_centre_the_word_holds(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"], dtype="fp32")
    frames, words = features.read("u3", "frames"), features.read("u3", "word@mfa")
    centres = (200 + 320 * np.arange(frames.shape[1])) / 16_000
    expected = [frames[:, (centres >= a) & (centres < b)].mean(axis=1) for a, b in [(0.1, 0.45), (0.45, 0.6), (0.604, 0.88)]]
    np.testing.assert_allclose(words[:, [0, 1, 3]].swapaxes(0, 1), expected, rtol=1e-5, atol=1e-6)
    nearest = int(np.argmin(np.abs(centres - 0.602)))
    np.testing.assert_array_equal(words[:, 2], frames[:, nearest])


def test_each_row_knows_its_label_its_times_and_what_it_is(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    columns = extract(tmp_path, corpus, hubert, ["word@mfa+all"]).columns("u3", "word@mfa+all")
    assert [label.decode() for label in columns["label"]] == ["", "KIDS", "++LAUGHTER++", "ÜBER", "ALL"]
    assert [alignment.KINDS[kind] for kind in columns["kind"]] == [SILENCE, SPEECH, NOISE, SPEECH, SPEECH]
    assert columns["begin"].tolist() == [0, 1600, 7200, 9600, 9664]
    assert columns["end"].tolist() == [1600, 7200, 9600, 9664, 14080]
    assert columns["nearest"].tolist() == [0, 0, 0, 1, 0]


def test_silences_are_left_out_unless_asked_for(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["word", "word+all"])
    assert features.levels == ("word@mfa", "word@mfa+all")
    assert features.read("u3", "word@mfa").shape[1] == 4
    assert features.read("u3", "word@mfa+all").shape[1] == 5


def test_an_utterance_without_alignment_is_one_segment_and_is_counted(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"], dtype="fp32")
    np.testing.assert_allclose(features.read("u0", "word@mfa")[:, 0], features.read("u0").mean(axis=1), rtol=1e-5, atol=1e-6)
    assert alignment.KINDS[features.columns("u0", "word@mfa")["kind"][0]] == WHOLE
    counted = fallbacks(features, "word@mfa", features.ids)
    assert (counted.utterances, counted.whole, counted.segments) == (
        6,
        1,
        1 + sum(features.read(f"u{i}", "word@mfa").shape[1] for i in range(1, 6)),
    )
    assert counted.many


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_pooling_cached_frames_gives_the_very_numbers_of_extraction(tmp_path: Path, corpus: Corpus, hubert: Path, dtype: str) -> None:
    levels = ["phone", "word", "word+outer", "word+printed+all", "utterance"]
    at_once = extract(tmp_path, corpus, hubert, ["frames", *levels], dtype=dtype)
    later = pool(extract(tmp_path, corpus, hubert, ["frames"], dtype=dtype, name="later"), tmp_path / "data", levels=levels).features
    assert later.levels == at_once.levels
    for level in at_once.levels:
        for name in at_once.ids:
            np.testing.assert_array_equal(later.read(name, level), at_once.read(name, level))
            first, second = later.columns(name, level), at_once.columns(name, level)
            assert all(np.array_equal(first[column], second[column]) for column in first)
            assert first.keys() == second.keys()


def test_pooling_cached_tokens_gives_the_very_numbers_of_extraction(tmp_path: Path, corpus: Corpus, bert: Path) -> None:
    at_once = extract(tmp_path, corpus, bert, ["tokens", "word", "sentence"])
    later = pool(extract(tmp_path, corpus, bert, ["tokens"], name="later"), tmp_path / "data", levels=["word", "sentence"]).features
    for level in ("word", "sentence"):
        np.testing.assert_array_equal(later.load(level).values, at_once.load(level).values)


def test_poolings_can_be_kept_without_frames(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["phone", "word"])
    assert features.levels == ("phone@mfa", "word@mfa")
    with pytest.raises(CacheError, match="holds no frames to pool from"):
        pool(features, tmp_path / "data", levels=["utterance"])


def test_a_changed_alignment_is_seen_and_only_its_utterances_are_pooled_again(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"])
    before = {name: features.read(name, "word@mfa") for name in features.ids}
    align(tmp_path, {f"u{i}": WORDS[:2] if i == 3 else alignment.tidy(WORDS, small_corpus.SECONDS[i])[0] for i in range(1, 6)})
    with pytest.raises(CacheError, match=r"word@mfa of 1 utterances \(first 'u3'\) was made from another alignment"):
        check_aligned(features, "word@mfa", corpus.utterances, tmp_path / "data")
    done = pool(features, tmp_path / "data", levels=["word"])
    assert done.utterances == 1
    now = done.features
    check_aligned(now, "word@mfa", corpus.utterances, tmp_path / "data")
    np.testing.assert_array_equal(now.read("u3", "word@mfa"), before["u3"][:, :1])
    for name in ("u0", "u1", "u2", "u4", "u5"):
        np.testing.assert_array_equal(now.read(name, "word@mfa"), before[name])
    assert pool(now, tmp_path / "data", levels=["word"]).utterances == 0


def test_rows_of_an_older_alignment_are_not_given_for_those_of_a_newer(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"])
    align(tmp_path, {f"u{i}": WORDS[1:2] for i in range(1, 6)})
    pool(features, tmp_path / "data", levels=["word"], layers="1")
    now = open_cache(tmp_path / "cache").features("tiny", features.name)
    assert now.held("word@mfa", [1]) == features.ids
    assert now.held("word@mfa", [0]) == ["u0"]
    with pytest.raises(CacheError, match="u3 has no word@mfa/0 yet"):
        now.read("u3", "word@mfa", [0])


def test_extraction_with_a_changed_alignment_encodes_its_utterances_alone(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    extract(tmp_path, corpus, hubert, ["word"])
    words = {f"u{i}": alignment.tidy(WORDS, small_corpus.SECONDS[i])[0] for i in range(1, 6)}
    align(tmp_path, words | {"u5": (replace(words["u5"][0], label="x"), Segment("Y", 0.3, 0.4))})
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu", levels=["word"])
    assert pipeline.extract(job).encoded == 1


def test_what_holds_segments_passes_verify_and_survives_compaction(tmp_path: Path, corpus: Corpus, hubert: Path, shell: Shell) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"])
    align(tmp_path, {f"u{i}": WORDS[:2] for i in range(1, 6)})
    now = pool(features, tmp_path / "data", levels=["word"]).features
    assert verify(now.paths).findings == ()
    expected = {name: (now.read(name, "word@mfa"), now.columns(name, "word@mfa")["label"].tolist()) for name in now.ids}
    assert shell.run("gc --compact --cache cache") == 0
    compact = open_cache(tmp_path / "cache").features("tiny", features.name)
    for name, (rows, labels) in expected.items():
        np.testing.assert_array_equal(compact.read(name, "word@mfa"), rows)
        assert compact.columns(name, "word@mfa")["label"].tolist() == labels
    check_aligned(compact, "word@mfa", corpus.utterances, tmp_path / "data")
    assert shell.run(f"verify --reencode 6 --cache cache --model {hubert}") == 0, shell.out + shell.err


def test_a_kind_alone_means_the_only_alignment_that_has_it(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    align(tmp_path, {"u1": WORDS}, source="other")
    with pytest.raises(UsageError, match="several alignments with words; choose one of word@mfa, word@other"):
        extract(tmp_path, corpus, hubert, ["word"])
    assert extract(tmp_path, corpus, hubert, ["word@other"]).levels == ("word@other",)
    with pytest.raises(UsageError, match="no alignment with syllables; make one with `emocache align"):
        extract(tmp_path, corpus, hubert, ["syllable"])
    with pytest.raises(UsageError, match="'mfa' of tiny has phone, word, but no syllables"):
        extract(tmp_path, corpus, hubert, ["syllable@mfa"])


@pytest.mark.parametrize("text", ["frames@mfa", "word@mfa+inner", "word@mfa+outer+printed", "word@", "word@../x"])
def test_a_level_of_segments_that_cannot_be_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"levels|alignment"):
        parse_segments(text)


def test_texts_have_words_of_their_own_and_no_segments(tmp_path: Path, corpus: Corpus, bert: Path) -> None:
    with pytest.raises(UsageError, match=r"no level 'phone' here; there are tokens, word, sentence, utterance$"):
        extract(tmp_path, corpus, bert, ["phone"])


def test_the_command_pools_and_counts_what_fell_back(tmp_path: Path, corpus: Corpus, hubert: Path, shell: Shell) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames"])
    assert shell.run(f"pool tiny/{features.name} --levels word,utterance --cache cache --json") == 0
    found = json.loads(shell.out)
    assert found["pooled"] == 6
    assert found["segments"]["word@mfa"]["whole"] == 1
    assert shell.run(f"pool tiny/{features.name} --levels word --cache cache") == 0
    assert "0 utterances pooled now" in shell.out
    assert "1 of 6 utterances (16.7 %) in one piece" in shell.out
    assert shell.run(f"pool tiny/{features.name} --levels frames --cache cache") == 2


def test_a_changed_alignment_takes_nothing_from_the_levels_of_another(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    words = dict(alignment.load(tmp_path / "data", "tiny", "mfa").segments["word"])
    align(tmp_path, words, "wdseg")
    features = extract(tmp_path, corpus, hubert, ["frames", "utterance", "word@mfa", "word@wdseg"])
    ids = [u.id for u in corpus.utterances]
    before = features.read_many(ids, "word@wdseg")
    align(tmp_path, {name: (Segment("KIDS", 0.1, 0.46),) for name in words})
    pooled = pool(features, tmp_path / "data", levels=["word@mfa"])
    assert pooled.utterances == len(words)
    features = pooled.features
    for level in ("word@mfa", "word@wdseg"):
        check_aligned(features, level, corpus.utterances, tmp_path / "data")
    np.testing.assert_array_equal(features.read_many(ids, "word@wdseg").values, before.values)
    assert pool(features, tmp_path / "data", levels=["word@wdseg"]).utterances == 0
    align(tmp_path, {}, "wdseg")
    with pytest.raises(CacheError, match=r"word@wdseg of 5 utterances .* was made from another alignment"):
        check_aligned(features, "word@wdseg", corpus.utterances, tmp_path / "data")


def test_frames_are_not_encoded_again_for_an_alignment_that_changed(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames", "word"])
    align(tmp_path, {"u1": (Segment("KIDS", 0.1, 0.46),)})
    pool(features, tmp_path / "data", levels=["word"])
    job = pipeline.prepare_job(corpus, tmp_path / "data", str(hubert), cache=tmp_path / "cache", device="cpu", levels=["frames", "word"])
    assert pipeline.extract(job).encoded == 0


def test_a_set_of_an_older_release_learns_of_segments_when_they_are_extracted(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames"])
    known = ("frames", "utterance")
    older = replace(
        features.card, centre=-1, levels={n: features.card.levels[n] for n in known}, dims={n: features.card.dims[n] for n in known}
    )
    features.paths.card.write_text(to_text(older))
    features = open_cache(tmp_path / "cache").features("tiny", features.name)
    with pytest.raises(UsageError, match=r"no level 'word' here.*extract the level once"):
        pool(features, tmp_path / "data", levels=["word"])
    features = extract(tmp_path, corpus, hubert, ["word"])
    assert (features.levels, features.card.centre) == (("frames", "word@mfa"), 200)
    assert pool(features, tmp_path / "data", levels=["word+all"]).levels == ("word@mfa+all",)
    assert verify(features.paths).findings == ()


def test_an_alignment_of_other_audio_is_refused(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    made = replace(alignment.load(tmp_path / "data", "tiny", "mfa"), audio={u.id: str(u.audio_sha256) for u in corpus.utterances})
    alignment.save(made, tmp_path / "data", "tiny")
    assert alignment.load(tmp_path / "data", "tiny", "mfa").audio == made.audio
    extract(tmp_path, corpus, hubert, ["word"])
    alignment.save(replace(made, texts={"u3": "0" * 64}), tmp_path / "data", "tiny")
    with pytest.raises(CorpusError, match="u3: alignment 'mfa' was made of other words"):
        extract(tmp_path, corpus, hubert, ["word"])
    alignment.save(replace(made, audio={**made.audio, "u3": "0" * 64}), tmp_path / "data", "tiny")
    with pytest.raises(CorpusError, match="u3: alignment 'mfa' was made of other audio"):
        extract(tmp_path, corpus, hubert, ["word"]).read("u3")


def test_rows_of_other_audio_are_not_pooled(tmp_path: Path, corpus: Corpus, hubert: Path) -> None:
    features = extract(tmp_path, corpus, hubert, ["frames"])
    soundfile.write(tmp_path / "audio" / "u3.wav", small_corpus.wave(99, 2.2), 16_000, subtype="FLOAT")
    prepare("csv", tmp_path / "data" / "tiny" / "manifest.csv", name="tiny", data=tmp_path / "data", audio_root=tmp_path / "audio")
    with pytest.raises(CacheError, match="u3"):
        pool(features, tmp_path / "data", levels=["word"])


def test_the_command_names_who_has_nothing_to_pool_from(tmp_path: Path, corpus: Corpus, hubert: Path, shell: Shell) -> None:
    features = extract(tmp_path, replace(corpus, utterances=corpus.utterances[1:]), hubert, ["frames"])
    assert shell.run(f"pool tiny/{features.name} --levels word --cache cache") == 1
    assert "not pooled: u0: has no frames in the cache" in shell.err
