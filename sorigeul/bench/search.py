"""Benchmark suite "search": what language models add to the time of a beam search."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, synthetic_speech
from sorigeul.bench.timing import fastest_seconds
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.ngram import NgramOptions, train_ngram
from sorigeul.lm.recurrent import RecurrentConfig, RecurrentNetwork
from sorigeul.lm.text_data import TextData
from sorigeul.lm.transformer import TransformerConfig, TransformerNetwork
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search import inference
from sorigeul.search.decoding import Search
from sorigeul.search.options import SearchOptions
from sorigeul.sound.features import LogMel
from sorigeul.text.vocabulary import SPECIALS, Vocabulary
from sorigeul.training.settings import Settings

_BATCH, _BEAM, _SECONDS = 16, 8, 5
_CHARACTERS = 2_000_000  # of the text that n-grams are counted in
_UNITS = 2000


def measure_search() -> Iterator[Measurement]:
    """Measure a beam search with the preset `small`, alone and with each kind of language model."""
    device = device_type()
    torch.manual_seed(0)
    vocabulary = Vocabulary((*(chr(0xAC00 + unit) for unit in range(_UNITS)), *SPECIALS))
    settings = Settings.preset("small")
    model = ListenAttendSpell(replace(settings.model, vocabulary_size=len(vocabulary))).eval()
    with torch.no_grad():
        model.speller.out.bias[model.config.eos_id] = -1e4  # untrained, it would end anywhere
    if device == "cpu":
        inference.optimize_layout(model)
    model.to(device)
    encoded = _listen(model, LogMel(settings.features).to(device), device)
    alone = _seconds(model, encoded, (), device)
    name = f"search, beam {_BEAM}, batch {_BATCH}"
    characters = round(_SECONDS * CHARACTERS_PER_SECOND)
    yield Measurement(f"{name}: speller and CTC", 1000 * alone / characters, "ms a character")
    models: dict[str, LanguageModel[Any]] = {
        "n-grams": train_ngram(_text(vocabulary), NgramOptions()),
        "recurrent": NetworkModel(RecurrentNetwork(RecurrentConfig(), vocabulary), vocabulary),
        "transformer": NetworkModel(
            TransformerNetwork(TransformerConfig(), vocabulary), vocabulary
        ),
    }
    for kind, language_model in models.items():
        language_model.to(torch.device(device))
        extra = _seconds(model, encoded, (language_model,), device) - alone
        yield Measurement(
            f"{name}: {kind} language model",
            extra / alone,
            "of that time more",
            f"speller and CTC: {1000 * alone / characters:.1f} ms a character",
            targets=(Target("value", "at most", 0.5, "it scores every character of each text"),),
        )


def _listen(model: ListenAttendSpell, log_mel: LogMel, device: str) -> ListenerOutput:
    waveforms = np.stack([synthetic_speech(_SECONDS, seed) for seed in range(_BATCH)])
    lengths = torch.full((_BATCH,), waveforms.shape[1])
    with torch.no_grad():
        features = log_mel(torch.from_numpy(waveforms).to(device), lengths.to(device))
        return model.listen(*features)


def _seconds(
    model: ListenAttendSpell,
    encoded: ListenerOutput,
    language_models: Sequence[LanguageModel[Any]],
    device: str,
) -> float:
    """Seconds of a search that writes as many characters as are spoken in the recordings."""
    options = SearchOptions(_BEAM, lm_weights=(0.4,) * len(language_models))
    search = Search([model], options, language_models)
    limits = torch.full((_BATCH,), round(_SECONDS * CHARACTERS_PER_SECOND), device=device)
    return fastest_seconds(partial(search, [encoded], limits), 3, device)


def _text(vocabulary: Vocabulary) -> TextData:
    """A text in which few characters are frequent, as in a real one (Zipf 1935)."""
    random = np.random.default_rng(0)
    characters = (random.zipf(1.2, _CHARACTERS) - 1) % _UNITS
    characters[random.random(_CHARACTERS) < 0.03] = vocabulary.eos_id
    characters[-1] = vocabulary.eos_id
    ids = characters.astype(np.uint16)
    return TextData(vocabulary, ids[: -_CHARACTERS // 100], ids[-_CHARACTERS // 100 :], {})
