"""The table of an alignment: what is saved is loaded, and what is damaged is named by its line."""

from pathlib import Path

import pytest

from emocache import alignment
from emocache.alignment import NOISE, SILENCE, Alignment, Segment
from emocache.errors import CorpusError

WORDS = (Segment("", 0.0, 0.25, SILENCE), Segment('say "é, é"', 0.25, 0.5), Segment("++LAUGHTER++", 0.5, 1.0, NOISE))
MADE = Alignment(source="mfa", about="by hand", segments={"word": {"u,1": WORDS}}, without={"u2": "no file"}, notes={"u,1": "cut"})
HEAD = "utterance_id,level,label,kind,start_s,end_s\n"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    alignment.save(MADE, tmp_path, "tiny")
    assert alignment.load(tmp_path, "tiny", "mfa") == MADE


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", r"mfa\.csv: its columns are not utterance_id"),
        (b"\xff\xfe", r"mfa\.csv: cannot be read"),
        (f"{HEAD}u1,word,a,speech,0.1\n", r"mfa\.csv:2: no segment"),
        (f"{HEAD}u1,word,a,speech,0.1,soon\n", r"mfa\.csv:2: no segment"),
        (f"{HEAD}u1,word,a,speech,0.1,0.2\nu1,word,a,speech,0.3,0.2\n", r"mfa\.csv:3: no segment \(word speech from 0\.3 to 0\.2\)"),
        (f"{HEAD}u1,word,a,speech,nan,0.2\n", r"mfa\.csv:2: no segment"),
        (f"{HEAD}u1,word,a,speech,0.1,1e9\n", r"mfa\.csv:2: no segment \(word speech from 0\.1 to 1e9\)"),
        (f"{HEAD}u1,word,a,song,0.1,0.2\n", r"mfa\.csv:2: no segment"),
        (f"{HEAD}u1,verse,a,speech,0.1,0.2\n", r"mfa\.csv:2: no segment"),
    ],
)
def test_a_damaged_table_is_named_by_its_line(tmp_path: Path, content: bytes | str, where: str) -> None:
    path = alignment.save(MADE, tmp_path, "tiny")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CorpusError, match=where):
        alignment.load(tmp_path, "tiny", "mfa")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"about": "x", "without": {}}', '{"about": "x", "without": 1, "notes": {}}'])
def test_what_is_known_of_a_table_must_be_there_whole(tmp_path: Path, content: str) -> None:
    alignment.save(MADE, tmp_path, "tiny").with_suffix(".json").write_text(content)
    with pytest.raises(CorpusError, match=r"mfa\.json: missing or damaged .*; align again"):
        alignment.load(tmp_path, "tiny", "mfa")
