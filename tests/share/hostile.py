"""Shared caches that are broken or mean harm: each is a function that makes one out of a sound one, in a folder."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from emocache.share.format import object_path
from emocache.share.pack import packed, unpacked
from emocache.store.layout import to_json
from emocache.store.seal import SEALED, sealed

Change = Callable[[Path], None]
ESCAPE = "\x1b]0;owned\x07"


def read(path: Path) -> dict[str, Any]:
    """A sealed file without its seal."""
    return {name: value for name, value in json.loads(path.read_text()).items() if name != SEALED}


def put(remote: Path, data: bytes) -> dict[str, Any]:
    """An object, and how a version names it."""
    digest = hashlib.sha256(data).hexdigest()
    path = remote / object_path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"sha256": digest, "size": len(data)}


def version(remote: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the version, with a seal and an entry in `latest` that fit."""
    path = remote / "versions/v1.json"
    found = read(path)
    change(found)
    publish(remote, sealed(to_json(found)).encode(), found.get("features"))


def publish(remote: Path, data: bytes, features: object = None) -> None:
    """Put these bytes in the place of the version, and have `latest` agree."""
    (remote / "versions/v1.json").write_bytes(data)
    latest = read(remote / "latest.json")
    latest["versions"]["v1"] = hashlib.sha256(data).hexdigest()
    latest["features"] = dict.fromkeys(features, "v1") if isinstance(features, dict) else latest["features"]
    (remote / "latest.json").write_text(sealed(to_json(latest)))


def renamed(name: str) -> Change:
    """The feature set has another name."""
    return lambda remote: version(remote, lambda found: found.update(features={name: found["features"]["corpus/toy"]}))


def added(name: str) -> Change:
    """There is one more feature set."""
    return lambda remote: version(remote, lambda found: found["features"].update({name: found["features"]["corpus/toy"]}))


def said(field: str, value: object) -> Change:
    """The pack is said to have another size or digest."""
    return lambda remote: version(remote, lambda found: found["features"]["corpus/toy"]["pack"].update({field: value}))


def half_a_letter(remote: Path) -> None:
    """A text of the card is half of a pair of UTF-16, which JSON can say and UTF-8 cannot."""
    found = read(remote / "versions/v1.json")
    found["card"]["corpora"][0]["licence"] = "\ud800"
    publish(remote, sealed(json.dumps(found, indent=1, sort_keys=True) + "\n").encode(), found["features"])


def corpus_json(data: bytes) -> Change:
    """The corpus.json of the corpus is something else."""

    def make(remote: Path) -> None:
        one = put(remote, data)
        version(remote, lambda found: found["corpora"]["corpus"].update({"corpus.json": one}))

    return make


def files(remote: Path) -> dict[str, bytes]:
    """The files of the pack."""
    one = read(next((remote / "versions").iterdir()))["features"]["corpus/toy"]["pack"]["sha256"]
    return unpacked((remote / object_path(one)).read_bytes(), "")


def repacked(remote: Path, data: bytes) -> None:
    """Another pack."""
    one = put(remote, data)
    version(remote, lambda found: found["features"]["corpus/toy"].update(pack=one))


def file(name: str, data: bytes) -> Change:
    """The pack holds another file, or one with other bytes; checksums beside it fit."""

    def change(remote: Path) -> None:
        there = files(remote) | {name: data}
        folder = name.rpartition("/")[0]
        if name.endswith(".npy") and f"{folder}/sha256.json" in there:
            sums = {key: value for key, value in json.loads(there[f"{folder}/sha256.json"]).items() if key != SEALED}
            sums[name.rpartition("/")[2]] = hashlib.sha256(data).hexdigest()
            there[f"{folder}/sha256.json"] = sealed(to_json(sums)).encode()
        repacked(remote, packed(there))

    return change


def entry(change: Callable[[dict[str, Any]], None]) -> Change:
    """The first commit entry says something else, under a seal that fits."""

    def make(remote: Path) -> None:
        there = files(remote)
        found = {name: value for name, value in json.loads(there["commits/0/0.json"]).items() if name != SEALED}
        change(found)
        repacked(remote, packed(there | {"commits/0/0.json": sealed(to_json(found)).encode()}))

    return make


def card(change: Callable[[dict[str, Any]], None]) -> Change:
    """The card of the feature set says something else, under a seal that fits."""

    def make(remote: Path) -> None:
        there = files(remote)
        found = {name: value for name, value in json.loads(there["card.json"]).items() if name != SEALED}
        change(found)
        repacked(remote, packed(there | {"card.json": sealed(to_json(found)).encode()}))

    return make


def corpus(text: str) -> Change:
    """The manifest of the corpus is another text."""

    def make(remote: Path) -> None:
        one = put(remote, text.encode())
        version(remote, lambda found: found["corpora"]["corpus"].update({"manifest.csv": one}))

    return make


