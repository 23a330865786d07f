"""Label schemes: what they merge, keep and leave out."""

import pytest

from emocache import labels
from emocache.errors import UsageError
from emocache.types import LeftOut, Utterance


def said(*emotions: str | None, kind: str = "improvised") -> list[Utterance]:
    return [Utterance(id=f"u{n}", path=f"u{n}.wav", emotion=emotion, extra={"kind": kind}) for n, emotion in enumerate(emotions)]


def classes(scheme: str, utterances: list[Utterance]) -> list[str | None]:
    return [utterance.emotion for utterance in labels.apply(scheme, utterances)[0]]


def test_excited_becomes_happy_and_frustrated_is_left_out() -> None:
    kept, left_out = labels.apply("iemocap-4", said("exc", "fru", "hap", "fru", "neu"))
    assert [utterance.emotion for utterance in kept] == ["hap", "hap", "neu"]
    assert labels.counted(left_out) == {"fru": 2}


def test_the_raw_label_stays_beside_the_class() -> None:
    kept, _ = labels.apply("iemocap-4", said("exc"))
    assert kept[0].label("raw_emotion") == "exc"
    assert kept[0].label("kind") == "improvised"


def test_a_raw_label_from_an_earlier_scheme_is_not_overwritten() -> None:
    once, _ = labels.apply("iemocap-4", said("exc"))
    twice, _ = labels.apply("as-is", once)
    assert twice[0].label("raw_emotion") == "exc"


def test_the_improvised_scheme_leaves_scripts_out() -> None:
    assert classes("iemocap-improvised", said("ang", "exc")) == ["ang"]
    kept, left_out = labels.apply("iemocap-improvised", said("ang", kind="scripted"))
    assert kept == []
    assert left_out == [LeftOut("u0", "ang", "kind is 'scripted', not 'improvised'")]


def test_as_is_keeps_every_label_and_none() -> None:
    kept, left_out = labels.apply("as-is", said("fru", None, "joie"))
    assert [utterance.emotion for utterance in kept] == ["fru", None, "joie"]
    assert left_out == []


def test_an_utterance_without_label_is_counted_where_it_is_left_out() -> None:
    left_out = labels.apply("iemocap-4", said(None, "ang"))[1]
    assert left_out == [LeftOut("u0", "", "no emotion")]
    assert labels.counted(left_out) == {"(no label)": 1}


def test_a_scheme_may_go_by_another_column_and_ties_are_left_out_by_name() -> None:
    voted = [Utterance(id=vote, path="a.wav", emotion="ang", extra={"voice_vote": vote}) for vote in ("S", "N:S", "A")]
    kept, left_out = labels.apply("cremad-voted", voted)
    assert [(u.emotion, u.label("raw_emotion")) for u in kept] == [("sad", "ang"), ("ang", "ang")]
    assert left_out == [LeftOut("N:S", "N:S", "voice_vote 'N:S' is no class of cremad-voted")]


def test_ravdess_has_four_of_eight_without_calm() -> None:
    assert classes("ravdess-4", said("neutral", "calm", "happy", "sad", "angry", "fearful")) == ["neu", "hap", "sad", "ang"]
    assert classes("ravdess-8", said("calm", "ang")) == ["calm"]


def test_every_scheme_says_what_it_is_about() -> None:
    assert all(scheme.about for scheme in labels.SCHEMES.values())
    assert all(scheme.keep_all != bool(scheme.merge) for scheme in labels.SCHEMES.values())


def test_an_unknown_scheme_is_answered_with_all_of_them() -> None:
    with pytest.raises(UsageError, match="no label scheme 'iemocap4'; there are: as-is, iemocap-4, iemocap-improvised"):
        labels.apply("iemocap4", [])


def test_differences_name_what_is_short_what_is_extra_and_nothing_else() -> None:
    found = labels.differences({"ang": 2, "sad": 3, "neu": 1}, {"ang": 2, "sad": 1, "joy": 4})
    assert found == ("joy: 4 utterances, expected 0", "neu: 0 utterances, expected 1", "sad: 1 utterances, expected 3")


def test_equal_counts_do_not_differ() -> None:
    assert labels.differences({"ang": 2}, {"ang": 2}) == ()
