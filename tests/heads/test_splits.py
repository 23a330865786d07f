"""Protocols: who is trained on and who is tested, and which experiments are refused."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from emocache.errors import ProtocolError, UsageError
from emocache.types import Utterance
from heads import splits
from heads.splits import PROTOCOLS, Fold, split
from tests.heads.toy import EMOTIONS, utterances

MEMBERS = utterances()
BY_ID = {u.id: u for u in MEMBERS}


def column(name: str, ids: tuple[str, ...]) -> set[str | None]:
    return {BY_ID[i].label(name) for i in ids}


@pytest.mark.parametrize(("protocol", "name"), [("loso", "session"), ("lopo", "speaker"), ("given", "fold")])
def test_each_group_is_tested_once_and_never_trained_on_there(protocol: str, name: str) -> None:
    folds = split(protocol, MEMBERS)
    assert [column(name, fold.test) for fold in folds] == [{value} for value in sorted({u.label(name) or "" for u in MEMBERS})]
    assert not any(column(name, fold.test) & column(name, fold.train + fold.validation) for fold in folds)


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if "emotionnas" not in name])
def test_each_fold_of_a_protocol_that_draws_validation_has_some_of_every_class(protocol: str) -> None:
    for fold in split(protocol, MEMBERS, k=3):
        assert column("emotion", fold.validation) == set(EMOTIONS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_parts_of_a_fold_are_the_whole_corpus_without_overlap(protocol: str) -> None:
    for fold in split(protocol, MEMBERS, k=3):
        assert sorted(fold.train + fold.validation + fold.test) == sorted(BY_ID)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_order_of_the_manifest_does_not_matter(protocol: str) -> None:
    shuffled = random.Random(3).sample(MEMBERS, len(MEMBERS))
    assert split(protocol, shuffled, k=3, seed=1) == split(protocol, MEMBERS, k=3, seed=1)


def test_speaker_folds_keep_speakers_whole_and_sizes_even() -> None:
    uneven = [u for u in MEMBERS if u.speaker == "s2" or (u.speaker in {"s0", "s1"} and u.id.endswith(("0", "1", "2")))]
    folds = split("speaker-folds", uneven, k=2)
    assert [column("speaker", fold.test) for fold in folds] == [{"s2"}, {"s0", "s1"}]
    assert [len(fold.test) for fold in folds] == [18, 18]


def test_groups_are_numbered_as_people_count() -> None:
    renamed = [replace(u, speaker=f"Actor_{int((u.speaker or '')[1:]) + 7}") for u in MEMBERS]
    assert [fold.name for fold in split("lopo", renamed)] == [f"Actor_{i}" for i in range(7, 13)]


def test_validation_is_a_tenth_of_each_class_of_the_training_part() -> None:
    for fold in split("loso", MEMBERS):
        assert Counter(BY_ID[i].emotion for i in fold.validation) == dict.fromkeys(EMOTIONS, 2)  # of 24 each


def test_validation_is_drawn_by_seed_and_the_test_part_is_not() -> None:
    one, other, again = split("loso", MEMBERS, seed=0), split("loso", MEMBERS, seed=1), split("loso", MEMBERS, seed=0)
    assert one == again
    assert [fold.validation for fold in one] != [fold.validation for fold in other]
    assert [fold.test for fold in one] == [fold.test for fold in other]


def test_a_held_out_speaker_validates_alone() -> None:
    for fold in split("loso", MEMBERS, validation="speaker"):
        assert len(column("speaker", fold.validation)) == 1
        assert not column("speaker", fold.validation) & column("speaker", fold.train)


def test_a_corpus_with_a_split_column_keeps_its_own_parts() -> None:
    parts = {"s0": "Train", "s1": "train", "s2": "TRAIN", "s3": "dev", "s4": "test", "s5": "test"}
    members = [replace(u, fold=None, split=parts[u.speaker or ""]) for u in MEMBERS]
    (fold,) = split("given", members)
    found = [column("speaker", ids) for ids in (fold.train, fold.validation, fold.test)]
    assert found == [{"s0", "s1", "s2"}, {"s3"}, {"s4", "s5"}]
    assert splits.validation_rule("given", members, "speaker") == "given"


def test_a_split_without_validation_draws_it_from_the_training_part() -> None:
    members = [replace(u, fold=None, split="test" if u.speaker == "s5" else "train") for u in MEMBERS]
    (fold,) = split("given", members)
    assert fold.validation
    assert splits.validation_rule("given", members, "speaker") == "speaker"
    assert column("speaker", fold.test) == {"s5"}


IEMOCAP = {"1F": 528, "1M": 557, "2F": 481, "2M": 542, "3F": 522, "3M": 629, "4F": 528, "4M": 503, "5F": 590, "5M": 651}
"""Speakers of the four-class set -> utterances."""
SESSIONS = (1085, 1023, 1151, 1031, 1241)


@pytest.fixture(scope="module")
def iemocap() -> tuple[Utterance, ...]:
    """As many ids as IEMOCAP has; a dialogue's prefix names the other speaker in every second turn, as it does there."""
    return tuple(
        Utterance(
            id=f"Ses0{speaker[0]}{'FM'[i % 2]}_impro01_{speaker[1]}{i:03d}", path="", emotion=EMOTIONS[i % 3],
            speaker=f"Ses0{speaker}", session=f"Ses0{speaker[0]}",
        )
        for speaker, count in IEMOCAP.items()
        for i in range(count)
    )  # fmt: skip


