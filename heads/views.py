"""Views of utterances (column `parent`): made from others by a voice or a translation, so that whoever is tested may hide in them.

A view is never validated on or tested. It goes with the utterance that it shows, into training or nowhere: as one more utterance to
learn from, or as a partner that a head draws beside its original. A view that speaks with somebody's voice (column `voice`,
a speaker's name; without it that of the view that it is made of) goes nowhere when that person is tested, or validates without
being trained on; nor does one whose own speaker is such a person, and another than its original's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from emocache.errors import ProtocolError
from emocache.types import Utterance
from heads.protocols import Fold

VOICE = "voice"
"""Column of the manifest that says whose voice a view has."""


def originals(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Those that are no views of others among them."""
    ids = {one.id for one in utterances}
    return [one for one in utterances if one.parent not in ids]


def with_views(fold: Fold, by_id: Mapping[str, Utterance], *, partners: bool) -> Fold:
    """The fold of originals with every view in its place: in `views` beside its original as `partners`, else in the training part."""
    found = [one for one in by_id.values() if one.parent in by_id]
    if not found:
        return fold
    train, hidden = {*fold.train}, held_out_voices(fold, by_id)
    shown = {view.id: root(view, by_id) for view in found}
    kept = sorted(view.id for view in found if shown[view.id] in train and not heard(view, by_id) & hidden)
    unused = tuple(sorted((*fold.unused, *({*shown} - {*kept}))))
    if partners:
        return replace(fold, views=tuple((name, shown[name]) for name in kept), unused=unused)
    return replace(fold, train=tuple(sorted((*fold.train, *kept))), unused=unused)


def held_out_voices(fold: Fold, by_id: Mapping[str, Utterance]) -> set[str]:
    """The speakers that a view of this fold must not sound like."""
    train, validation, test = ({by_id[name].speaker or "" for name in part} for part in (fold.train, fold.validation, fold.test))
    return (test | (validation - train)) - {""}


def dropped(fold: Fold, by_id: Mapping[str, Utterance]) -> list[str]:
    """Views of what is trained on that are left out for their voice."""
    hidden, train = held_out_voices(fold, by_id), {*fold.train}
    found = [by_id[name] for name in fold.unused if by_id[name].parent in by_id]
    return [view.id for view in found if heard(view, by_id) & hidden and root(view, by_id) in train]


def notes(folds: Sequence[Fold], by_id: Mapping[str, Utterance]) -> Iterator[str]:
    """What a reader of the result must know of views: fold by fold, and of voices that no fold can hold out."""
    for fold in folds:
        if left := dropped(fold, by_id):
            yield f"fold {fold.name}: {len(left)} views left out, first {left[0]}: they have the voice of somebody who is held out"
        if fold.views:
            shown = len({parent for _, parent in fold.views})
            yield f"fold {fold.name}: {shown} of {len(fold.train)} training utterances have views, {len(fold.views)} in all"
    speakers = {one.speaker for one in by_id.values()}
    if strange := [one for one in by_id.values() if one.parent in by_id and heard(one, by_id) - speakers]:
        name = min(heard(strange[0], by_id) - speakers)
        yield f"{len(strange)} views have the voice of no speaker here, first {strange[0].id} ({name!r}), so no fold leaves them out for it"


def heard(view: Utterance, by_id: Mapping[str, Utterance]) -> set[str]:
    """Whom a view may sound like: the voice named nearest on the way to its original, and its speaker where that is another's."""
    *made, original = way(view, by_id)
    voices = [one.extra[VOICE] for one in made if one.extra.get(VOICE)][:1]
    return {*voices, view.speaker or ""} - {"", *({original.speaker or ""} - {*voices})}


def complete(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Those whose original is among them, or who are one: what becomes of other views nobody could say."""
    by_id = {one.id: one for one in utterances}
    return [one for one in utterances if not way(one, by_id)[-1].parent]


def root(view: Utterance, by_id: Mapping[str, Utterance]) -> str:
    """The utterance that a view, or a view of a view, shows."""
    return way(view, by_id)[-1].id


def way(view: Utterance, by_id: Mapping[str, Utterance]) -> list[Utterance]:
    """From a view to its original, by what it is a view of; ProtocolError where that goes round in a circle."""
    found = [view]
    while (parent := by_id.get(found[-1].parent or "")) is not None:
        if parent in found:
            raise ProtocolError(f"{view.id}: is a view of itself, by column parent; mend the manifest")
        found.append(parent)
    return found
