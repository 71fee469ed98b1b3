"""Small corpora on disk, and readers of what `prepare` writes for them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sorigeul.corpora.report import Report


def write_tone(path: Path, seconds: float = 0.5, rate: int = 16_000) -> Path:
    """Write a tone: headerless 16-bit PCM for .pcm, else in the format of the extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(np.arange(round(seconds * rate)) / 20)
    if path.suffix == ".pcm":
        path.write_bytes((wave * 32767).astype("<i2").tobytes())
    else:
        soundfile.write(path, wave, rate)
    return path


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def unreadable_folder(parent: Path) -> Path:
    """A chain of folders whose last one no path is short enough for: not even root can read it."""
    folder, here = parent / "deep", os.open(parent, os.O_RDONLY)
    for name in ("deep", *("x" * 250 for _ in range(17))):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    return folder


def write_table(folder: Path, rows: list[tuple[str, str, str, str]], seconds: float = 0.12) -> Path:
    """Write a CSV of (audio, text, speaker, split), with a recording for each row."""
    for name, *_ in rows:
        write_tone(folder / name, seconds)
    lines = ["audio,text,speaker,split", *(",".join(row) for row in rows)]
    return write_text(folder / "table.csv", "\n".join(lines) + "\n")


def write_speakers(folder: Path, speakers: int, utterances: int = 4, split: str = "") -> Path:
    """Write a table with the same number of ``utterances`` of each speaker: 0-0.wav, 0-1.wav ..."""
    rows = [
        (f"{speaker}-{number}.wav", f"말 {speaker} {number}", f"화자{speaker}", split)
        for speaker in range(speakers)
        for number in range(utterances)
    ]
    return write_table(folder, rows)


def write_kspon_scripts(root: Path, scripts: str = "KsponSpeech_scripts") -> None:
    """Write KsponSpeech as distributed now, with one fault of each kind in train."""
    folder = root / "KsponSpeech_01" / "KsponSpeech_0001"
    for number in (1, 2, 3, 5, 7):
        write_tone(folder / f"KsponSpeech_{number:06d}.pcm")
    (folder / "KsponSpeech_000006.pcm").write_bytes(b"")
    prefix = "KsponSpeech_01/KsponSpeech_0001/KsponSpeech_"
    lines = [
        f"{prefix}000001.pcm :: 아/ 몬 소리야, (70%)/(칠십 퍼센트). b/",
        f"{prefix}000002.pcm :: (70%/(칠십 퍼센트) 라고",
        f"{prefix}000003.pcm :: n/ b/",
        f"{prefix}000004.pcm :: 소리가 없다",
        "이 줄은 아니다",
        f"{prefix}000006.pcm :: 텅 빈 파일",
        f"{prefix}000001.pcm :: 또 나온다",
    ]
    write_text(root / scripts / "train.trn", "\n".join(lines) + "\n")
    write_tone(root / "KsponSpeech_02" / "KsponSpeech_0002" / "KsponSpeech_620001.pcm")
    line = "KsponSpeech_02/KsponSpeech_0002/KsponSpeech_620001.pcm :: c# 배워봤어?\n"
    write_text(root / scripts / "dev.trn", line)
    for split, number in (("clean", 2262), ("other", 5054)):
        path = f"KsponSpeech_eval/eval_{split}/KsponSpeech_E{number:05d}.pcm"
        with write_tone(root / path).open("ab") as file:
            file.write(b"\0")
        write_text(root / scripts / f"eval_{split}.trn", f"{path} :: 그/ 그래 {split}\n")


def make_unreadable(path: Path) -> None:
    """Overwrite a recording with zeros, without changing its size and date."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def file_contents(folder: Path) -> dict[str, bytes]:
    """The content of every file under a folder, by its path relative to the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_cuts(path: Path) -> list[dict[str, Any]]:
    """The cuts of a manifest, as JSON objects."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts_by_id(out: Path, *splits: str) -> dict[str, str]:
    """The texts of the given manifests; of train, dev and test if none are given."""
    paths = [out / f"{split}.jsonl" for split in splits or ("train", "dev", "test")]
    return {
        cut["id"]: cut["supervisions"][0]["text"]
        for path in paths
        if path.exists()
        for cut in read_cuts(path)
    }


def rejections(report: Report) -> dict[str, str]:
    """Item -> ``where | reason`` of everything that was rejected."""
    return {item.item: f"{item.where} | {item.reason}" for item in report.rejected}