def test_the_folds_of_iemocap_have_the_known_sizes(iemocap: tuple[Utterance, ...]) -> None:
    assert len(iemocap) == 5531
    assert tuple(len(fold.test) for fold in split("loso", iemocap)) == SESSIONS
    assert [len(fold.test) for fold in split("lopo", iemocap)] == list(IEMOCAP.values())
    assert [len(fold.test) for fold in split("ra", iemocap)] == [553] * 10
    assert [len(fold.test) for fold in split("random-80-20", iemocap)] == [1106]


def test_emotionnas_takes_eight_speakers_one_and_one(iemocap: tuple[Utterance, ...]) -> None:
    speaker = {u.id: u.speaker for u in iemocap}
    for protocol, validates in (("emotionnas", "F"), ("emotionnas-swap", "M")):
        for number, fold in enumerate(split(protocol, iemocap, seed=3), start=1):
            tests = "M" if validates == "F" else "F"
            assert len({speaker[i] for i in fold.train}) == 8
            assert {speaker[i] for i in fold.validation} == {f"Ses0{number}{validates}"}
            assert {speaker[i] for i in fold.test} == {f"Ses0{number}{tests}"}
            assert len(fold.validation) == IEMOCAP[f"{number}{validates}"]
    both = split("emotionnas-both", iemocap)
    assert [fold.name for fold in both] == [f"Ses0{n}-Ses0{n}{g}" for n in range(1, 6) for g in "MF"]
    assert sorted(i for fold in both for i in fold.test) == sorted(speaker)
    assert splits.validation_rule("emotionnas", iemocap, "random") == "given"


def test_the_shuffles_of_ra_differ_from_each_other_and_not_from_seed_to_seed() -> None:
    tests = [fold.test for fold in split("ra", MEMBERS)]
    assert len(set(tests)) == 10
    assert [fold.test for fold in split("ra", MEMBERS, seed=4)] == tests


def test_the_fifth_of_random_80_20_is_drawn_by_seed() -> None:
    (one,), (other,), (again,) = (split("random-80-20", MEMBERS, seed=seed) for seed in (0, 1, 0))
    assert one == again
    assert one.test != other.test
    assert len(one.test) == len(MEMBERS) // 5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_lets_speakers_cross_says_so(protocol: str) -> None:
    crosses = any(column("speaker", fold.test) & column("speaker", fold.train) for fold in split(protocol, MEMBERS, k=3))
    assert crosses == PROTOCOLS[protocol].speakers_cross == ("speakers are on both sides" in PROTOCOLS[protocol].about)


PODCAST = {"s0": "train", "s1": "train", "s2": "train", "s3": "dev", "s4": "test1", "s5": "test2"}


def test_of_two_test_parts_one_is_chosen_and_the_other_is_kept_by_name() -> None:
    members = [replace(u, fold=None, split=PODCAST[u.speaker or ""]) for u in MEMBERS]
    (fold,) = split("given", members, test_split="test1")
    assert (fold.name, column("speaker", fold.test), column("speaker", fold.unused)) == ("test1", {"s4"}, {"s5"})
    with pytest.raises(UsageError, match="the test parts test1, test2; say which with --test-split"):
        split("given", members)
    with pytest.raises(UsageError, match="--test-split test3: no such test part; there are: test1, test2"):
        split("given", members, test_split="test3")
    with pytest.raises(UsageError, match="--test-split goes with the protocol given alone, not with loso"):
        split("loso", members, test_split="test1")
    with pytest.raises(UsageError, match="the manifest has folds"):
        split("given", MEMBERS, test_split="test1")


def test_selection_on_test_draws_nothing_and_the_fold_says_so() -> None:
    for fold, honest in zip(split("loso", MEMBERS, select="test"), split("loso", MEMBERS), strict=True):
        assert fold.selected_on_test
        assert not honest.selected_on_test
        assert fold.validation == fold.test == honest.test
        assert fold.train == tuple(sorted((*honest.train, *honest.validation)))


def test_selection_on_test_leaves_a_validation_part_of_the_corpus_s_own_unused() -> None:
    members = [replace(u, fold=None, split=PODCAST[u.speaker or ""]) for u in MEMBERS]
    (fold,) = split("given", members, test_split="test1", select="test")
    assert column("speaker", fold.unused) == {"s3", "s5"}
    assert column("speaker", fold.train) == {"s0", "s1", "s2"}


def test_a_fold_that_is_selected_on_test_does_not_count_its_own_text_as_shared() -> None:
    members = [replace(u, transcript=u.id) for u in MEMBERS]
    assert splits.text_overlap(split("loso", members, select="test"), members).shared == 0


