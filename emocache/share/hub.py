"""A repository on the Hugging Face Hub as the place of a shared cache; by way of huggingface_hub, with its login.

A push is one commit, so objects, version and `latest` arrive together; large files are uploaded before it, and those that the
Hub has already are not sent again. hf://OWNER/NAME is a data set repository; hf://models/OWNER/NAME one of models. What no push
called @REVISION may be a branch, tag or commit of the repository: then that state of it is read.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from emocache.encoders import trouble
from emocache.errors import ShareError
from emocache.share.address import told
from emocache.share.place import Missing, Passing
from emocache.share.web import Web


class Repository:
    """Files of a repository, as they are at one commit."""

    def __init__(self, url: str, revision: str = "main") -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars, logging

        logging.set_verbosity_error()  # what goes wrong is said once, by us, and there is one bar
        disable_progress_bars()
        kind, slash, repo = url.removeprefix("hf://").partition("/")
        self.shown = url
        self._url, self._revision = url, revision
        self._type, self._repo = (kind[:-1], repo) if slash and "/" in repo else ("dataset", f"{kind}/{repo}")
        self._api: Any = HfApi()
        self._waiting: dict[str, Any] = {}
        self._lock = threading.Lock()

    def at(self, version: str) -> "Repository":
        """The repository at a branch, tag or commit."""
        return Repository(self._url, version)

    def stream(self, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes of a file at the commit that the revision was when first asked for."""
        return self._web.stream(name, start, stop)

    def objects(self) -> Mapping[str, int]:
        """Every object by its name."""
        try:
            entries = list(self._api.list_repo_tree(self._repo, "objects", recursive=True, repo_type=self._type, revision=self._revision))
        except trouble.kinds() as error:
            if type(error).__name__ in {"EntryNotFoundError", "RemoteEntryNotFoundError"}:
                return {}
            if type(error).__name__ != "RepositoryNotFoundError":
                raise self._explained(error) from None
            self._make()
            return {}
        return {one.path: int(one.size) for one in entries if hasattr(one, "size")}

    def send(self, name: str, data: Path | bytes) -> None:
        """Upload a file that the coming commit will have."""
        from huggingface_hub import CommitOperationAdd

        operation = CommitOperationAdd(name, str(data) if isinstance(data, Path) else data)
        try:
            self._api.preupload_lfs_files(self._repo, [operation], repo_type=self._type, num_threads=1)
        except trouble.kinds() as error:
            raise self._explained(error) from None
        with self._lock:
            self._waiting[name] = operation

    def create(self, name: str, data: bytes) -> bool:
        """A new file for the coming commit; False where the repository has one."""
        if self.tagged(name)[0] is not None:
            return False
        self.write(name, data)
        return True

    def write(self, name: str, data: bytes) -> None:
        """A file for the coming commit."""
        from huggingface_hub import CommitOperationAdd

        self._waiting[name] = CommitOperationAdd(name, data)

    def tagged(self, name: str) -> tuple[bytes | None, object]:
        """A file, and the commit that the repository is at."""
        commit = self._commit()
        try:
            return b"".join(self._at(commit).stream(name, 0, None)), commit
        except Missing:
            return None, commit

    def swap(self, name: str, data: bytes, tag: object) -> bool:
        """Make the commit, on the condition that none was made since."""
        self.write(name, data)
        try:
            self._api.create_commit(
                self._repo, list(self._waiting.values()), commit_message="emocache push", repo_type=self._type, parent_commit=tag
            )
        except trouble.kinds() as error:
            if trouble.status(error) in {409, 412}:
                return False
            raise self._explained(error) from None
        self._waiting.clear()
        return True

    def name_state(self, version: str) -> None:
        """Give the commit that was made the version as a tag, for people; what is read does not depend on it."""
        with contextlib.suppress(*trouble.kinds()):
            self._api.create_tag(self._repo, tag=version, repo_type=self._type, exist_ok=True)

    @cached_property
    def _web(self) -> Web:
        return self._at(self._commit())

    def _at(self, commit: str) -> Web:
        """The files of one commit."""
        from huggingface_hub import constants
        from huggingface_hub.utils import build_hf_headers

        folder = {"model": "", "dataset": "datasets/", "space": "spaces/"}[self._type]
        web = Web(f"{constants.ENDPOINT}/{folder}{self._repo}/resolve/{commit}", build_hf_headers)
        web.shown = self.shown
        return web

    def _commit(self) -> str:
        """The commit that the revision is now."""
        try:
            return str(self._api.repo_info(self._repo, revision=self._revision, repo_type=self._type, timeout=10.0).sha)
        except trouble.kinds() as error:
            raise self._explained(error) from None

    def _make(self) -> None:
        """Make the repository; a new one is private until its owner opens it on its page."""
        try:
            self._api.create_repo(self._repo, repo_type=self._type, private=True, exist_ok=True)
        except trouble.kinds() as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> ShareError:
        """What to say of an error of the client."""
        from huggingface_hub import constants

        code, kind = trouble.status(error), type(error).__name__
        if kind in {"RepositoryNotFoundError", "RevisionNotFoundError"}:
            what = f"no such repository, or none with revision {self._revision!r}"
            return Missing(f"{self.shown}: the Hub has {what}; if it is private, run `hf auth login`")
        if code in {401, 403} or kind == "GatedRepoError":
            return ShareError(f"{self.shown}: the Hub refuses ({code}); run `hf auth login` with a token that may do this")
        if constants.HF_HUB_OFFLINE:
            return ShareError(f"{self.shown}: the Hub is not asked, since HF_HUB_OFFLINE is set")
        kind_ = Passing if code is None or code in trouble.PASSING else ShareError
        return kind_(f"{self.shown}: the Hub gives nothing now ({told(error)})")
