"""Audio out of video clips and compressed files that libsndfile does not read, by the program ffmpeg."""

import io
import re
import shutil
import subprocess
from pathlib import Path

from emocache.errors import AudioError, UsageError

SUFFIXES = frozenset({".mp4", ".m4a", ".m4v", ".mov", ".mkv", ".mka", ".webm", ".avi", ".flv", ".aac", ".ac3", ".amr", ".wma", ".3gp"})
"""Files that ffmpeg decodes here; all others go to libsndfile."""
_CUT_OFF = re.compile(r"partial file|ended prematurely|truncat", re.IGNORECASE)
_WHERE = re.compile(r"^\[[^\]]*\] ")
"""Which part of ffmpeg speaks, with an address that is another one every time."""
_COMMAND = (
    "-nostdin", "-v", "error", "-bitexact", "-threads", "1",
    "-i", "{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-",
)  # fmt: skip


def decode(path: Path) -> io.BytesIO:
    """The first audio track as a float32 WAV file in memory, at its own rate and with its own channels.

    UsageError where ffmpeg is not on PATH; AudioError for a file that it cannot decode, or that was cut off.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise UsageError(f"{path}: needs ffmpeg, which is not on PATH; install it, or put a .wav or .flac of the same name beside the file")
    command = [program, *(part.replace("{path}", f"file:{path}") for part in _COMMAND)]
    done = subprocess.run(command, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    cut_off = next((line for line in said if _CUT_OFF.search(line)), None)
    if done.returncode or cut_off:
        reason = cut_off or next(iter(said), f"exit code {done.returncode}")
        raise AudioError(f"{path}: cannot be decoded by ffmpeg ({_WHERE.sub('', reason)})")
    return io.BytesIO(done.stdout)
