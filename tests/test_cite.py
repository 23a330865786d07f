"""What to cite: entries that BibTeX takes, for all that there is a paper of."""

import json
import re
from pathlib import Path

import pytest

from emocache import bibtex
from emocache.corpora import CORPORA
from emocache.encoders.catalogue import ENCODERS
from emocache.share import citing
from heads import HEADS, cited
from tests import small_corpus
from tests.shell import Shell
from tests.toy_store import CARD, toy, write

ENTRY = re.compile(r"@misc\{[A-Za-z0-9-]+, (\w+ = \{.*\}, )*\w+ = \{.*\}\}")


def check(entry: bibtex.Entry) -> None:
    assert ENTRY.fullmatch(entry.line)
    assert entry.line.count("{") == entry.line.count("}")
    assert not re.search(r"(?<!\\)[&%#$]", entry.line.replace(entry.url, "") if entry.url else entry.line)


@pytest.mark.parametrize("name", [name for name, spec in ENCODERS.items() if spec.paper])
def test_every_encoder_with_a_paper_has_an_entry_with_authors_and_year(name: str) -> None:
    entry = citing.of_encoder(name)
    assert entry is not None
    check(entry)
    assert entry.authors
    assert 2014 <= int(entry.year) <= 2030


@pytest.mark.parametrize("name", HEADS)
def test_every_head_has_an_entry_with_the_title_of_its_paper(name: str) -> None:
    import heads

    entry = cited.entry(name)
    check(entry)
    assert entry.authors
    assert entry.title == heads.head(name).PAPER.title


@pytest.mark.parametrize("name", [name for name, reader in CORPORA.items() if reader.INFO.citation])
def test_citations_of_corpora_are_taken_apart(name: str) -> None:
    entry = bibtex.of_corpus(name, CORPORA[name].INFO.citation)
    check(entry)
    assert entry.authors
    assert entry.year
    assert entry.title
    assert entry.venue


def test_a_citation_of_another_form_is_kept_whole_and_harmless() -> None:
    entry = bibtex.of_corpus("my one", "See our page {50% done} & \\evil")
    assert (entry.key, entry.note) == ("corpus-my-one", "See our page {50% done} & \\evil")
    check(entry)
    assert r"(50\% done) \& /evil" in entry.line


def test_the_command_cites_encoders_heads_corpora_features_and_runs(shell: Shell, tmp_path: Path) -> None:
    from dataclasses import replace

    from emocache import manifest

    assert shell.run("cite hubert-large tdfnet iemocap") == 0
    assert re.findall(r"@misc\{(.+),", shell.out) == ["hsu2021hubert", "zhao2023tdfnet", "corpus-iemocap", "emocache"]
    write(tmp_path / "cache", toy([3]), card=replace(CARD, encoder="wavlm-large"))
    manifest.save(replace(small_corpus.make(tmp_path, name="corpus"), citation="Doe (2020), A corpus, Interspeech"), tmp_path / "cache")
    for command in ("cite", "cite corpus/toy"):
        assert shell.run(command) == 0
        assert re.findall(r"@misc\{(.+),", shell.out) == ["chen2022wavlm", "corpus-corpus", "emocache"]
    run = tmp_path / "runs/one"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"head": "linear", "corpus": "corpus", "inputs": [{"encoder": "toy"}]}))
    assert shell.run("cite runs/one --json") == 0
    assert [line.split("{")[1].split(",")[0] for line in json.loads(shell.out)] == [
        "zhao2022multilevel", "chen2022wavlm", "corpus-corpus", "emocache",
    ]  # fmt: skip
    assert shell.run("cite log-mel") == 0
    assert "nothing is known to cite for log-mel" in shell.err
    assert shell.run("cite nonsense") == 2
    assert "'nonsense': is no encoder, head, run, corpus" in shell.err
