"""Copies of prepared corpora that are damaged in one way each, and samples of them."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import soundfile
import soxr

from sorigeul.doctor.measurements import Measurements, measure
from sorigeul.doctor.sample import Sample
from sorigeul.sound import audio

RATE = audio.SAMPLE_RATE

Row = dict[str, Any]
"""a line of a manifest"""
Damage = Callable[[int, audio.Samples], audio.Samples]
"""number and samples (N,) of an utterance -> other samples"""


def rows(folder: Path, split: str = "train") -> list[Row]:
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def copy_corpus(
    folder: Path, copy: Path, damage: Damage | None = None, **splits: list[Row]
) -> Path:
    """Copy manifests, with some splits replaced, and with damaged recordings of train."""
    copy.mkdir()
    for split in ("train", "dev", "test"):
        split_rows = splits.get(split, rows(folder, split))
        for number, row in enumerate(split_rows if damage and split == "train" else []):
            source = row["recording"]["sources"][0]
            samples = damage(number, audio.load(source["source"]).samples)
            source["source"] = str(copy / f"{row['id']}.wav")
            soundfile.write(source["source"], samples, RATE)
            seconds = len(samples) / RATE
            row["duration"] = row["supervisions"][0]["duration"] = seconds
            row["recording"].update(num_samples=len(samples), duration=seconds)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in split_rows)
        (copy / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return copy


def with_shuffled_texts(split_rows: list[Row]) -> list[Row]:
    """The same recordings with each other's transcripts."""
    texts = [row["supervisions"][0]["text"] for row in split_rows]
    Random(1).shuffle(texts)
    for row, text in zip(split_rows, texts, strict=True):
        row["supervisions"][0]["text"] = text
    return split_rows


def with_a_text_lost(split_rows: list[Row], number: int) -> list[Row]:
    """The same recordings, from a row on each with the text of the next: a line was lost there."""
    texts = [row["supervisions"][0]["text"] for row in split_rows]
    del texts[number]
    for row, text in zip(split_rows, texts, strict=False):
        row["supervisions"][0]["text"] = text
    return split_rows[:-1]


def cut_to_a_tenth(_: int, samples: audio.Samples) -> audio.Samples:
    return samples[: len(samples) // 10]


def a_fifth_cut_to_a_third(number: int, samples: audio.Samples) -> audio.Samples:
    return samples if number % 5 else samples[: len(samples) // 3]


def unchanged(_: int, samples: audio.Samples) -> audio.Samples:
    return samples


def recorded_at_8_khz(_: int, samples: audio.Samples) -> audio.Samples:
    return soxr.resample(samples, RATE, RATE / 2)


def upsampled_from_8_khz(_: int, samples: audio.Samples) -> audio.Samples:
    return soxr.resample(soxr.resample(samples, RATE, RATE / 2), RATE / 2, RATE)


def at_half_speed(_: int, samples: audio.Samples) -> audio.Samples:
    return soxr.resample(samples, RATE / 2, RATE)


def measured_sample(split_rows: list[Row], damage: Damage = unchanged) -> Sample:
    """The sample of the doctor that holds these utterances, once they are damaged."""
    measured = []
    for number, row in enumerate(split_rows):
        path = row["recording"]["sources"][0]["source"]
        text, speaker = (row["supervisions"][0][field] for field in ("text", "speaker"))
        if damage is unchanged:
            own = {"id": row["id"], "text": text, "speaker": speaker}
            measured.append(replace(_measured_recording(path), **own))
        else:
            samples = damage(number, audio.load(path).samples)
            measured.append(measure(row["id"], text, samples, speaker))
    return Sample(measured)


@functools.cache
def _measured_recording(path: str) -> Measurements:
    """A recording as it is: several tests give it one text or another."""
    return measure("", "", audio.load(path).samples)
