"""Reports: the same numbers in four files, marks wherever a run is named, a page that needs nothing else."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from heads import scores, stored
from heads.reporting import entries, files, maps, svg, tables
from tests.heads.toy_runs import CLASSES, guesses, write
from tests.shell import Shell

VOID = {"meta"}


class Page(HTMLParser):
    """Tags that are open, and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.crossed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [f"{tag} {name}" for name, value in attrs if name in {"src", "srcset", "data"} or (value or "").startswith("http")]
        self.fetched += [tag] if tag in {"script", "link", "iframe", "img"} else []

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write(tmp_path / "runs" / "good_one", guesses(right=0.9), embeddings=True)
    write(tmp_path / "runs" / "floor", guesses(right=0.1, draw=1), marks=["random labels"], notes=["<b>bold</b> & 50 %"])
    return tmp_path / "runs"


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", "plain"])
def test_no_text_in_the_csv_is_a_formula_to_a_spreadsheet(tmp_path: Path, name: str) -> None:
    write(tmp_path / "runs" / name, guesses(right=0.5), corpus=name)
    (line,) = csv.DictReader(report(tmp_path / "runs")["csv"].splitlines())
    expected = name if name == "plain" else f"'{name}"
    assert (line["run"], line["corpus"]) == (expected, expected)
    assert float(line["ua"]) > 0


def report(runs: Path, **options: str) -> dict[str, str]:
    found = entries.read(stored.find([runs]).runs, **options)  # type: ignore[arg-type]
    made = entries.Report(entries=found, command="emocache report runs")
    return {ending: path.read_text() for ending, path in files.write(made, runs.parent / "out").items()}


def test_four_files_hold_the_scores_of_every_run(runs: Path) -> None:
    texts = report(runs)
    assert texts.keys() == {"md", "csv", "tex", "html"}
    for folder in ("good_one", "floor"):
        one = scores.score(stored.read(runs / folder).predictions)
        shown = tables.interval_text(one.ua)
        assert shown in texts["md"]
        assert shown.replace("[", r"{\scriptsize [").replace("]", "]}") in texts["tex"]
        assert shown.partition(" ")[0] in texts["html"]
        (line,) = [line for line in csv.DictReader(texts["csv"].splitlines()) if line["run"] == folder]
        assert float(line["ua"]) == one.ua.mean
        assert float(line["ua_folds_mean"]) == one.over_folds["ua"].mean
        assert float(line["recall_sad"]) == one.recall["sad"].mean


def test_a_mark_stands_wherever_the_run_does(runs: Path) -> None:
    texts = report(runs)
    assert all("floor (random labels)" in texts[ending] for ending in ("md", "tex", "html"))
    assert [line["marks"] for line in csv.DictReader(texts["csv"].splitlines())] == ["random labels", ""]
    assert all("random labels: the labels of the training" in texts[ending] for ending in ("md", "tex", "html"))


def test_the_page_fetches_nothing_and_closes_what_it_opens(runs: Path) -> None:
    html = report(runs)["html"]
    page = Page()
    page.feed(html)
    assert (page.fetched, page.crossed, page.open) == ([], [], [])
    assert not re.search(r"url\(|@import|<script", html)


def test_text_of_a_run_is_text_on_the_page(runs: Path) -> None:
    texts = report(runs)
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; 50 %" in texts["html"]
    assert r"good\_one" in texts["tex"]


