"""Makes babble noise to train with, and a test set in babble noise of other speakers.

    python benchmarks/babble.py data/pansori data/babble

Writes OUT/noise, recordings of six speakers of train talking at once, for `--noise_dir`; and
OUT/test.jsonl, the utterances of test mixed with speakers of dev talking at once, at 0 to 15 dB
signal-to-noise ratio, drawn by the utterance's id. No speaker is in both.
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

SPEAKERS = 6  # at once, or all if there are fewer
RECORDINGS, SECONDS = 30, 60  # number of recordings of noise, and seconds of each
LOW, HIGH = 0.0, 15.0  # dB, signal-to-noise ratio of the test set


def main() -> None:
    """Read a prepared corpus; write noise and a noisy test set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    corpus, out = arguments.corpus, arguments.out
    write_babble(required_manifest(corpus, "train"), out / "noise")
    write_babble(required_manifest(corpus, "dev"), out / "behind")
    noise = Noise(out / "behind", 1.0, LOW, HIGH)
    folder = (out / "test").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    cuts = []
    for cut in required_manifest(corpus, "test"):
        path = folder / f"{cut.id}.flac"
        _write(path, noise.mixed(load_cut_audio(cut), cut.id))
        cut.start = 0.0
        cut.recording = Recording.from_file(path, recording_id=cut.recording_id)
        cuts.append(cut)
    CutSet.from_cuts(cuts).to_file(out / "test.jsonl")
    print(f"{len(cuts)} utterances in babble: {out}")


def write_babble(cuts: CutSet, folder: Path) -> None:
    """Write recordings of `SPEAKERS` speakers at once, who are drawn again for each recording."""
    folder.mkdir(parents=True, exist_ok=True)
    by_speaker: dict[str, list[Samples]] = {}
    for cut in cuts:
        by_speaker.setdefault(cut.supervisions[0].speaker, []).append(load_cut_audio(cut))
    voices = [np.concatenate(utterances) for _, utterances in sorted(by_speaker.items())]
    voices = [voice / voice.std() for voice in voices]
    size = SECONDS * SAMPLE_RATE
    random = np.random.default_rng(0)
    for number in range(RECORDINGS):
        speakers = random.permutation(len(voices))[:SPEAKERS]
        mixed = np.zeros(size, np.float32)
        for speaker in speakers:
            start = random.integers(len(voices[speaker]))
            mixed += np.resize(np.roll(voices[speaker], -start), size)
        _write(folder / f"{number:02}.flac", mixed / np.abs(mixed).max())


def _write(path: Path, samples: Samples) -> None:
    """Write 16-bit FLAC, scaled down if the samples would clip."""
    soundfile.write(path, samples / max(1.0, float(np.abs(samples).max())), SAMPLE_RATE)


if __name__ == "__main__":
    main()
