"""A paper's table beside ours: what is run, what is marked, what is a dash, and what is refused before any training."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from emocache.errors import CacheError, UsageError
from emocache.types import Utterance
from heads import cli_papers, combine, paper_table, predictions, recipes, reproduce
from heads.paper_table import Line, Table
from heads.recipes.recipe import Cited, Recipe, Row, Source
from heads.wish import Wish, asked_of
from tests.heads.toy import DIM, corpus, extract, extract_words, utterances
from tests.heads.toy import EMOTIONS as CLASSES
from tests.shell import Shell

MEMBERS = utterances()
FRAMES = Source(encoder="enc", level="frames", blocks=1, dim=DIM)
TOKENS = Source(encoder="words", level="tokens", blocks=1, dim=DIM, text=True)
WORDS = Source(encoder="segments", level="word@mfa", blocks=1, dim=DIM)
QUICK = ("epochs=2", "hidden=8", "lr=0.02")
RECIPE = Recipe(
    name="toy-table1", paper="A toy", url="https://example.org", table="Table 1", about="a test", corpus="toy", utterances=108,
    protocol="loso", folds=3, seeds=(0,), metrics=("ua",),
    rows=(
        Row(name="speech", head="linear", sources=(FRAMES,), printed={"ua": 61.25}, settings=QUICK),
        Row(name="both", head="late", sources=(TOKENS, FRAMES), printed={"ua": 72.5}, settings=QUICK, deviations=("a remark",)),
        Row(name="fused", head="oracle", sources=(TOKENS, FRAMES), printed={"ua": 99.5}),
    ),
    cited=(Cited(name="Others, 2001", printed={"ua": 41.75}),),
    notes=("one thing is not printed",),
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A prepared corpus with the features that the toy table needs."""
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    extract(tmp_path / "cache", MEMBERS, "words", native="tokens", seed=1)
    return tmp_path


def wish(place: Path, **changes: Any) -> Wish:
    base = Wish(
        recipe=RECIPE, corpus="toy", encoders={}, runs=place / "runs", data=place / "data", cache=place / "cache", device="cpu",
    )  # fmt: skip
    return replace(base, **changes)


def go(place: Path, **changes: Any) -> Table:
    return reproduce.reproduce(wish(place, **changes), quiet=True)


def line(table: Table, name: str) -> Line:
    return next(one for one in table.lines if one.row.name == name)


def test_a_row_is_run_as_the_recipe_has_it_and_carries_no_mark(place: Path) -> None:
    found = line(go(place), "speech").ours
    assert found is not None
    assert (found.reduced, found.marks) == ((), ())
    assert (found.result["n"], found.result["seeds"], len(found.result["runs"])) == (108, [0], 3)
    assert all(run["epochs"] == 2 for run in found.result["runs"])
    assert (found.run / "predictions.csv").is_file()


def test_paper_and_ours_stand_side_by_side_and_what_was_not_run_is_a_dash(place: Path) -> None:
    table = go(place, rows=("speech", "fused"))
    text = paper_table.to_text(table).splitlines()
    rows = {line.split("  ")[0]: line for line in text}
    ours = line(table, "speech").ours
    assert ours is not None
    assert f"{100 * ours.result['ua']['mean']:.2f}" in rows["speech"]
    assert "61.25" in rows["speech"]
    assert rows["both"].split() == ["both", "72.50", *"------", "not", "asked", "for"]
    assert rows["fused"].split() == ["fused", "99.50", *"------", "head", "not", "built", "yet"]
    assert rows["Others, 2001"].split() == ["Others,", "2001", "41.75", *"------", "cited"]
    assert any("one thing is not printed" in line for line in text)


def test_the_json_has_every_row_and_null_for_what_was_not_run(place: Path) -> None:
    found = paper_table.to_json(go(place))
    speech, both, fused = found["rows"]
    assert (speech["paper"], fused["paper"], fused["ours"], fused["why"]) == ({"ua": 61.25}, {"ua": 99.5}, None, "head not built yet")
    assert 0 <= speech["ours"]["ua"]["low"] <= speech["ours"]["ua"]["mean"] <= speech["ours"]["ua"]["high"] <= 100
    assert "a remark" in both["deviations"]
    assert "a remark" not in speech["deviations"]
    assert found["cited"] == [{"name": "Others, 2001", "paper": {"ua": 41.75}}]