def test_names_of_any_kind_stay_text_in_every_file(tmp_path: Path) -> None:
    classes = ("a|b<script>", '"><img src=x>', "c](javascript:0)")
    name = dict(zip(CLASSES, classes, strict=True))
    rows = [(one, f"<b>{who}", f"<i>&{fold}", seed, name[label], name[said]) for one, who, fold, seed, label, said in guesses(right=0.7)]
    write(tmp_path / "runs" / "[1em] a<b|", rows, classes=classes, corpus="<u>\n| x |", notes=["<s>\n# x"], command="emocache ```\n# x")
    texts = report(tmp_path / "runs")
    page = Page()
    page.feed(texts["html"])
    assert (page.fetched, page.crossed, page.open) == ([], [], [])
    assert not re.search("<(script|img|b|i|u|s)>", texts["html"])
    assert not re.search(r"(?<!\\)<\w|(?<!\\)\]\(", texts["md"])
    table = [line for line in texts["md"].splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {12, 4}
    assert "````console\n$ emocache ```\n# x\n````" in texts["md"]
    assert "\n{[}1em] a\\textless{}b\\textbar{} & " in texts["tex"], "LaTeX takes a bracket after \\\\ for the height of the row"
    assert next(csv.DictReader(io.StringIO(texts["csv"])))["corpus"] == "<u>\n| x |"


def test_the_page_shows_every_part(runs: Path) -> None:
    html = report(runs)["html"]
    shown = (
        "Confusion matrix",
        "ang recognised: ",
        "ang taken for hap: ",
        "Recall of each class",
        "seed 1, validation: epoch 3 chosen",
        "fold Ses3",
        "s5: UA ",
        "coloured by label",
        "coloured by speaker",
        "the run folder has no embeddings.npy",
        "hidden is 8; the paper has 128",
        "emocache train linear --corpus toy",
        "emocache report runs",
        "enc, frames, layers 0-2, ffffffffffff",
    )
    assert [part for part in shown if part not in html] == []


def test_pooled_and_mean_of_folds_are_named_as_what_they_are(runs: Path) -> None:
    texts = report(runs)
    for ending in ("md", "html"):
        assert "predictions of all folds pooled and scored for each seed, mean over seeds" in texts[ending].replace("&#x27;", "'")
        assert "each fold scored alone, mean over seeds, then over folds" in texts[ending]


def test_the_bootstrap_can_go_over_utterances(runs: Path) -> None:
    assert "95 % bootstrap over 6 speakers" in report(runs)["md"]
    assert "95 % bootstrap over 72 utterances, as asked for" in report(runs, bootstrap="utterances")["md"]


def test_rows_of_another_task_are_pointed_out(runs: Path) -> None:
    write(runs / "other", [(*row[:4], "ang", "ang") for row in guesses(right=1)], corpus="elsewhere", protocol="lopo")
    assert "The rows differ in corpora and protocols: their scores are not of the same task." in report(runs)["md"]


def test_runs_of_the_same_name_are_told_apart(runs: Path) -> None:
    write(runs.parent / "more" / "floor", guesses(right=0.4))
    found = entries.read(stored.find([runs, runs.parent / "more"]).runs)
    assert len({entry.name for entry in found}) == 3


def test_a_report_of_one_seed_and_one_fold_has_no_spread(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "a", [(*row[:2], "test", *row[3:]) for row in guesses(right=0.5, seeds=(0,))])
    (line,) = csv.DictReader(report(tmp_path / "runs")["csv"].splitlines())
    assert (line["ua_seeds_std"], line["ua_folds_std"]) == ("", "")


def test_speakers_that_are_not_known_are_said_to_be(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "a", [(row[0], "", *row[2:]) for row in guesses(right=0.5)], embeddings=True)
    texts = report(tmp_path / "runs")
    assert "The speakers are not known." in texts["html"]
    assert "utterances, since the speakers are not known" in texts["md"]


def test_maps_are_drawn_fold_by_fold_and_are_the_same_every_time(runs: Path) -> None:
    run = stored.read(runs / "good_one")
    found = maps.maps_of(run)
    assert [(one.fold, one.seed, len(one.points)) for one in found.maps] == [(f"Ses{n}", 0, 24) for n in (1, 2, 3)]
    assert found == maps.maps_of(run)
    assert {value for one in found.maps for point in one.points for value in point} >= {0.0, 1.0}
    assert all(0 <= value <= 1 for one in found.maps for point in one.points for value in point)


def test_a_map_of_many_points_is_a_sample_and_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MOST_POINTS", 15)
    found = maps.maps_of(stored.read(runs / "good_one"))
    assert [len(one.points) for one in found.maps] == [15] * 3
    assert "Fold Ses1: 15 of 24 utterances, drawn at random." in found.about


def test_embeddings_that_float16_cannot_hold_are_counted(runs: Path) -> None:
    values = np.load(runs / "good_one" / "embeddings.npy")
    values[:2, 0] = np.inf
    np.save(runs / "good_one" / "embeddings.npy", values)
    found = maps.maps_of(stored.read(runs / "good_one"))
    assert "2 of 144 embeddings are too large for float16" in found.about
    assert len(found.maps[0].points) == 22


def test_folds_beyond_the_shown_maps_are_counted(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MOST_MAPS", 2)
    found = maps.maps_of(stored.read(runs / "good_one"))
    assert (len(found.maps), "2 of 3 folds are shown." in found.about) == (2, True)


TICKS = ((0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]), (30.0, 90.0, [30, 40, 50, 60, 70, 80, 90]), (2.0, 2.0, [2]))


@pytest.mark.parametrize(("low", "high", "expected"), TICKS)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert svg.ticks(low, high) == pytest.approx(expected)


def test_the_command_writes_and_lists_the_files(shell: Shell, runs: Path) -> None:
    (runs / "begun").mkdir()
    (runs / "begun" / "config.json").write_text("{}")
    assert shell.run("report runs --out tables") == 0
    assert "floor (random labels)" in shell.out
    assert "runs/begun is left out: it has no result yet" in shell.out
    assert "written  tables/report.html" in shell.out
    assert all("runs/begun is left out" in (runs.parent / "tables" / f"report.{ending}").read_text() for ending in ("md", "html"))


def test_the_command_prints_one_json_object(shell: Shell, runs: Path) -> None:
    assert shell.run("report runs/good_one runs/floor --no-maps --json") == 0
    found = json.loads(shell.out)
    assert "coloured by speaker" not in Path(found["files"]["html"]).read_text()
    runs_ = [(one["name"], one["marks"], one["n"]) for one in found["runs"]]
    assert runs_ == [("good_one", [], 72), ("floor (random labels)", ["random labels"], 72)]
    assert found["runs"][0]["recall"].keys() == {*CLASSES}
    assert found["runs"][0]["speakers"]["s0"]["tested"] == 12
    assert Path(found["files"]["html"]).is_file()


def test_a_damaged_run_is_one_line(shell: Shell, runs: Path) -> None:
    (runs / "floor" / "predictions.csv").unlink()
    assert shell.run("report runs") == 2
    (line,) = shell.err.splitlines()
    assert line.startswith("emocache: runs/floor/predictions.csv: is missing, so runs/floor is no whole run of `emocache train`")
