"""Pulling a part of a shared cache, beside what else is done; pushes and pulls that are killed; remotes that mean harm.

    python benchmarks/share.py pulls --work /tmp/share       over HTTP (nginx) and S3 (SeaweedFS behind nginx), 20 ms added to each request
    python benchmarks/share.py killed --work /tmp/share --rounds 100
    python benchmarks/share.py hostile --work /tmp/share

Requests and bytes are those of nginx's own log. Ideal is a request for each shard, and the bytes of the rows alone.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

from benchmarks import store_data
from emocache import manifest
from emocache.errors import EmocacheError
from emocache.share.address import parse_address
from emocache.share.fetch import THREADS
from emocache.share.pull import pull
from emocache.share.push import Consent, push
from emocache.share.wish import Wish
from emocache.store import open_cache
from emocache.store.layout import Paths
from emocache.types import Corpus, Utterance
from tests.share import hostile, killed, servers, small

UTTERANCES = 100
DELAY_S = 0.020
LAYER, SESSION = 6, "2"
SOME = tuple(item.id for item in store_data.items(UTTERANCES)[3::10])
TASKS = {
    "one layer of 13": Wish(layers=str(LAYER)),
    "one session of 5": Wish(sessions=(SESSION,)),
    "one layer of 10 utterances": Wish(layers=str(LAYER), ids=SOME),
}


@dataclass(frozen=True)
class Made:
    """What is served, as files in a folder: a cache that was pushed, .npy and HDF5; and what of it a task wants."""

    folder: Path
    data: Sequence[store_data.Utterance]

    def wanted(self, task: str) -> list[tuple[str, int]]:
        """Utterance and layer of everything that a task wants."""
        wish = TASKS[task]
        layers = [LAYER] if wish.layers == str(LAYER) else range(store_data.LAYERS)
        items = [one.item for one in self.data if one.item.group in (wish.sessions or one.item.group)]
        return [(item.id, layer) for layer in layers for item in items if item.id in (wish.ids or {item.id})]

    def ideal(self, task: str) -> tuple[int, int]:
        """Shards, or utterances where they are fewer, and the bytes of the rows."""
        rows = {one.item.id: one.values.shape[1] for one in self.data}
        wanted = self.wanted(task)
        groups = {one.item.id: one.item.group for one in self.data}
        pieces = len(wanted) if TASKS[task].ids else len({(groups[name], layer) for name, layer in wanted})
        return pieces, sum(rows[name] for name, _ in wanted) * store_data.DIM * 2


def make(work: Path) -> Made:
    """Write everything that is served."""
    shutil.rmtree(work, ignore_errors=True)
    served = work / "served"
    served.mkdir(parents=True)
    data = [store_data.Utterance(one.item, one.values.astype(np.float16)) for one in store_data.made(UTTERANCES)]
    store_data.write_store(work / "cache", data)
    utterances = tuple(Utterance(id=one.item.id, path="a.wav", emotion="sad", speaker="s", session=one.item.group) for one in data)
    told: dict[str, Any] = {"name": store_data.CORPUS, "reader": "csv", "scheme": "as-is", "audio_root": Path(), "share": "free"}
    manifest.save(Corpus(utterances=utterances, licence="CC0", **told), work / "cache")
    send(str(served / "shared"), work)
    for one in data:
        for layer, rows in enumerate(one.values):
            path = served / "npy" / str(layer) / f"{one.item.id}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, rows)
    store_data.write_hdf5(served / "features.h5", data)
    shutil.copytree(work / "cache" / store_data.CORPUS / store_data.NAME, served / "zarr")
    return Made(served, data)


def send(where: str, work: Path) -> None:
    """Push the cache."""
    paths = Paths(work / "cache" / store_data.CORPUS / store_data.NAME)
    push(parse_address(f"{where}@v1"), [paths], work / "none", Consent())


@contextmanager
def slow(url: str) -> Iterator[str]:
    """A server with a delay before each request."""
    host, _, port = url.removeprefix("http://").partition(":")
    command = [sys.executable, str(Path(__file__).with_name("share_slow.py")), host, port, str(DELAY_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def by_http(url: str, made: Made) -> dict[str, Callable[[str, Path], None]]:
    """The ways over HTTP: each is given a task and an empty folder."""
    from emocache.share.web import Web

    web = Web(url)

    def get(name: str, folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for piece in web.stream(name, 0, None):
                file.write(piece)

    return ways(f"{url}/shared", get, f"{url}/zarr/features.zarr", {}, made)


def by_s3(url: str, made: Made) -> dict[str, Callable[[str, Path], None]]:
    """The ways over S3."""
    import obstore
    from obstore.store import S3Store

    options: dict[str, Any] = {"client_options": {"allow_http": True}}
    store = S3Store("bench", endpoint=url, access_key_id=servers.ACCESS, secret_access_key=servers.SECRET, region="us-east-1", **options)

    def get(name: str, folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(obstore.get(store, name).bytes())

    about = {"key": servers.ACCESS, "secret": servers.SECRET, "client_kwargs": {"endpoint_url": url, "region_name": "us-east-1"}}
    return ways("s3://bench/shared", get, "s3://bench/zarr/features.zarr", about, made)


def ways(
    shared: str, get: Callable[[str, Path], None], group: str, options: dict[str, Any], made: Made
) -> dict[str, Callable[[str, Path], None]]:
    """Emocache and the others, over one protocol."""

    def emocache(task: str, folder: Path) -> None:
        pull(parse_address(shared), folder / "cache", TASKS[task], None)
        features = open_cache(folder / "cache").features(store_data.CORPUS, store_data.NAME)
        assert len(features.ids) == len({name for name, _ in made.wanted(task)})

    def npy(task: str, folder: Path) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda pair: get(f"npy/{pair[1]}/{pair[0]}.npy", folder), made.wanted(task)))

    def hdf5(task: str, folder: Path) -> None:
        get("features.h5", folder)
        with h5py.File(folder / "features.h5") as file:
            assert "features" in file

    def zarr_fsspec(task: str, folder: Path) -> None:
        import zarr

        opened = zarr.open_group(zarr.storage.FsspecStore.from_url(group, storage_options=options), mode="r")
        plan = made.folder / "zarr/plan/0"
        ids, start, length = (np.load(plan / name) for name in ("ids.npy", "frames/start.npy", "frames/length.npy"))
        names = {name for name, _ in made.wanted(task)}
        mine = np.array([name.decode() in names for name in ids])
        spans = [(int(start[mine].min()), int((start + length)[mine].max()))]
        if TASKS[task].ids:
            spans = list(zip(start[mine].tolist(), (start + length)[mine].tolist(), strict=True))
        for layer in sorted({layer for _, layer in made.wanted(task)}):
            for first, last in spans:
                np.save(folder / f"{layer}.{first}.npy", opened[f"frames/{layer}"][first:last])

    return {
        "emocache pull": emocache,
        ".npy a layer and utterance, 16 threads": npy,
        "HDF5 whole": hdf5,
        "zarr-python over fsspec": zarr_fsspec,
    }


def upload(made: Made, weed: servers.Weed, work: Path) -> None:
    """Put everything that is served into a bucket."""
    import obstore
    from obstore.store import S3Store

    weed.bucket("bench")
    os.environ.update(weed.environment())
    options: dict[str, Any] = {"client_options": {"allow_http": True}}
    store = S3Store(
        "bench", endpoint=weed.s3, access_key_id=servers.ACCESS, secret_access_key=servers.SECRET, region="us-east-1", **options
    )
    files = [path for path in made.folder.rglob("*") if path.is_file() and not path.is_relative_to(made.folder / "shared")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: obstore.put(store, str(path.relative_to(made.folder)), path), files))
    send("s3://bench/shared", work)


def pulls(work: Path, rounds: int) -> None:
    """Every way, over both protocols, some times; the table."""
    made = make(work)
    print("| over | what | how | requests | MB | of the ideal bytes | s |\n|---|---|---|---|---|---|---|", flush=True)
    with servers.nginx(work / "nginx", f"root {made.folder};") as server, slow(server.url) as url:
        measure("HTTP", server, by_http(url, made), made, work, rounds)
    with servers.weed(work / "weed") as weed:
        upload(made, weed, work)
        kept = "proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_set_header Connection '';"
        what = f"proxy_pass {weed.s3}; {kept} proxy_buffering off;"
        with servers.nginx(work / "nginx-s3", what) as server, slow(server.url) as url:
            os.environ["AWS_ENDPOINT_URL"] = url
            measure("S3", server, by_s3(url, made), made, work, rounds)


def measure(over: str, server: servers.Nginx, tried: dict[str, Callable[[str, Path], None]], made: Made, work: Path, rounds: int) -> None:
    """The rows of one protocol."""
    for task in TASKS:
        shards, bytes_ = made.ideal(task)
        print(f"| {over} | {task} | ideal | {shards} | {bytes_ / 1e6:.1f} | 1 | |", flush=True)
        found: dict[str, list[tuple[int, int, float]]] = {name: [] for name in tried}
        for _ in range(rounds):
            for name, way in tried.items():
                folder = work / "came"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                server.log.write_text("")
                since = time.perf_counter()
                way(task, folder)
                took = time.perf_counter() - since
                asked = server.asked()
                found[name].append((len(asked), sum(size for _, _, _, size in asked), took))
        for name, rows in found.items():
            requests, size, took = rows[0][0], rows[0][1], median(row[2] for row in rows)
            print(f"| {over} | {task} | {name} | {requests} | {size / 1e6:.1f} | {size / bytes_:.3f} | {took:.2f} |", flush=True)


def refused(work: Path) -> None:
    """What every remote that means harm, or is broken, gets."""
    from tests.share import test_hostile

    shutil.rmtree(work, ignore_errors=True)
    small.make(work / "cache")
    push(parse_address(f"{work / 'sound'}@v1"), [Paths(work / "cache/corpus/toy")], work / "none", Consent())
    print("| what is wrong | what `emocache pull` says |\n|---|---|")
    for what, change in hostile.REMOTES.items():
        shutil.rmtree(work / "remote", ignore_errors=True)
        shutil.copytree(work / "sound", work / "remote")
        change(work / "remote")
        print(f"| {what} | {_said(str(work / 'remote'), work)} |", flush=True)
    for what, (answer, _) in test_hostile.SERVERS.items():
        with test_hostile._server(answer) as url:
            print(f"| a server that {what} | {_said(url, work)} |", flush=True)


def _said(source: str, work: Path) -> str:
    """The error of a pull, without the folder; that nothing came is checked."""
    try:
        pull(parse_address(source), work / "mine", Wish(), None)
    except EmocacheError as error:
        assert not list((work / "mine").glob("[a-z]*/")), "something came"
        return str(error).replace(str(work), "").replace("|", "\\|")
    return "NOTHING"


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["pulls", "killed", "hostile"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", file=sys.stderr)
    if options.mode == "pulls":
        pulls(options.work, options.rounds)
    elif options.mode == "killed":
        print(killed.rounds(options.work, options.rounds))
    else:
        refused(options.work)


if __name__ == "__main__":
    main()
