"""What to cite for corpora and encoders, and for emocache itself."""

import emocache
from emocache import bibtex
from emocache.bibtex import Entry
from emocache.corpora import CORPORA
from emocache.encoders.catalogue import ENCODERS
from emocache.types import Corpus

TOOL = Entry(key="emocache", title="emocache: frozen encoders run once, their layers cached", note=f"Version {emocache.__version__}")


def of_encoder(name: str) -> Entry | None:
    """The paper of an encoder by its name in the catalogue; None where none is known."""
    spec = ENCODERS.get(name)
    return spec.paper.entry if spec and spec.paper else None


def of_corpus(corpus: Corpus) -> Entry | None:
    """What a prepared corpus asks to be cited by; None where it says nothing."""
    home = CORPORA[corpus.reader].INFO.home.split(" ")[0] if corpus.reader in CORPORA else ""
    known = corpus.citation and corpus.reader in CORPORA and corpus.citation == CORPORA[corpus.reader].INFO.citation
    return bibtex.of_corpus(corpus.name, corpus.citation, home if known else "") if corpus.citation else None
