"""kill -9 in the middle of an extraction of real speech, the same command again, and a comparison with an undisturbed run.

    python benchmarks/killed.py PATH/TO/ravdess/manifest.csv [--model whisper-tiny.en] [--work FOLDER]

Prints how many utterances were committed when the process was killed, how many the second run encoded, and whether the
two caches are equal byte for byte (all files but lock files).
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import emocache


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--units", type=int, default=3, help="kill after so many units were committed")
    parser.add_argument("--work", type=Path, default=Path("killed"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    run(["prepare", "csv", str(options.manifest.resolve()), "--name", "corpus"], options.work)

    extract = ["extract", "--model", options.model, "--device", "cpu"]
    child = subprocess.Popen(command([*extract, "--cache", "killed"]), cwd=options.work, stdout=subprocess.DEVNULL)
    while child.poll() is None and len(list(options.work.glob("killed/corpus/*/commits/*/[0-9]*.json"))) < options.units:
        time.sleep(0.05)
    time.sleep(2)  # into the middle of the next unit
    child.send_signal(signal.SIGKILL)
    code = child.wait()
    features = emocache.open_cache(options.work / "killed").features("corpus", Path(options.model).name)
    parts = len(list(options.work.glob("killed/corpus/*/parts/*")))
    print(f"killed (exit {code}): {len(features.ids)} of {features.planned} utterances committed, {parts} part files left behind")

    again = run([*extract, "--cache", "killed"], options.work)
    print(f"run again: {again['encoded']} encoded, {again['utterances']} of {again['planned']} in the cache")
    whole = run([*extract, "--cache", "whole"], options.work)
    print(f"undisturbed: {whole['encoded']} encoded, {whole['utterances']} of {whole['planned']} in the cache")
    one, other = tree(options.work / "killed"), tree(options.work / "whole")
    different = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    print(f"{len(other)} files, {sum(map(len, other.values())) / 1e6:.0f} MB; different: {len(different)} {different[:5]}")
    sys.exit(1 if different else 0)


def tree(root: Path) -> dict[str, bytes]:
    """Every file but lock files."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".lock"}


def command(arguments: list[str]) -> list[str]:
    """The command line of emocache in this Python."""
    return [sys.executable, "-m", "emocache.cli", *arguments]


def run(arguments: list[str], folder: Path) -> dict:
    """One command's JSON result."""
    return json.loads(subprocess.run(command([*arguments, "--json"]), cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    main()
