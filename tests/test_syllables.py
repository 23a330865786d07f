"""Syllables by maximal onset."""

import pytest

from emocache.syllables import ONSETS, VOWELS, syllables

SPLIT = {
    "K IH D Z": "K_IH_D_Z",
    "T AO K IH NG": "T_AO K_IH_NG",
    "EH K S T R AH": "EH_K S_T_R_AH",
    "S IH NG IH NG": "S_IH_NG IH_NG",
    "K IY AA T IH K": "K_IY AA T_IH_K",
    "AH P AA IH N T M AH N T": "AH P_AA IH_N_T M_AH_N_T",
    "L AE N D L AO R D": "L_AE_N_D L_AO_R_D",
    "HH M": "HH_M",
    "S": "S",
    "K0 AH0 M P Y UW1 T ER0": "K0_AH0_M P_Y_UW1 T_ER0",
}


@pytest.mark.parametrize("phones", SPLIT)
def test_consonants_go_with_the_next_vowel_as_far_as_a_word_could_begin_so(phones: str) -> None:
    assert " ".join("_".join(syllable) for syllable in syllables(phones.split())) == SPLIT[phones]


@pytest.mark.parametrize("phones", SPLIT)
def test_no_phone_is_lost_and_every_syllable_has_one_vowel_at_most(phones: str) -> None:
    found = syllables(phones.split())
    assert [phone for syllable in found for phone in syllable] == phones.split()
    assert all(sum(phone.rstrip("012") in VOWELS for phone in syllable) <= 1 for syllable in found)


def test_no_onset_holds_a_vowel() -> None:
    assert not any(set(onset) & VOWELS for onset in ONSETS)
