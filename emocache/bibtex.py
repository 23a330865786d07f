"""Entries for a bibliography: what is known of a paper, as BibTeX."""

import re
from dataclasses import dataclass

_PUBLISHED = re.compile(r"(?P<authors>[^()]+) \((?P<year>\d{4})\), (?P<title>.+), (?P<venue>[^,]+(?: \d+\(\d+\): [\w-]+)?)")
"""A citation as corpora have it: Cao et al. (2014), CREMA-D: ..., IEEE Transactions on Affective Computing 5(4): 377-390."""
_SPECIAL = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry. `authors` are given as BibTeX takes them; `url` goes in as it stands."""

    key: str
    title: str
    authors: str = ""
    venue: str = ""
    year: str = ""
    url: str = ""
    note: str = ""

    @property
    def line(self) -> str:
        """The entry in one line."""
        return f"@misc{{{self.key}, " + ", ".join(self._fields) + "}"

    @property
    def text(self) -> str:
        """The entry with a line for each field."""
        return "\n".join([f"@misc{{{self.key},", *(f"  {field}," for field in self._fields), "}"])

    @property
    def _fields(self) -> list[str]:
        words = {"author": self.authors, "howpublished": self.venue, "year": self.year, "note": self.note}
        fields = {"title": f"{{{_plain(self.title)}}}"} | {name: _plain(value) for name, value in words.items() if value}
        fields |= {"url": self.url} if self.url else {}
        return [f"{name} = {{{value}}}" for name, value in fields.items()]


def _plain(text: str) -> str:
    """A text without what TeX would take for commands."""
    letters = text.replace("\\", "/").replace("{", "(").replace("}", ")")
    return "".join(_SPECIAL.get(letter, letter) for letter in letters)


def of_corpus(name: str, citation: str, url: str = "") -> Entry:
    """The entry of a corpus by its citation, taken apart where it is of the usual form and whole otherwise."""
    key = f"corpus-{re.sub(r'[^A-Za-z0-9-]', '-', name)}"
    found = _PUBLISHED.fullmatch(citation)
    if found is None:
        return Entry(key=key, title=name, note=citation, url=url)
    authors = found["authors"].replace(" et al.", " and others").replace(", ", " and ")
    return Entry(key=key, title=found["title"], authors=authors, venue=found["venue"], year=found["year"], url=url)
