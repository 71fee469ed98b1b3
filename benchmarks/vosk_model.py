"""Vosk as its own documentation uses it: what the benchmarks compare with.

python benchmarks/vosk_model.py MODEL RECORDING.wav
"""

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import vosk

_BLOCK_FRAMES = 4000  # as in its examples


def load(model_folder: Path) -> Callable[[Path], str]:
    """Load a model; gives a function from a WAV file, 16 bits mono, to its text."""
    vosk.SetLogLevel(-1)
    model = vosk.Model(str(model_folder))

    def transcribe(path: Path) -> str:
        with wave.open(str(path)) as file:
            recognizer = vosk.KaldiRecognizer(model, file.getframerate())
            results = []
            while block := file.readframes(_BLOCK_FRAMES):
                if recognizer.AcceptWaveform(block):  # an utterance has ended
                    results.append(recognizer.Result())
        texts = [json.loads(one)["text"] for one in (*results, recognizer.FinalResult())]
        return " ".join(text for text in texts if text)

    return transcribe


if __name__ == "__main__":
    print(load(Path(sys.argv[1]))(Path(sys.argv[2])))
