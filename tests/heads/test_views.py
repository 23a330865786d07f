"""Views of utterances: with whom they go, whose voice keeps them out, and how a head draws one beside its original."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emocache.errors import CacheError, CorpusError, ProtocolError, UsageError
from emocache.store import open_cache
from emocache.types import Utterance
from heads import experiment, learner, material, report, views
from heads.data import Batch
from heads.experiment import run
from heads.plan import Experiment
from heads.ragged import Ragged
from heads.splits import split
from tests.heads.toy import corpus, examples, extract, utterances

ORIGINALS = utterances(speakers=6, takes=2)
CPU = torch.device("cpu")
TINY = ("width=8", "heads=2", "hidden=16", "epochs=2", "lr=0.01", "batch=8", "accumulate=1", "audio_frames=32")


def view(of: Utterance, voice: str, number: int = 0) -> Utterance:
    return replace(of, id=f"{of.id}-{voice}-{number}", parent=of.id, extra={**of.extra, "voice": voice})


VIEWS = [view(one, "s5" if one.speaker != "s5" else "s4") for one in ORIGINALS] + [view(one, "machine", 1) for one in ORIGINALS]


@pytest.mark.parametrize("partners", [False, True])
def test_a_view_with_the_voice_of_somebody_who_is_tested_goes_nowhere(partners: bool) -> None:
    by_id = {one.id: one for one in (*ORIGINALS, *VIEWS)}
    for fold in split("loso", list(by_id.values()), partners=partners):
        tested = {by_id[name].speaker for name in fold.test}
        drawn = [name for name, _ in fold.views] if partners else [name for name in fold.train if by_id[name].parent]
        assert drawn
        assert not [name for name in drawn if by_id[name].extra["voice"] in tested]
        assert bool(views.dropped(fold, by_id)) == ("s5" in tested)
    assert "s5" in tested, "one is planted, or nothing is shown"
    (said,) = [text for text in views.notes([fold], by_id) if "left out" in text]
    assert said.startswith(f"fold {fold.name}: 21 views left out, first s0-ang-0-s5-0")


def test_a_voice_is_held_out_with_whoever_validates_unless_that_person_is_trained_on_too() -> None:
    everybody = (*ORIGINALS, *VIEWS)
    by_id = {one.id: one for one in everybody}
    whole, drawn = ([split("loso", everybody, validation=rule, partners=True, seed=1)[0]] for rule in ("speaker", "random"))
    (validating,) = {by_id[name].speaker for name in whole[0].validation}
    assert not [name for name, _ in whole[0].views if by_id[name].extra["voice"] == validating]
    assert views.held_out_voices(drawn[0], by_id) == {"s0", "s1"}


@pytest.mark.parametrize("partners", [False, True])
def test_a_view_without_a_voice_of_its_own_has_that_of_the_view_that_it_is_made_of(partners: bool) -> None:
    first = view(ORIGINALS[1], "s5")
    again = replace(first, id="again", parent=first.id, extra={"voice": ""})
    members = [*ORIGINALS, first, again, replace(again, id="other", extra={"voice": "s3"})]
    folds = [fold for fold in split("loso", members, partners=partners) if ORIGINALS[1].id in fold.train]
    kept = {fold.name: {name for name, _ in fold.views} if partners else {*fold.train} - {one.id for one in ORIGINALS} for fold in folds}
    assert kept == {"Ses2": {first.id, "again"}, "Ses3": {"other"}}


def test_a_partner_that_is_said_by_another_speaker_goes_nowhere_when_that_one_is_tested() -> None:
    spoken = [replace(ORIGINALS[0], id="by-s5", parent=ORIGINALS[0].id, speaker="s5"),
              replace(ORIGINALS[0], id="own", parent=ORIGINALS[0].id)]  # fmt: skip
    folds = split("loso", [*ORIGINALS, *spoken], partners=True, validation="speaker")
    for fold in [fold for fold in folds if ORIGINALS[0].id in fold.train]:
        assert "own" in dict(fold.views)
        assert ("by-s5" in dict(fold.views)) == ("s5" in {name[:2] for name in fold.train})
    assert "by-s5" not in dict(folds[2].views)


def test_a_voice_that_no_speaker_has_is_noted() -> None:
    by_id = {one.id: one for one in (*ORIGINALS, *VIEWS)}
    (said,) = [text for text in views.notes(split("loso", list(by_id.values())), by_id) if "no speaker here" in text]
    assert said == "36 views have the voice of no speaker here, first s0-ang-0-machine-1 ('machine'), so no fold leaves them out for it"


def test_a_partner_is_beside_a_training_utterance_and_is_not_trained_on_itself() -> None:
    chain = [*ORIGINALS, *VIEWS, replace(VIEWS[0], id="again", parent=VIEWS[0].id, extra={"voice": "machine"})]
    for fold in split("loso", chain, partners=True):
        parts = {*fold.train, *fold.validation, *fold.test}
        assert {shown for _, shown in fold.views} <= {*fold.train}
        assert not {view for view, _ in fold.views} & parts
        assert parts == {one.id for one in ORIGINALS}
    assert dict(fold.views)["again"] == "s0-ang-0", "a view of a view shows the original"


def test_one_view_is_drawn_of_each_utterance_that_has_any_by_the_seed_alone() -> None:
    lists = Ragged.of([[7, 8], [], [9]], CPU)
    which = torch.tensor([2, 1, 0])
    of, drawn = lists.draw(which, torch.Generator().manual_seed(0))
    assert of.tolist() == [0, 2]
    assert drawn[0] == 9
    assert int(drawn[1]) in {7, 8}
    draw = torch.Generator().manual_seed(3)
    counts = Counter(int(lists.draw(which, draw)[1][1]) for _ in range(400))
    assert counts.keys() == {7, 8}
    assert min(counts.values()) > 150
    again = torch.Generator().manual_seed(0)
    assert torch.equal(lists.draw(which, again)[1], drawn)


def test_a_batch_has_the_features_of_the_views_that_were_drawn() -> None:
    members = [*ORIGINALS, *VIEWS]
    data, _ = examples(members)
    shown = data.with_views([(VIEWS[0].id, ORIGINALS[0].id), (VIEWS[5].id, ORIGINALS[5].id)])
    which = data.indices([ORIGINALS[3].id, ORIGINALS[5].id])
    batch = shown.batch(which, torch.Generator())
    assert batch.views is not None
    assert batch.views.of.tolist() == [1]
    expected = data.inputs[0].take(data.indices([VIEWS[5].id]))
    assert torch.equal(batch.views.inputs[0].values, expected.values)
    assert shown.batch(which).views is None
    assert shown.batch(which[:1], torch.Generator()).views is None


def extracted(place: Path, members: Sequence[Utterance], *, name: str = "toy", seed: int = 1) -> None:
    """A corpus in `place` with features of speech and of text."""
    corpus(place / "data", members)
    extract(place / "cache", members, "enc")
    extract(place / "cache", members, "words", native="tokens", seed=seed)
    if name != "toy":
        (place / "cache" / "toy").rename(place / "cache" / name)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    extracted(tmp_path, [*ORIGINALS, *VIEWS])
    return tmp_path


def go(place: Path, *settings: str, **changes: Any) -> report.Result:
    base = Experiment(
        head="mmer", corpus="toy", encoders=("enc", "words"), protocol="loso", layers="last", settings=(*TINY, *settings),
        runs=place / "runs", data=place / "data", device="cpu",
    )  # fmt: skip
    return run(replace(base, **changes), open_cache(place / "cache"), quiet=True)


def predictions(result: report.Result) -> str:
    return (result.path / "predictions.csv").read_text()


def test_views_are_drawn_in_training_and_the_result_says_which_and_which_not(place: Path) -> None:
    result = go(place)
    folds = json.loads((result.path / "splits.json").read_text())
    assert all({view for view, _ in fold["views"]} <= {one.id for one in VIEWS} for fold in folds)
    assert result.scores.tested == len(ORIGINALS)
    assert any("views left out" in note for note in result.notes)
    assert not any("ACL is off" in text for text in result.deviations)
    assert predictions(go(place, name="again")) == predictions(result)


def test_views_have_a_say_through_acl_alone(place: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    extracted(bare, ORIGINALS)
    for normalise in ("none", "global", "speaker"):
        with_views, without = (predictions(go(one, "gamma=0", f"normalise={normalise}")) for one in (place, bare))
        assert with_views == without, normalise
    assert predictions(go(place)) != predictions(go(bare))


@pytest.mark.parametrize("head", ["mmer", "linear"])
def test_views_of_utterances_that_are_not_there_are_neither_tested_nor_learnt_from(tmp_path: Path, head: str) -> None:
    members = [*ORIGINALS[1:], *VIEWS]
    corpus(tmp_path / "data", [*ORIGINALS, *VIEWS])
    for name, native in (("enc", "frames"), ("words", "tokens")):
        extract(tmp_path / "cache", members, name, native=native)
    linear: dict[str, Any] = {"head": head, "encoders": ("enc",), "settings": ("epochs=1",)} if head == "linear" else {}
    result = go(tmp_path, allow_missing=True, **linear)
    lost = {one.id for one in VIEWS if one.parent == ORIGINALS[0].id}
    assert result.left_out["views of others that are not there"] == len(lost) == 2
    assert "2 of 108 utterances left out: views of others that are not there" in result.notes
    assert not [name for name in lost if name in (result.path / "splits.json").read_text()]
    assert result.scores.tested == len(ORIGINALS) - 1


def test_a_manifest_of_nothing_but_views_is_refused(tmp_path: Path) -> None:
    extracted(tmp_path, VIEWS)
    with pytest.raises(ProtocolError, match="all 72 utterances are views of others that are not there"):
        go(tmp_path)


def test_a_view_with_features_that_are_not_finite_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = len(ORIGINALS) + 38  # of the voice "machine", the only one that the last fold keeps

    def spoilt(*arguments: Any, **options: Any) -> Any:
        found = material.load(*arguments, **options)
        found.inputs[0].values[0, found.inputs[0].offsets[at]] = float("nan")
        return found

    monkeypatch.setattr(experiment, "load", spoilt)
    with pytest.raises(ProtocolError, match=f"{VIEWS[38].id} has values that are not finite in enc/frames"):
        go(place)


def test_without_views_acl_is_off_and_the_result_says_so(tmp_path: Path) -> None:
    extracted(tmp_path, ORIGINALS)
    result = go(tmp_path)
    assert "no views of training utterances (emocache augment makes them), so ACL is off" in result.deviations
    assert "no views of training utterances (emocache augment makes them), so ACL is off" in result.notes
    assert not any("ACL" in text for text in go(tmp_path, "gamma=0").notes)


def test_only_training_is_given_views_and_only_of_its_fold(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Batch] = []
    evaluated = learner.Learner._outputs

    def watched(*arguments: Any) -> Any:
        for batch, output in evaluated(*arguments):
            seen.append(batch)
            yield batch, output

    monkeypatch.setattr(learner.Learner, "_outputs", watched)
    go(place)
    assert seen
    assert all(batch.views is None for batch in seen)


def test_a_head_that_learns_from_views_as_they_are_still_hears_nobody_who_is_tested(place: Path) -> None:
    result = go(place, head="linear", encoders=("enc",), settings=("epochs=1",))
    by_id = {one.id: one for one in VIEWS}
    for fold in json.loads((result.path / "splits.json").read_text()):
        voices = {by_id[name].extra["voice"] for name in fold["train"] if name in by_id}
        assert voices
        assert not voices & {name.split("-")[0] for name in fold["test"]}
        assert "views" not in fold


def test_the_test_part_alone_is_predicted_from_other_transcripts(place: Path, tmp_path: Path) -> None:
    for name, seed in (("heard", 9), ("same", 1)):
        other = tmp_path / name
        extracted(other, ORIGINALS, name=name, seed=seed)
        shutil.move(other / "cache" / name, place / "cache" / name)
    usual, same, heard = (go(place, test_text=text) for text in (None, "same/words", "heard/words"))
    curves = [(one.path / "curves.json").read_text() for one in (usual, same, heard)]
    assert curves[0] == curves[1] == curves[2]
    assert predictions(usual) == predictions(same) != predictions(heard)
    assert any("is predicted with the text of heard/words" in note for note in heard.notes)
    assert len({usual.path, same.path, heard.path}) == 3


def test_a_table_of_transcripts_means_the_corpus_that_has_these_words(place: Path, tmp_path: Path) -> None:
    said = [replace(one, transcript=f"so {one.id}") for one in ORIGINALS]
    extracted(tmp_path / "heard", said, name="heard", seed=9)
    shutil.move(tmp_path / "heard" / "cache" / "heard", place / "cache" / "heard")
    table = tmp_path / "asr.csv"
    table.write_text("utterance_id,transcript\n" + "".join(f"{one.id},{one.transcript}\n" for one in said))
    by_table, by_name = go(place, test_text=str(table)), go(place, test_text="heard/words")
    assert predictions(by_table) == predictions(by_name)
    table.write_text(table.read_text().replace("so s0-ang-0", "so it is"))
    with pytest.raises(
        UsageError,
        match=r"emocache transcribe --corpus toy --from .*asr.csv --name toy-asr`, then run `emocache extract .* --corpus toy-asr`",
    ):
        go(place, test_text=str(table))
    table.write_text("utterance_id,transcript\ns0-ang-0,so\n")
    with pytest.raises(UsageError, match="no transcript of 35 of 36 utterances, first s0-ang-1"):
        go(place, test_text=str(table))


def test_other_transcripts_that_do_not_fit_are_refused(place: Path, tmp_path: Path) -> None:
    extracted(tmp_path / "few", ORIGINALS[1:], name="few")
    shutil.move(tmp_path / "few" / "cache" / "few", place / "cache" / "few")
    with pytest.raises(CacheError, match="no tokens of 1 of 36 utterances, first s0-ang-0"):
        go(place, test_text="few/words")
    with pytest.raises(UsageError, match="was made from audio, not from text"):
        go(place, test_text="few/enc")
    with pytest.raises(UsageError, match="expected CORPUS/NAME"):
        go(place, test_text="asr")
    with pytest.raises(CorpusError, match=r"asr.csv: cannot be read"):
        go(place, test_text="asr.csv")
    with pytest.raises(UsageError, match="0 of the encoders given are of text"):
        go(place, head="linear", encoders=("enc",), settings=("epochs=1",), test_text="few/words")


def test_a_row_of_no_list_is_empty() -> None:
    taken = Ragged.of([[1, 2], [], [3]], CPU).take(torch.tensor([1, 2, 0]))
    np.testing.assert_array_equal(taken.values, [3, 1, 2])
    np.testing.assert_array_equal(taken.offsets, [0, 0, 1, 3])
