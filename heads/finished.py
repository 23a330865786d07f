"""Runs that are done, one safetensors file each: an interrupted grid goes on where it stopped, and a finished one is not trained again.

    runs/.NAME.DIGEST.part/0-3.safetensors    fold 0 with seed 3, while the grid is at work
    runs/NAME/checkpoints/0-3.safetensors     the same once all are done

Tensors `best/...` and, unless `kept` is "best", `last/...` are the head's parameters; `probabilities` and `embeddings` are what it
says of the test part, `said/...` of the parts that it learnt from, of a head that is fused.
"""

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from heads import runfolder
from heads.trainer import Epoch, Fitted, Said


def part_folder(target: Path, digest: str) -> Path:
    """Where the runs of an experiment lie until all are done."""
    return target.with_name(f".{target.name}.{digest[:8]}.part")


def elsewhere(target: Path, runs_digest: str) -> list[Path]:
    """Folders beside `target` that may hold runs of the same experiment with other seeds: of finished trainings, and unfinished ones."""
    found = []
    for config in sorted(target.parent.glob(f"[!.]*/{runfolder.CONFIG}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if config.parent != target and json.loads(config.read_text(encoding="utf-8"))["runs_digest"] == runs_digest:
                found.append(config.parent / runfolder.CHECKPOINTS)
    return [*found, *_unfinished(target)]


def left_behind(target: Path, digest: str) -> str | None:
    """One line on the unfinished runs beside `target` that neither this experiment nor anybody at work goes on with."""
    folders = [path for path in _unfinished(target) if path != part_folder(target, digest) and not runfolder.at_work(_begun(path))]
    if not folders:
        return None
    size = 0
    with contextlib.suppress(OSError):  # removed or finished meanwhile
        size = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    where = f"in {folders[0]}" if len(folders) == 1 else f"in {len(folders)} folders, first {folders[0]}"
    return f"unfinished runs of another configuration lie {where} ({size / 1e6:.1f} MB): repeat the command that began them, or remove them"


def _unfinished(target: Path) -> list[Path]:
    """The folders of unfinished runs beside `target`."""
    return sorted(path for path in target.parent.glob(".*.part") if path.is_dir())


def _begun(part: Path) -> Path:
    """The run folder that a folder of unfinished runs was to become."""
    return part.with_name(part.name[1:].rsplit(".", 2)[0])


def file_of(folder: Path, fold: int, seed: int) -> Path:
    """The file of one run."""
    return folder / f"{fold}-{seed}.safetensors"


def without_weights(fitted: Fitted) -> Fitted:
    """What a run leaves but for its weights, which nothing but the run itself needs."""
    return replace(fitted, best={}, last={})


def save(path: Path, fitted: Fitted, seconds: float, made_with: Mapping[str, str], digest: str) -> None:
    """Write a run, whole or not at all; `made_with` names the device and the versions that computed it."""
    tensors = {f"best/{name}": weight.cpu().contiguous() for name, weight in fitted.best.items()}
    tensors |= {f"last/{name}": weight.cpu().clone() for name, weight in fitted.last.items()}
    tensors["probabilities"] = torch.from_numpy(fitted.probabilities)
    if fitted.embeddings is not None:
        tensors["embeddings"] = torch.from_numpy(fitted.embeddings)
    for name, one in fitted.said.items():
        tensors[f"said/{name}/probabilities"] = torch.from_numpy(one.probabilities)
        tensors[f"said/{name}/labels"] = torch.from_numpy(one.labels)
    curve = json.dumps([asdict(epoch) for epoch in fitted.curve])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    about = {"curve": curve, "chosen": str(fitted.chosen), "seconds": f"{seconds:.3f}", "made_with": json.dumps(dict(made_with))}
    data = to_bytes(tensors, {"digest": digest, **about})
    part.write_bytes(data)  # safetensors' own files are closed to everybody else, and a full disk is no OSError there
    part.replace(path)


def copy(path: Path, to: Path) -> None:
    """Put a run that lies elsewhere into a folder of this training, whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_suffix(".part")
    shutil.copyfile(path, part)
    part.replace(to)


def has_weights(path: Path) -> bool:
    """Whether the file of a run holds its weights, which `--no-weights` leaves out."""
    with safe_open(path, "pt") as file:
        return any(name.startswith("best/") for name in file.keys())  # noqa: SIM118


def said(path: Path) -> dict[str, Said]:
    """What a run says of the parts that it learnt from, as far as its file has that."""
    with safe_open(path, "pt") as file:
        parts = [name.split("/")[1] for name in file.keys() if name.startswith("said/") and name.endswith("/labels")]  # noqa: SIM118
        return {
            part: Said(file.get_tensor(f"said/{part}/probabilities").numpy(), file.get_tensor(f"said/{part}/labels").numpy())
            for part in parts
        }


def curve_of(about: Mapping[str, Any]) -> tuple[Epoch, ...]:
    """The epochs of a run, from what its file says beside the tensors."""
    return tuple(Epoch(**epoch) for epoch in json.loads(about["curve"]))


def load(path: Path, digest: str) -> tuple[Fitted, float, dict[str, str]] | None:
    """A run without its weights, its seconds, and what it was made with; None when it is not there, damaged, or of another experiment."""
    try:
        with safe_open(path, "pt") as file:
            about: Mapping[str, Any] = file.metadata() or {}
            if about.get("digest") != digest:
                return None
            probabilities = file.get_tensor("probabilities").numpy()
            embeddings = file.get_tensor("embeddings").numpy().astype(np.float16) if "embeddings" in file.keys() else None  # noqa: SIM118
        curve = curve_of(about)
        fitted = Fitted(curve, int(about["chosen"]), probabilities, embeddings, {}, {}, said(path))
        return fitted, float(about["seconds"]), json.loads(about["made_with"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
