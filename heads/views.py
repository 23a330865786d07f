"""Views of utterances (column `parent`): made from others by a voice or a translation, so that whoever is tested may hide in them.

A view is never validated on or tested. It goes with the utterance that it shows, into training or nowhere: as one more utterance to
learn from, or as a partner that a head draws beside its original. A view that speaks with somebody's voice (column `voice`,
a speaker's name) goes nowhere when that person is tested, or validates without being trained on.
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
    kept = sorted(view.id for view in found if shown[view.id] in train and view.extra.get(VOICE) not in hidden)
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
    return [view.id for view in found if view.extra.get(VOICE) in hidden and root(view, by_id) in train]


def notes(folds: Sequence[Fold], by_id: Mapping[str, Utterance]) -> Iterator[str]:
    """What a reader of the result must know of views, fold by fold."""
    for fold in folds:
        if left := dropped(fold, by_id):
            yield f"fold {fold.name}: {len(left)} views left out, first {left[0]}: they have the voice of somebody who is held out"
        if fold.views:
            shown = len({parent for _, parent in fold.views})
            yield f"fold {fold.name}: {shown} of {len(fold.train)} training utterances have views, {len(fold.views)} in all"


def root(view: Utterance, by_id: Mapping[str, Utterance]) -> str:
    """The utterance that a view, or a view of a view, shows; ProtocolError where they go round in a circle."""
    seen = [view.id]
    while (parent := by_id[seen[-1]].parent) in by_id:
        if parent in seen:
            raise ProtocolError(f"{view.id}: is a view of itself, by column parent; mend the manifest")
        seen.append(str(parent))
    return seen[-1]
