"""Clips through ffmpeg: a stand-in on PATH everywhere, the real program where it is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import audio
from emocache.errors import AudioError, UsageError


def stand_in(folder: Path, script: str) -> Path:
    """A program called ffmpeg, in a folder for PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip that is a stereo WAV file at 32 kHz, which the stand-in hands on as it is."""
    time_s = np.arange(16_000) / 32_000
    wave = np.stack([0.5 * np.sin(2 * np.pi * hz * time_s) for hz in (440, 880)], axis=1)
    soundfile.write(tmp_path / "clip.wav", wave, 32_000, subtype="FLOAT")
    return (tmp_path / "clip.wav").rename(tmp_path / "clip.MP4")


HAND_ON = "path = sys.argv[sys.argv.index('-i') + 1]\nsys.stdout.buffer.write(open(path.removeprefix('file:'), 'rb').read())"


def test_what_ffmpeg_gives_goes_the_way_of_every_file(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(stand_in(tmp_path / "bin", HAND_ON)))
    plain = shutil.copy(clip, tmp_path / "plain.wav")
    for options in ({}, {"channel": 1}, {"start_s": 0.1, "end_s": 0.3}):
        np.testing.assert_array_equal(audio.load(clip, **options), audio.load(plain, **options))  # type: ignore[arg-type]
    assert audio.digest(audio.load(clip)) == audio.digest(audio.load(clip))


def test_without_ffmpeg_it_is_named_with_what_to_do(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match=r"clip\.MP4: needs ffmpeg, which is not on PATH; install it, or put a \.wav or \.flac"):
        audio.load(clip)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sys.exit('[mov @ 0x55] moov atom not found')", "moov atom not found"),
        ("sys.exit(3)", "exit code 3"),
        (
            f"{HAND_ON}\nprint('[in#0 @ 0x55] stream 1, offset 0x2087: partial file', file=sys.stderr)",
            "stream 1, offset 0x2087: partial file",
        ),
    ],
)
def test_a_clip_that_ffmpeg_cannot_decode_whole_has_its_reason(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setenv("PATH", str(stand_in(tmp_path / "bin", script)))
    with pytest.raises(AudioError, match=rf"clip\.MP4: cannot be decoded by ffmpeg \({reason}\)"):
        audio.load(clip)


def test_complaints_that_are_no_loss_do_not_stop_a_clip(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"{HAND_ON}\nprint('[aac @ 0x55] Prediction is not allowed in AAC-LC.', file=sys.stderr)"
    monkeypatch.setenv("PATH", str(stand_in(tmp_path / "bin", script)))
    assert len(audio.load(clip)) == 8000


def test_an_empty_clip_and_a_pointer_are_told_apart_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.mp4").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(AudioError, match=r"is empty \(0 bytes\)"):
        audio.load(tmp_path / "a.mp4")
    with pytest.raises(AudioError, match="is a Git LFS pointer"):
        audio.load(tmp_path / "b.mp4")


def real_ffmpeg() -> str | None:
    """The program on PATH, or the one that the package imageio-ffmpeg brings."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return shutil.which("ffmpeg")
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real program, first on PATH."""
    program = real_ffmpeg()
    if program is None:
        pytest.skip("ffmpeg is not installed")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffmpeg").symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "bin" / "ffmpeg"


def made(ffmpeg: Path, path: Path, *options: str) -> Path:
    """A second of 440 Hz at 44.1 kHz with a black picture, as the options say."""
    inputs = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=44100", "-f", "lavfi", "-i", "color=black:s=64x64:d=1"]
    subprocess.run([ffmpeg, "-v", "error", *inputs, "-shortest", *options, path], check=True)
    return path


def test_real_video_becomes_its_sound(ffmpeg: Path, tmp_path: Path) -> None:
    wave = audio.load(made(ffmpeg, tmp_path / "a.mp4", "-c:a", "aac"))
    assert len(wave) == pytest.approx(16_000, abs=1100)  # AAC works in frames of 1024 samples
    assert np.abs(np.fft.rfft(wave[:16_000])).argmax() * 16_000 / len(wave[:16_000]) == pytest.approx(440, abs=2)


def test_lossless_sound_in_video_comes_out_sample_for_sample(ffmpeg: Path, tmp_path: Path) -> None:
    path = made(ffmpeg, tmp_path / "a.mkv", "-c:a", "flac")
    subprocess.run([ffmpeg, "-v", "error", "-i", path, "-map", "0:a", tmp_path / "a.wav"], check=True)
    np.testing.assert_array_equal(audio.load(path), audio.load(tmp_path / "a.wav"))


@pytest.mark.parametrize("options", [(), ("-movflags", "faststart")])
def test_real_video_that_was_cut_off_is_not_taken_for_a_shorter_one(ffmpeg: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    path = made(ffmpeg, tmp_path / "a.mp4", "-c:a", "aac", *options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(AudioError, match=r"a\.mp4: cannot be decoded by ffmpeg \((moov atom not found|.*partial file)\)"):
        audio.load(path)


def test_real_video_without_sound_has_its_reason(ffmpeg: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"a\.mp4: cannot be decoded by ffmpeg \(.*matches no streams"):
        audio.load(made(ffmpeg, tmp_path / "a.mp4", "-map", "1:v"))
