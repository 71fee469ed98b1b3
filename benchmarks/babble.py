"""Voices behind voices: noise to train with, and a test set in noise, of speakers who differ.

    python benchmarks/babble.py data/pansori data/babble

Writes OUT/noise, recordings of six speakers of train talking at once, for `--noise_dir`; and
OUT/test.jsonl, the utterances of test with voices of dev behind them, 0 to 15 dB below them
(one draw each, by the utterance's id). No speaker of the one is heard in the other.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from lhotse import CutSet, Recording

from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import required_manifest
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.augmentation import Noise

VOICES = 6  # at once, or as many as there are
SECONDS = 60  # of a recording of noise
RECORDINGS = 30
LOW, HIGH = 0.0, 15.0  # dB


def main() -> None:
    """Read a prepared corpus, write noise and a noisy test set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    babble(required_manifest(given.corpus, "train"), given.out / "noise")
    behind = given.out / "behind"
    babble(required_manifest(given.corpus, "dev"), behind)
    noise = Noise(behind, 1.0, LOW, HIGH)
    place = (given.out / "test").absolute()
    place.mkdir(parents=True, exist_ok=True)
    cuts = []
    for cut in required_manifest(given.corpus, "test"):
        path = place / f"{cut.id}.flac"
        _write(path, noise.mixed(load_cut_audio(cut), cut.id))
        cut.start = 0.0
        cut.recording = Recording.from_file(path, recording_id=cut.recording_id)
        cuts.append(cut)
    CutSet.from_cuts(cuts).to_file(given.out / "test.jsonl")
    print(f"{len(cuts)} utterances in babble: {given.out}")


def babble(cuts: CutSet, folder: Path) -> None:
    """Write recordings of `VOICES` speakers at once, who are drawn anew for each."""
    folder.mkdir(parents=True, exist_ok=True)
    spoken: dict[str, list[Samples]] = {}
    for cut in cuts:
        spoken.setdefault(cut.supervisions[0].speaker, []).append(load_cut_audio(cut))
    voices = [np.concatenate(utterances) for _, utterances in sorted(spoken.items())]
    voices = [voice / voice.std() for voice in voices]
    size = SECONDS * SAMPLE_RATE
    random = np.random.default_rng(0)
    for number in range(RECORDINGS):
        chosen = random.permutation(len(voices))[:VOICES]
        mixed = np.zeros(size, np.float32)
        for voice in chosen:
            start = random.integers(len(voices[voice]))
            mixed += np.resize(np.roll(voices[voice], -start), size)
        _write(folder / f"{number:02}.flac", mixed / np.abs(mixed).max())


def _write(path: Path, samples: Samples) -> None:
    """As FLAC of 16 bits, turned down if it would clip."""
    soundfile.write(path, samples / max(1.0, float(np.abs(samples).max())), SAMPLE_RATE)


if __name__ == "__main__":
    main()