def without(**fields: str | None) -> list[Utterance]:
    return [replace(u, **fields) for u in MEMBERS]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "members", "message"),
    [
        ("loso", without(session=None), "column session is empty for 108 of 108"),
        ("loso", [*without()[1:], replace(MEMBERS[0], session=None)], "column session is empty for 1 of 108 utterances, first s0-ang-0"),
        ("loso", without(session="one"), "one value alone"),
        ("lopo", without(speaker="one"), "one value alone"),
        ("given", without(fold=None), "neither a fold nor a split"),
        ("given", without(fold=None, split="holdout"), "holds 'holdout' for 108 utterances"),
        ("given", without(fold=None, split="test"), "no utterance in its train part"),
        ("loso", without(speaker="one"), "1 speakers are in both training and test, first one"),
        ("loso", [u for u in MEMBERS if u.emotion != "hap" or u.session == "Ses2"], "fold Ses2: no training utterance of class hap"),
        ("given", without(fold=None, split="train"), "no utterance in its test part"),
        ("emotionnas", without(session="one"), "emotionnas needs 2 sessions or more, there is one alone"),
        ("emotionnas", [u for u in MEMBERS if u.speaker != "s1"], "two speakers in each session, Ses1 has 1"),
        ("emotionnas", without(speaker=None), "column speaker is empty"),
        ("ra", MEMBERS[:9], "9 utterances cannot give one of 10 to a test part"),
        ("lopo", [u for u in MEMBERS if u.emotion != "hap" or u.speaker == "s2"], "fold s2: no training utterance of class hap"),
        ("speaker-folds", [u for u in MEMBERS if u.speaker in {"s0", "s1"}], "5 speaker-disjoint folds need 5 speakers, there are 2"),
    ],
)  # fmt: skip
def test_what_would_not_be_honest_is_refused(protocol: str, members: list[Utterance], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        split(protocol, members)


def test_given_folds_may_share_speakers_only_when_told() -> None:
    shared = [replace(u, fold=u.id[-1]) for u in MEMBERS]
    with pytest.raises(ProtocolError, match=r"speakers are in both training and test.*--allow-speaker-overlap"):
        split("given", shared)
    assert len(split("given", shared, allow_speaker_overlap=True)) == 6
    with pytest.raises(UsageError, match="goes with the protocol given alone"):
        split("loso", shared, allow_speaker_overlap=True)


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("validation", "test"), ("train", "validation")])
def test_an_utterance_in_two_parts_is_refused(one: str, other: str) -> None:
    parts = {"train": ("s0-ang-0",), "validation": ("s0-ang-1",), "test": ("s2-ang-0",)} | {one: ("s4-sad-0",), other: ("s4-sad-0",)}
    with pytest.raises(ProtocolError, match=f"1 utterances are in both {one} and {other}, first s4-sad-0"):
        splits.check(Fold(name="x", **parts), BY_ID)


def test_an_unknown_protocol_lists_them_all() -> None:
    with pytest.raises(UsageError, match=r"no protocol 'losso'; there are: loso, lopo, speaker-folds, given, ra, random-80-20, emotionnas"):
        split("losso", MEMBERS)


def test_scripted_text_on_both_sides_is_counted() -> None:
    members = [replace(u, transcript="kids, talking" if u.speaker == "s0" else "Kids talking.") for u in MEMBERS]
    members[:2] = [replace(members[0], transcript="Alone!"), replace(members[1], transcript=None)]
    overlap = splits.text_overlap(split("lopo", members), members)
    assert (overlap.known, overlap.shared) == (107, 106)


def test_a_text_that_is_trained_on_in_a_view_alone_is_counted_too() -> None:
    of = [replace(u, transcript=u.id) for u in MEMBERS]
    copied = replace(of[-1], id="view", parent=of[-1].id, transcript=of[0].id)
    for partners in (True, False):
        folds = [fold for fold in split("loso", [*of, copied], partners=partners) if of[0].id in fold.test]
        assert splits.text_overlap(folds, [*of, copied]).shared == int(any(of[-1].id in fold.train for fold in folds)) == 1


@pytest.mark.parametrize("protocol", ["loso", "ra", "random-80-20", "speaker-folds"])
@pytest.mark.parametrize("select", ["validation", "test"])
def test_a_view_is_trained_on_with_what_it_shows_and_is_nowhere_else(protocol: str, select: str) -> None:
    originals = utterances()
    views = [replace(u, id=f"{u.id}-view", parent=u.id) for u in originals]
    again = [replace(u, id=f"{u.id}-view-view", parent=f"{u.id}-view") for u in originals[:5]]
    for fold in split(protocol, [*views, *originals, *again], select=select, k=3):
        train = {*fold.train}
        shown = {name for name in train if "-view" not in name}
        assert {name.split("-view")[0] for name in train} == shown
        assert {f"{name}-view" for name in shown} <= train
        assert not any("-view" in name for name in (*fold.validation, *fold.test))


def test_a_view_of_itself_is_refused() -> None:
    originals = utterances()
    ring = [replace(originals[0], id="a", parent="b"), replace(originals[0], id="b", parent="a")]
    with pytest.raises(ProtocolError, match="a: is a view of itself"):
        split("loso", [*originals, *ring])
