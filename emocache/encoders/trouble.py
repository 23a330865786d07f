"""What goes wrong with the Hub, said in one line with what to do about it."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emocache.encoders import snapshot
from emocache.encoders.catalogue import ENCODERS
from emocache.errors import EncoderError
from emocache.files import first_line

PASSING = (408, 429, 500, 502, 503, 504)
"""HTTP statuses that may be gone in a moment."""
FULL = (errno.ENOSPC, errno.EDQUOT)
TERMS = "accept its terms on its page on the Hub, run `hf auth login` here, then this again"


class HubUnreachable(EncoderError):
    """The Hub gives nothing now, and there is no local copy of what is wanted from it."""


def kinds() -> tuple[type[Exception], ...]:
    """What the Hub's client raises; its HTTP library was requests, then httpx, and newer releases bring their own."""
    from huggingface_hub.errors import HfHubHTTPError

    http = [kind for kind in HfHubHTTPError.__mro__ if kind.__name__ in {"HTTPError", "RequestException"}]
    return (OSError, ValueError, RuntimeError, *http)


def status(error: BaseException) -> int | None:
    """The HTTP status behind an error, if the Hub answered at all."""
    response = _response(error)
    return None if response is None else int(response.status_code)


def retry_after(error: BaseException) -> float:
    """Seconds that the Hub asks to wait; 0 when it does not say."""
    response = _response(error)
    said = "" if response is None else str(response.headers.get("Retry-After", ""))
    return float(said) if said.isdigit() else 0.0


def explained(repo: str, revision: str, error: Exception, cache: Path, storage: Path) -> EncoderError:
    """The error to raise instead. `cache` is the Hub's cache on this machine, `storage` the model's folder in it."""
    if (refusal := _refusal(repo, revision, error)) is not None:
        return EncoderError(f"{repo}: {refusal}")
    if any(getattr(one, "errno", None) in FULL for one in _causes(error)):
        return no_room(repo, cache, "the system says so")
    if isinstance(error, PermissionError):
        return EncoderError(f"{repo}: {cache} cannot be written; set $HF_HOME to a folder of yours")
    return HubUnreachable(f"{repo}: {_silence(error)}, and {_what_is_here(repo, revision, storage)}")


def no_room(repo: str, cache: Path, what: str) -> EncoderError:
    """The error for a full disk."""
    return EncoderError(
        f"{repo}: the disk is full at {cache} ({what}); free some space, or set $HF_HOME to a folder on another disk, "
        "and run this again: it goes on where it stopped"
    )


def _refusal(repo: str, revision: str, error: Exception) -> str | None:
    """What the Hub said no to, and what to do; the names of its errors are the same in every release of its client."""
    lines = {
        "GatedRepoError": f"is gated; {TERMS}",
        "RepositoryNotFoundError": f"no such model on the Hub{_near(repo)} (or a private one: run `hf auth login`)",
        "RevisionNotFoundError": f"has no revision {revision!r}; give a branch, a tag or a commit that its page on the Hub lists",
        401: "the Hub does not accept your token; run `hf auth login`, or unset $HF_TOKEN",
    }
    names = [kind.__name__ for kind in type(error).__mro__]
    return next((line for what, line in lines.items() if what in names or what == status(error)), None)


def _silence(error: Exception) -> str:
    """Why the Hub gives nothing now."""
    from huggingface_hub import constants

    code, asked = status(error), retry_after(error)
    if code == 429:
        return f"the Hub asks for patience (429{f', {asked:.0f} s' if asked else ''}); wait, or `hf auth login` for a higher limit"
    if code is not None:
        return f"the Hub refuses access ({code})" if code in (403, 407, 451) else f"the Hub is out of order ({code}); try again later"
    if constants.HF_HUB_OFFLINE:
        return "the Hub cannot be reached (HF_HUB_OFFLINE is set)"
    if "Consistency check failed" in str(error):
        return "a file was cut short on its way; run this again: it goes on where it stopped"
    if isinstance(error, ValueError):
        return f"what answers at {constants.ENDPOINT} is no Hub ({first_line(error)})"
    return f"the Hub cannot be reached ({first_line(_root(error))})"


def _what_is_here(repo: str, revision: str, storage: Path) -> str:
    """What of a model lies on this machine, and what to do."""
    asked = next((name for name, spec in ENCODERS.items() if (spec.repo, spec.revision) == (repo, revision)), None)
    asked = asked or (repo if revision == "main" else f"{repo}@{revision}")
    remedy = f"run `emocache fetch {asked}` where there is a network, or give a folder that holds it: --model ./folder"
    found = snapshot.local(storage, revision)
    if found is not None:
        return f"the local copy is unfinished ({snapshot.lacks(found)}); {remedy}"
    others = [path.name for path in snapshot.stored(storage) if snapshot.lacks(path) is None]
    other = f" (there is one of another version: --model {repo}@{others[-1][:12]})" if others else ""
    return f"there is no local copy{other}; {remedy}"


def _near(repo: str) -> str:
    """A named encoder that may be meant."""
    name = repo.split("/")[-1].lower()
    meant = [known for known, spec in ENCODERS.items() if name in (known, spec.repo.split("/")[-1].lower())]
    return f"; did you mean {meant[0]} ({ENCODERS[meant[0]].repo})?" if meant else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__


def _root(error: BaseException) -> BaseException:
    """What an error began with, such as the system's own word on a name that is not known."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error


def _response(error: BaseException) -> Any:
    """The Hub's answer behind an error."""
    return next((found for one in _causes(error) if (found := getattr(one, "response", None)) is not None), None)
