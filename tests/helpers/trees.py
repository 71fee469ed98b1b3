"""Small corpora on disk, and what preparing them left there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sorigeul.corpora.report import Report


def audio(path: Path, seconds: float = 0.5, rate: int = 16_000) -> Path:
    """Write a tone: headerless 16-bit for .pcm, else whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(np.arange(round(seconds * rate)) / 20)
    if path.suffix == ".pcm":
        path.write_bytes((wave * 32767).astype("<i2").tobytes())
    else:
        soundfile.write(path, wave, rate)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def cuts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(out: Path, *splits: str) -> dict[str, str]:
    """Id to text over the given manifests, or all of train, dev and test."""
    paths = [out / f"{split}.jsonl" for split in splits or ("train", "dev", "test")]
    return {
        cut["id"]: cut["supervisions"][0]["text"]
        for path in paths
        if path.exists()
        for cut in cuts(path)
    }


def reasons(report: Report) -> dict[str, str]:
    return {item.item: f"{item.where} | {item.reason}" for item in report.rejected}


def kspon_scripts(root: Path, scripts: str = "KsponSpeech_scripts") -> None:
    """The layout as distributed now, with one fault of each kind in train."""
    folder = root / "KsponSpeech_01" / "KsponSpeech_0001"
    for number in (1, 2, 3, 5, 7):
        audio(folder / f"KsponSpeech_{number:06d}.pcm")
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
    write(root / scripts / "train.trn", "\n".join(lines) + "\n")
    audio(root / "KsponSpeech_02" / "KsponSpeech_0002" / "KsponSpeech_620001.pcm")
    line = "KsponSpeech_02/KsponSpeech_0002/KsponSpeech_620001.pcm :: c# 배워봤어?\n"
    write(root / scripts / "dev.trn", line)
    for split, number in (("clean", 2262), ("other", 5054)):
        path = f"KsponSpeech_eval/eval_{split}/KsponSpeech_E{number:05d}.pcm"
        with audio(root / path).open("ab") as file:
            file.write(b"\0")
        write(root / scripts / f"eval_{split}.trn", f"{path} :: 그/ 그래 {split}\n")