def test_a_second_call_takes_the_runs_of_the_first(place: Path) -> None:
    first = line(go(place), "both").ours
    assert first is not None
    before = (first.run / "result.json").stat().st_mtime_ns
    again = line(go(place), "both").ours
    assert again is not None
    assert (first.reused, again.reused) == (False, True)
    assert again.result == first.result
    assert (again.run / "result.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(("name", "text"), [("result.json", "{}"), ("result.json", '{"ua": '), ("predictions.csv", "id,label")])
def test_a_run_that_was_damaged_is_written_again(place: Path, name: str, text: str) -> None:
    first = line(go(place, rows=("speech",)), "speech").ours
    assert first is not None
    (first.run / name).write_text(text)
    again = line(go(place, rows=("speech",)), "speech").ours
    assert again is not None
    assert (again.reused, again.result["ua"]) == (False, first.result["ua"])


def test_features_that_changed_are_run_anew(place: Path) -> None:
    first = line(go(place, rows=("speech",)), "speech").ours
    extract(place / "cache", [*MEMBERS, replace(MEMBERS[0], id="more")], "enc")
    again = line(go(place, rows=("speech",)), "speech").ours
    assert first is not None
    assert again is not None
    assert (again.reused, again.run == first.run) == (False, False)


def test_whatever_is_smaller_than_the_recipe_is_marked_with_what_was_cut(place: Path) -> None:
    full = replace(
        RECIPE, seeds=(0, 1, 2), folds=5, utterances=5531,
        rows=(replace(RECIPE.rows[0], sources=(replace(FRAMES, blocks=12, dim=768),)),),
    )  # fmt: skip
    found = line(go(place, recipe=full, seeds=(4,), max_epochs=1), "speech").ours
    assert found is not None
    assert found.marks == ("reduced",)
    assert found.reduced == (
        "1 of 3 seeds", "3 of 5 folds", "1 of 2 epochs at most", "108 of 5531 utterances",
        "1 of 12 layers of enc", "6 of 768 dimensions of enc",
    )  # fmt: skip
    assert found.result["seeds"] == [4]


def test_shuffles_that_miss_some_utterances_are_not_reduced(place: Path) -> None:
    shuffled = replace(RECIPE, protocol="ra", folds=10, rows=(replace(RECIPE.rows[0], settings=("epochs=1", "hidden=4")),))
    found = line(go(place, recipe=shuffled), "speech").ours
    assert found is not None
    assert found.result["n"] < 108
    assert found.reduced == ()


def test_a_row_may_have_a_protocol_of_its_own_and_numbers_of_single_folds(place: Path) -> None:
    speech = RECIPE.rows[0]
    own = replace(
        RECIPE, over_folds=True,
        rows=(
            replace(speech, by_fold={"Ses2": {"ua": 50.5}, "Ses9": {"ua": 60.5}}),
            replace(speech, name="persons", protocol="lopo", folds=6),
        ),
    )  # fmt: skip
    table = go(place, recipe=own)
    sessions, persons = (line(table, name).ours for name in ("speech", "persons"))
    assert sessions is not None
    assert persons is not None
    assert [len({run["fold"] for run in one.result["runs"]}) for one in (sessions, persons)] == [3, 6]
    assert (sessions.reduced, persons.reduced) == ((), ())
    (score,) = (run["ua"] for run in sessions.result["runs"] if run["fold"] == "Ses2")
    text = paper_table.to_text(table)
    cells = {cells[0]: cells[1:] for cells in (re.split(r"  +", line.strip()) for line in text.splitlines())}
    assert cells["fold Ses2"] == ["50.50", "-", "-", f"{100 * score:.2f}"]
    assert cells["fold Ses9"] == ["60.50", "-", "-", "-"]
    assert f"{100 * sessions.result['over_folds']['ua']['mean']:.2f}" in cells["speech"]
    assert "protocol loso, lopo" in text
    found = paper_table.to_json(table)["rows"][0]
    assert [one["ours"] and one["ours"]["ua"] for one in found["folds"]] == [round(100 * score, 2), None]


def test_folds_of_another_protocol_do_not_stand_beside_printed_folds_of_that_name(place: Path) -> None:
    row = replace(RECIPE.rows[0], by_fold={"1": {"ua": 50.5}})
    shuffled = replace(RECIPE, protocol="ra", rows=(row,))
    (own,), (other,) = (
        paper_table.to_json(go(place, recipe=shuffled, max_epochs=1, protocol=one))["rows"][0]["folds"] for one in (None, "given")
    )
    assert own["ours"] is not None
    assert other["ours"] is None


def test_a_figure_names_what_of_its_runs_it_shows_and_what_draws_it(place: Path) -> None:
    table = go(place, recipe=replace(RECIPE, metrics=(), shows="maps", rows=(replace(RECIPE.rows[0], printed={}),), cited=()))
    found = line(table, "speech").ours
    assert found is not None
    assert (found.run / "embeddings.npy").is_file()
    text = paper_table.to_text(table)
    assert f"shows     speech: t-SNE fold by fold of {found.run}/embeddings.npy" in text
    assert f"draw      emocache report {found.run} --out toy-table1" in text


def test_a_setting_of_ours_is_a_deviation_by_name(place: Path) -> None:
    found = line(go(place, rows=("speech",), settings=("hidden=4", "epochs=1")), "speech").ours
    assert found is not None
    assert found.marks == ("other settings", "reduced")
    assert {"--set hidden=4", "--set epochs=1"} <= {*found.reduced}
    assert all(run["epochs"] == 1 for run in found.result["runs"])


def test_a_setting_is_for_the_rows_whose_head_has_it_and_one_that_none_has_is_refused(place: Path) -> None:
    several = replace(RECIPE, rows=(RECIPE.rows[0], replace(RECIPE.rows[0], name="deep", head="transformer", settings=("epochs=1",))))
    small = ("depth=1", "feedforward=4")
    shallow, deep = (line(go(place, recipe=several, settings=small), name).ours for name in ("speech", "deep"))
    assert shallow is not None
    assert deep is not None
    assert "other settings" not in shallow.marks
    assert "other settings" in deep.marks
    with pytest.raises(UsageError, match="--set breadth: no such setting; there are: "):
        go(place, recipe=several, settings=(*small, "breadth=2"))


def test_the_last_layer_alone_is_asked_for_where_the_paper_takes_that(place: Path) -> None:
    extract(place / "cache", MEMBERS, "deep", layers=3)
    deep, last = (
        replace(RECIPE, rows=(replace(RECIPE.rows[0], sources=(replace(FRAMES, encoder="deep", layer=layer),)),)) for layer in (None, 2)
    )
    for one, layers in ((deep, [1, 2]), (last, [2])):
        found = line(go(place, recipe=one, max_epochs=1), "speech").ours
        assert found is not None
        assert json.loads((found.run / "config.json").read_text())["inputs"][0]["layers"] == layers
    absent = replace(last, rows=(replace(RECIPE.rows[0], sources=(replace(FRAMES, encoder="hubert-base", layer=12),)),))
    with pytest.raises(CacheError, match="--model hubert-base --corpus toy --levels frames --layers last"):
        go(place, recipe=absent)


def test_more_epochs_than_the_recipe_has_are_not_run(place: Path) -> None:
    found = line(go(place, rows=("speech",), max_epochs=50), "speech").ours
    assert found is not None
    assert found.reduced == ()
    assert max(run["epochs"] for run in found.result["runs"]) == 2


def test_another_corpus_and_other_features_are_deviations_by_name(place: Path) -> None:
    abroad = replace(RECIPE, corpus="iemocap", rows=(replace(RECIPE.rows[0], sources=(replace(FRAMES, encoder="wav2vec2-base"),)),))
    found = line(go(place, recipe=abroad, encoders={"wav2vec2-base": "enc"}), "speech").ours
    assert found is not None
    assert "corpus toy; the paper has iemocap" in found.deviations
    assert "--encoders: enc stands for wav2vec2-base" in found.deviations
    assert found.marks == ("other corpus", "other features")


def test_another_alignment_is_a_deviation_by_name(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "segments")
    aligned = replace(RECIPE, rows=(replace(RECIPE.rows[0], sources=(replace(WORDS, level="word@wdseg"),)),))
    found = line(go(place, recipe=aligned, alignment="mfa"), "speech").ours
    assert found is not None
    assert "--alignment: word@mfa stands for word@wdseg" in found.deviations
    assert found.marks == ("other features",)


def test_a_choice_on_the_test_part_is_marked_in_the_table(place: Path) -> None:
    table = go(place, rows=("speech",), select="test")
    found = line(table, "speech").ours
    assert found is not None
    assert found.marks == ("selected on test",)
    assert any("chosen on the test part" in text for text in found.deviations)
    assert next(text for text in paper_table.to_text(table).splitlines() if text.startswith("speech")).endswith("selected on test")


def test_segments_that_fell_back_are_marked_in_the_table(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "segments", whole=len(MEMBERS) // 10)
    found = line(go(place, recipe=replace(RECIPE, rows=(replace(RECIPE.rows[0], sources=(WORDS,)),))), "speech").ours
    assert found is not None
    assert found.marks == ("segments*",)


def test_every_row_prints_its_parameters_and_its_segments(place: Path) -> None:
    extract_words(place / "cache", MEMBERS, "segments", whole=len(MEMBERS) // 10)
    rows = (RECIPE.rows[0], replace(RECIPE.rows[0], name="words", sources=(WORDS,)))
    table = go(place, recipe=replace(RECIPE, rows=rows))
    plain, words = (next(text for text in paper_table.to_text(table).splitlines() if text.startswith(name)) for name in ("speech", "words"))
    size = line(table, "speech").ours.result["parameters"]  # type: ignore[union-attr]
    assert f" {size:,} " in plain
    assert plain.split()[-2:] == ["-", "-"]
    assert f" {4 * (len(MEMBERS) - 10) + 10}  " in words
    assert " 0 + 10 " in words
    found = paper_table.to_json(table)["rows"][1]
    assert found["segments"]["segments/word@mfa"] == {"segments": 402, "nearest": 0, "utterances": 108, "whole": 10}


FUSED = replace(RECIPE, rows=(*RECIPE.rows[:2], Row(
    name="combined", head="combined", sources=(TOKENS, FRAMES), printed={"ua": 80.0}, combines=("both", "speech"), deviations=("mine",),
)))  # fmt: skip


def test_a_row_that_combines_others_runs_what_it_combines_and_is_their_mean(place: Path) -> None:
    table = go(place, recipe=FUSED, rows=("combined",))
    both, speech, combined = (line(table, name).ours for name in ("both", "speech", "combined"))
    assert both is not None
    assert speech is not None
    assert combined is not None
    assert combined.result["parameters"] == both.result["parameters"] + speech.result["parameters"]
    means = combine.mean_of_logits([predictions.probabilities(one.run / "predictions.csv", CLASSES) for one in (both, speech)])
    found = predictions.read(combined.run / "predictions.csv", CLASSES)
    assert found.predicted.tolist() == means.argmax(1).tolist()
    assert not (combined.run / "checkpoints").exists()
    assert combined.deviations[0] == "mine"
    assert {"a remark"} <= {*combined.deviations}


def test_a_combination_is_made_of_runs_that_are_there(place: Path) -> None:
    go(place, recipe=FUSED, rows=("both", "speech"))
    table = go(place, recipe=FUSED)
    assert [one.ours.reused for one in table.lines if one.ours] == [True, True, True]
    assert len(list((place / "runs").iterdir())) == 3


def test_runs_without_weights_say_the_same_and_are_found_again(place: Path) -> None:
    one, other = (
        line(go(place, runs=place / name, no_weights=name == "bare", rows=("speech",)), "speech").ours for name in ("runs", "bare")
    )
    assert one is not None
    assert other is not None
    assert (one.run / "predictions.csv").read_text() == (other.run / "predictions.csv").read_text()
    (whole, *_), (bare, *_) = (sorted((found.run / "checkpoints").iterdir()) for found in (one, other))
    assert {"best", "last"} <= {name.split("/")[0] for name in load_file(whole)}
    assert {*load_file(bare)} == {"probabilities", "embeddings"}
    (other.run / "result.json").write_text("{}")
    again = line(go(place, runs=place / "bare", no_weights=True, rows=("speech",)), "speech").ours
    assert again is not None
    assert (again.reused, again.result["ua"], again.result["runs"]) == (False, one.result["ua"], other.result["runs"])


def commands(place: Path, *sources: Source, **changes: Any) -> list[str]:
    rows = (replace(RECIPE.rows[0], head="late", sources=sources),)
    with pytest.raises(CacheError, match="the cache lacks what toy-table1 needs") as caught:
        go(place, recipe=replace(RECIPE, rows=rows), **changes)
    where = f" --data {place / 'data'} --cache {changes.get('cache', place / 'cache')}"
    assert not (place / "runs").exists()
    return [line.strip().removesuffix(where) for line in str(caught.value).splitlines()[1:]]


def test_features_that_are_not_there_are_listed_as_commands_and_nothing_is_encoded(place: Path) -> None:
    absent, base = replace(FRAMES, encoder="hubert-base"), replace(WORDS, encoder="enc")
    assert commands(place, absent, FRAMES, replace(absent, level="word@mfa"), base) == [
        "emocache extract --model hubert-base --corpus toy --levels frames,word@mfa",
        "emocache pool toy/enc --levels word@mfa",
    ]


def test_features_of_some_utterances_alone_are_listed_too(place: Path) -> None:
    corpus(place / "data", [*MEMBERS, replace(MEMBERS[0], id="late-comer")])
    assert commands(place, FRAMES, TOKENS) == [
        "emocache extract --model enc --layers 1 --corpus toy",
        "emocache extract --model words --layers 1 --corpus toy",
    ]


def test_segments_of_frames_that_are_not_complete_need_the_frames_first(place: Path) -> None:
    corpus(place / "data", [*MEMBERS, replace(MEMBERS[0], id="late-comer")])
    assert commands(place, TOKENS, replace(WORDS, encoder="enc"))[1:] == [
        "emocache extract --model enc --layers 1 --corpus toy",
        "emocache pool toy/enc --levels word@mfa",
    ]


def test_without_a_cache_everything_is_lacking(place: Path) -> None:
    found = commands(place, FRAMES, TOKENS, cache=place / "nowhere")
    assert [line.split()[3] for line in found] == ["enc", "words"]


def test_utterances_without_a_label_need_no_features(place: Path) -> None:
    unlabelled: Utterance = replace(MEMBERS[0], id="unlabelled", emotion=None)
    corpus(place / "data", [*MEMBERS, unlabelled])
    assert line(go(place, rows=("speech",)), "speech").ours is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ("speach",)}, "--rows speach: no such row in toy-table1; there are: speech, both, fused"),
        ({"rows": ("fused",)}, "no head of these rows is built yet"),
        ({"encoders": {"bert": "words"}}, "--encoders bert=...: toy-table1 has the encoders enc, words"),
        ({"corpus": "tyo"}, "no corpus 'tyo' in .* or the cache"),
    ],
)
def test_what_cannot_be_is_refused_with_the_choices(place: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        go(place, **changes)
    assert not (place / "runs").exists()


def mstr(place: Path, command: str = "") -> str:
    more = "--corpus toy --encoders hubert-large=enc --seeds 0 --max-epochs 1 --device cpu -q"
    return f"reproduce mstr-table2 {more} --cache {place}/cache {command}"


def test_a_table_on_several_corpora_is_several_tables_at_a_size_that_is_marked(shell: Shell, place: Path) -> None:
    small = "--set frames=27 --set width=8 --set heads=2 --set blocks=1"
    assert shell.run(mstr(place, f"--rows iemocap,meld-baseline,meld --protocol loso --json {small}")) == 0
    found = json.loads(shell.out)
    assert [(one["recipe"], one["paper_protocol"], one["protocol"]) for one in found["tables"]] == [
        ("mstr-table2-iemocap", "loso", "loso"), ("mstr-table2-meld", "given", "loso"),
    ]  # fmt: skip
    (baseline, ours) = found["tables"][1]["rows"]
    assert ours["reduced"][:4] == ["--set frames=27", "--set width=8", "--set heads=2", "--set blocks=1"]
    assert baseline["parameters"] == ours["parameters"]
    assert ours["marks"] == ["other corpus", "other features", "other protocol", "other settings", "reduced"]
    assert "--protocol: loso stands for given" in ours["deviations"]
    assert any("11.1, 7.9 and 5.4 %" in note for note in found["tables"][1]["notes"])


def test_rows_of_a_table_on_three_corpora_are_asked_for_by_their_own_names(shell: Shell, place: Path) -> None:
    wishes = asked_of(wish(place, corpus="", rows=("meld", "meld-baseline")), recipes.parts("mstr-table2"))
    assert [(one.recipe.name, one.corpus, one.rows) for one in wishes] == [("mstr-table2-meld", "meld", ("meld-baseline", "meld"))]
    assert [one.corpus for one in asked_of(wish(place), recipes.parts("mstr-table2"))] == ["toy"] * 3
    assert shell.run(mstr(place, "--rows medl")) == 2
    assert "--rows medl: no such row; there are: iemocap-baseline, iemocap, meld-baseline" in shell.err


@pytest.mark.parametrize("text", ["enc", "a=", "=b", "a=b,c"])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected PAPER=OURS"):
        cli_papers.parse_encoders(text)


def test_a_mapping_is_read_with_its_spaces() -> None:
    assert cli_papers.parse_encoders("a=b, c = d") == {"a": "b", "c": "d"}
    assert cli_papers.parse_encoders("") == {}


def test_the_command_lists_what_is_lacking_and_exits_with_2(shell: Shell, tmp_path: Path) -> None:
    corpus(tmp_path / "data")
    assert shell.run("reproduce multilevel-table1 --corpus toy --encoders bert-base=all-minilm-l6-v2") == 2
    lines = shell.err.splitlines()
    assert lines[0].startswith("emocache: toy: the cache lacks what multilevel-table1 needs")
    assert [line.split()[:4] for line in lines[1:]] == [
        ["emocache", "extract", "--model", "all-minilm-l6-v2"],
        ["emocache", "extract", "--model", "wav2vec2-base"],
    ]
    assert "--levels frames,phone@wdseg,syllable@wdseg,word@wdseg" in lines[2]


def test_the_command_prints_the_table(shell: Shell, place: Path) -> None:
    rows = f"--rows frame-linear --encoders wav2vec2-base=enc --cache {place}/cache --device cpu"
    assert shell.run(f"reproduce multilevel-table1 --corpus toy {rows} --seeds 0 --max-epochs 1 -q") == 0
    assert "reduced   1 of 100 epochs at most" in shell.out
    assert next(line for line in shell.out.splitlines() if line.startswith("frame-linear")).split()[1] == "65.44"
    assert len([line for line in shell.out.splitlines() if "not asked for" in line]) == 9


def test_a_figure_of_confusions_prints_those_of_every_row_that_was_run(place: Path) -> None:
    table = go(place, recipe=replace(RECIPE, shows="confusion"), rows=("speech",))
    text, found = paper_table.to_text(table), paper_table.to_json(table)["rows"][0]
    assert "confusion of speech" in text
    assert "confusion of both" not in text
    assert sum(map(sum, found["confusion"])) == 108
    assert found["classes"] == ["ang", "hap", "sad"]


def test_a_row_of_other_transcripts_waits_for_these(place: Path) -> None:
    heard = replace(RECIPE.rows[1], name="heard", other_text=True)
    recipe = replace(RECIPE, rows=(RECIPE.rows[0], RECIPE.rows[1], heard))
    assert line(go(place, recipe=recipe), "heard").why == "needs --test-text"
    with pytest.raises(UsageError, match="these rows need --test-text CORPUS/NAME"):
        go(place, recipe=recipe, rows=("heard",))
    with pytest.raises(UsageError, match="no row of these is predicted with other transcripts"):
        go(place, recipe=recipe, rows=("both",), test_text="toy/words")
    found = {one.row.name: one.ours for one in go(place, recipe=recipe, test_text="toy/words").lines}
    assert found["heard"] is not None
    assert found["both"] is not None
    assert found["heard"].run != found["both"].run
    assert found["heard"].result["ua"] == found["both"].result["ua"], "the same text again"