def shard(change: Callable[[Path], None]) -> Change:
    """Something is done to the file of a shard."""

    def make(remote: Path) -> None:
        about = json.loads(files(remote)["commits/0/0.json"])["arrays"]["frames/0"]["sha256"]
        change(remote / object_path(next(iter(about.values()))))

    return make


def swapped(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Something else lies in the place of a file."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def npy(values: np.ndarray) -> bytes:
    """An array as a file, pickled where it holds objects."""
    sink = io.BytesIO()
    np.save(sink, values, allow_pickle=True)
    return sink.getvalue()


def huge(path: Path) -> None:
    """A file of 100 MB that takes no room."""
    with path.open("wb") as sink:
        sink.truncate(100_000_000)


def first(value: str) -> Callable[[dict[str, Any]], None]:
    """The SHA-256 of a shard is some other text."""
    return lambda found: found["arrays"]["frames/0"]["sha256"].update(dict.fromkeys(found["arrays"]["frames/0"]["sha256"], value))


REMOTES: dict[str, Change] = {
    "latest.json is no JSON": lambda remote: (remote / "latest.json").write_text("<html>") and None,
    "latest.json is cut short": lambda remote: (remote / "latest.json").write_bytes((remote / "latest.json").read_bytes()[:-40]) and None,
    "latest.json is nested 100,000 deep": lambda remote: (remote / "latest.json").write_text("[" * 100_000) and None,
    "latest.json has 100 MB": lambda remote: huge(remote / "latest.json"),
    "latest.json is missing": lambda remote: (remote / "latest.json").unlink(),
    "the version was changed later": lambda remote: (remote / "versions/v1.json").write_bytes(b"{}") and None,
    "a name stands twice in the version": lambda remote: publish(remote, b'{"format": 1, "format": 1}\n'),
    "a format to come": lambda remote: version(remote, lambda found: found.update(format=99)),
    "a name that leaves the cache": renamed("../../toy"),
    "an absolute name": renamed("/etc/toy"),
    "a name with a drive letter": renamed("C:\\corpus/toy"),
    "a hidden name": renamed("corpus/.toy"),
    "a name with control characters": renamed(f"corpus/toy{ESCAPE}"),
    "a name beyond ASCII (two ways to write it)": added("corpus/to\u0301y"),
    "names that differ in capitals": added("corpus/Toy"),
    "a negative size": said("size", -1),
    "a size that is no whole number": said("size", 1e3),
    "a size of 500 petabytes": said("size", 1 << 59),
    "a digest that is a path": said("sha256", "../" * 21 + "x"),
    "a pack of other bytes": said("sha256", "0" * 64),
    "a pack with a file outside": file("../../../x.json", b"{}"),
    "a pack with a file that none has": file("claims/use.lock", b""),
    "a pack whose sizes do not add up": lambda remote: repacked(remote, b'[["card.json", 1000000]]\nx'),
    "a pickle in the plan": file("plan/0/ids.npy", npy(np.array([print, print], object))),
    "rows before the first one": file("plan/0/frames/start.npy", npy(np.full(14, -(1 << 40)))),
    "utterances longer than a shard": file("plan/0/frames/length.npy", npy(np.full(14, 2**31 - 1, np.int32))),
    "ids with control characters": file("plan/0/ids.npy", npy(np.array([f"{ESCAPE}{i}".encode() for i in range(14)]))),
    "a shard whose digest is a path": entry(first("../../../../../../../etc/passwd")),
    "a failure with control characters": entry(lambda found: found.update(failures={"u12": ESCAPE})),
    "a card with rows of no width": card(lambda found: found.update(dims={"frames": 0, "utterance": -8})),
    "a card with control characters": card(lambda found: found.update(origin=ESCAPE)),
    "a manifest with files outside": corpus("utterance_id,path,emotion\nu0,../../../etc/passwd,sad\n"),
    "a manifest with control characters": corpus(f"utterance_id,path,emotion\nu0,,{ESCAPE}\n"),
    "a manifest with what its card does not tell of": corpus("utterance_id,path,emotion,transcript\nu0,,sad,secret\n"),
    "a manifest with a column that its card does not tell of": corpus("utterance_id,path,emotion,words\nu0,,sad,secret\n"),
    "a corpus.json that is nested 100,000 deep": corpus_json(b"[" * 100_000),
    "half a letter in the card": half_a_letter,
    "a shard of other bytes": shard(lambda path: path.write_bytes(bytes(path.stat().st_size)) and None),
    "a shard that goes on": shard(lambda path: path.write_bytes(path.read_bytes() * 100) and None),
    "a shard that ends early": shard(lambda path: path.write_bytes(path.read_bytes()[:-100]) and None),
    "a shard that is missing": shard(Path.unlink),
    "a shard that is a link": shard(swapped(lambda path: path.symlink_to("/etc/passwd"))),
    "a shard that is a pipe": shard(swapped(os.mkfifo)),
}
"""What is wrong -> how a sound shared cache (corpus/toy as v1) is made so."""
