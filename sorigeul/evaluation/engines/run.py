"""A recogniser of ours as an engine: a run folder, an export, or a model on the hub."""

import hashlib
import time
from collections.abc import Iterator, Sequence

from sorigeul.evaluation.engines.engine import Recognized, Utterance
from sorigeul.recognition.fingerprints import model_fingerprint, search_fingerprint
from sorigeul.recognition.model_loading import load_model, with_own_language_model
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.search.options import SearchRequest
from sorigeul.sound.audio import AudioError


class Run:
    """A model of ours, which searches as it was tuned, and as `sorigeul transcribe` does."""

    def __init__(self, source: str) -> None:
        """Load the model. Raises UserError if `source` is neither a run nor an id."""
        request = with_own_language_model(source, SearchRequest())
        pretrained = load_model(source, request)
        setup = SearchSetup.load(pretrained, request)
        hashes = f"{model_fingerprint(pretrained)} {search_fingerprint(setup)}"
        self._fingerprint = hashlib.sha256(hashes.encode()).hexdigest()
        self._recognizer = Recognizer(pretrained, setup=setup)

    @property
    def fingerprint(self) -> str:
        """Of the model, and of how it searches."""
        return self._fingerprint

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterator[Recognized]:
        """Recognise all in batches. The time of a batch is shared by duration."""
        readable, samples = [], []
        for utterance in utterances:
            try:
                samples.append(utterance.load())
                readable.append(utterance)
            except AudioError as error:
                yield Recognized(utterance.id, "", error=str(error))
        started = time.perf_counter()
        transcriptions = self._recognizer.transcribe_samples(samples)
        duration = sum(utterance.seconds for utterance in readable)
        rtf = (time.perf_counter() - started) / max(duration, 1e-9)
        for utterance, transcription in zip(readable, transcriptions, strict=True):
            yield Recognized(utterance.id, transcription.text, rtf * utterance.seconds)
