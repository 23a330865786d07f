"""Views as utterances of a prepared corpus: extracted with the rest, and kept as long as what they show is what it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from emocache import manifest, pipeline, views
from emocache.augment import run
from emocache.corpora.prepare import prepare
from emocache.errors import CacheError, CorpusError
from emocache.store import open_cache
from heads.data import Input
from heads.material import gather
from tests import checkpoints
from tests.augment.toy import Tone, corpus, loaded, made
from tests.shell import Shell


def prepared(tmp_path: Path, changes: dict[str, dict[str, str | None]] | None = None) -> None:
    """The toy corpus by way of `prepare csv`, with some utterances changed."""
    of = corpus(tmp_path)
    utterances = [replace(u, **(changes or {}).get(u.id, {})) for u in of.utterances]  # type: ignore[arg-type]
    (tmp_path / "list.csv").write_text(manifest.to_csv(utterances))
    prepare("csv", tmp_path / "list.csv", name="tiny", data=tmp_path / "data", audio_root=of.audio_root)


def test_views_are_extracted_by_the_ordinary_command_and_the_cache_knows_them(tmp_path: Path, shell: Shell) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    for model, folder in (("speech", checkpoints.speech(tmp_path / "hub")), ("text", checkpoints.bert(tmp_path / "bert"))):
        assert shell.run(f"extract --corpus tiny --model {folder} --name {model}") == 0
        assert "views    5 of these are augmented views (text unchanged, tones)" in shell.err
    cache = open_cache(tmp_path / "cache")
    assert len(cache.features("tiny", "speech").ids) == len(cache.features("tiny", "text").ids) == 13
    kept = [u for u in cache.corpus("tiny").utterances if u.parent]
    assert [(u.id, u.parent, u.extra["voice"]) for u in kept] == [
        (view.utterance_id, view.parent, view.voice) for view in views.read(tmp_path / "data" / "tiny" / "views")
    ]
    assert shell.run("augment --remove") == 0
    assert shell.run(f"extract --corpus tiny --model {tmp_path / 'hub'} --name speech --json") == 0
    assert not any(u.parent for u in open_cache(tmp_path / "cache").corpus("tiny").utterances)


def test_results_say_how_the_views_were_made_that_they_rest_on(tmp_path: Path) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    job = pipeline.prepare_job(loaded(tmp_path), tmp_path / "data", str(checkpoints.bert(tmp_path / "bert")), cache=tmp_path / "cache")
    features = pipeline.extract(job).features
    one = Input(name="bert", level="tokens", layers=(3,), dim=32, text=True)
    material = gather(open_cache(tmp_path / "cache"), "tiny", [features], [one], label="emotion", data=tmp_path / "data")
    assert "13 utterances; 5 of these are augmented views (text unchanged, tones)" in material.notes


def test_preparing_again_keeps_the_views_of_what_has_not_changed(tmp_path: Path) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    first = loaded(tmp_path)
    assert first.notes == ("5 augmented views of 5 utterances (text unchanged, tones)",)
    prepared(tmp_path)
    assert loaded(tmp_path) == first
    prepared(tmp_path, {"u0": {"transcript": "another"}, "u2": {"emotion": "hap"}, "u3": {"speaker": "s9"}, "u5": {"gender": "F"}})
    found = loaded(tmp_path)
    assert [(u.id, u.gender) for u in found.utterances if u.parent] == [("u5-view1", "F"), ("u6-view1", None)]
    assert found.notes[0] == "2 augmented views of 2 utterances (text unchanged, tones)"
    assert found.notes[1].startswith("3 augmented views are not used, since their utterances or voices are gone or changed")


def test_views_with_the_voice_of_a_speaker_who_is_called_otherwise_by_now_are_not_used(tmp_path: Path) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    before = {view.voice for view in views.read(tmp_path / "data" / "tiny" / "views")}
    assert "s0" in before
    prepared(tmp_path, {f"u{number}": {"speaker": "s9"} for number in (0, 4)})  # all that s0 says
    found = loaded(tmp_path)
    assert {u.extra["voice"] for u in found.utterances if u.parent} <= before - {"s0"}
    assert "are not used, since their utterances or voices are gone or changed" in found.notes[-1]
    made(tmp_path, found, Tone())
    assert "s9" in {u.extra["voice"] for u in loaded(tmp_path).utterances if u.parent}


def test_features_of_views_that_were_made_anew_are_refused(tmp_path: Path) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    model = str(checkpoints.speech(tmp_path / "hub"))
    job = pipeline.prepare_job(loaded(tmp_path), tmp_path / "data", model, name="speech", cache=tmp_path / "cache")
    features = pipeline.extract(job).features
    features.check(loaded(tmp_path).utterances)
    run.remove(tmp_path / "data", "tiny")
    other = Tone(about="others", lower=0.5)
    assert {view.utterance_id for view in made(tmp_path, loaded(tmp_path), other).views} <= set(features.ids)
    with pytest.raises(CacheError, match=r"features of 5 utterances \(first 'u0-view1'\) were made from other audio"):
        features.check(loaded(tmp_path).utterances)


def test_prepare_says_what_has_become_of_views(tmp_path: Path, shell: Shell) -> None:
    prepared(tmp_path)
    made(tmp_path, loaded(tmp_path), Tone())
    assert shell.run(f"prepare csv list.csv --name tiny --root {tmp_path / 'audio'}") == 0
    assert "8 utterances" in shell.out
    assert "note: 5 augmented views of 5 utterances (text unchanged, tones)" in shell.err


def test_the_features_of_an_unchanged_corpus_are_not_encoded_again_for_its_views(tmp_path: Path) -> None:
    prepared(tmp_path)
    model = str(checkpoints.bert(tmp_path / "bert"))
    encoded = []
    for _ in range(2):
        job = pipeline.prepare_job(loaded(tmp_path), tmp_path / "data", model, cache=tmp_path / "cache")
        encoded.append(pipeline.extract(job).encoded)
        made(tmp_path, loaded(tmp_path), Tone())
    assert encoded == [8, 5]


def test_a_damaged_list_is_one_clear_error_and_can_be_removed(tmp_path: Path, shell: Shell) -> None:
    prepared(tmp_path)
    folder = tmp_path / "data" / "tiny" / "views"
    folder.mkdir()
    (folder / views.VIEWS).write_text("utterance_id,parent\nu0-view1,u0\n")
    with pytest.raises(CorpusError, match=r"views.csv: damaged .* --corpus tiny --remove"):
        loaded(tmp_path)
    assert shell.run("augment --corpus tiny --remove") == 0
    assert len(loaded(tmp_path).utterances) == 8
