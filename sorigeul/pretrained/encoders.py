"""Pretrained listeners in the format of `transformers`: what they are, and their weights.

A source is a folder, or the id of a model on the Hugging Face hub: wav2vec 2.0, HuBERT, or Whisper.
Their heads and decoders are left out. Whatever of the encoder has no weight in the source is an
error, never a random weight.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.base.outline import without_memory
from sorigeul.base.records import read_object
from sorigeul.base.weights import not_finite
from sorigeul.model.config import PRETRAINED
from sorigeul.model.pretrained_listener import (
    SHAPES,
    encoder_config,
    make_encoder,
    transformers_library,
)
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import WHISPER_SECONDS

_CONFIG = "config.json"
_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
_NORMALIZES = "do_normalize"


def describe_encoder(listener: str) -> dict[str, Any]:
    """The shape of the encoder of the listener `hf:NAME`, for `LASConfig.encoder`.

    It has the names of its `config.json`, and `do_normalize` of its `preprocessor_config.json`.
    Raises UserError if there is none such, or one of another kind.
    """
    source, library = _source(listener), transformers_library()
    folder = find_model_folder(source, "a folder of a pretrained listener", _described_by())
    content = _read(folder / _CONFIG)
    kind = str(content.get("model_type"))[:50]
    if str(content.get("format")).startswith("sorigeul/"):
        raise UserError(f"{source} is a model of sorigeul: go on from it with --init_from {source}")
    if kind not in SHAPES:
        raise UserError(
            f"{source} is a model of the kind {kind}, and a pretrained listener must be "
            f"one of {', '.join(SHAPES)}"
        )
    if content.get("add_adapter"):
        raise UserError(f"{source} shortens time after its encoder, by an adapter: choose another")
    # What config.json leaves out has the library's own value.
    config = library.AutoConfig.for_model(kind)
    encoder: dict[str, Any] = {"model_type": kind}
    for name in SHAPES[kind]:
        if name in content or hasattr(config, name):
            encoder[name] = content.get(name, getattr(config, name, None))
    preprocessor = _preprocessor(folder)
    if preprocessor.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        rate = preprocessor["sampling_rate"]
        raise UserError(f"{source} hears {rate} samples a second, and not {SAMPLE_RATE}")
    if kind != "whisper":
        encoder[_NORMALIZES] = bool(preprocessor.get(_NORMALIZES, True))
    try:
        with without_memory():
            make_encoder(encoder)
    except UserError as error:
        raise UserError(f"{folder / _CONFIG}: {error}") from error
    positions = WHISPER_SECONDS * SAMPLE_RATE // FeatureConfig.hop_length // 2
    if encoder.get("max_source_positions", positions) != positions:
        raise UserError(f"{source} does not hear {WHISPER_SECONDS} s at a time, as Whisper does")
    return encoder


def encoder_features(encoder: Mapping[str, Any]) -> FeatureConfig:
    """The features that an encoder was trained on."""
    if encoder["model_type"] == "whisper":
        return FeatureConfig(
            kind="whisper", n_mels=encoder["num_mel_bins"], window="hann", normalization="none"
        )
    normalizes = encoder.get(_NORMALIZES, True)
    return FeatureConfig(kind="waveform", normalization="utterance" if normalizes else "none")


def load_encoder_weights(listener: str, encoder: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the encoder of the listener `hf:NAME`, which `encoder` describes, in float32.

    Raises UserError if they cannot be read, or are not those of all of the encoder.
    """
    source, library = _source(listener), transformers_library()
    whisper = encoder["model_type"] == "whisper"
    with _silent(library):
        try:
            # For Whisper by its own configuration, without the layers of its decoder.
            model, report = library.AutoModel.from_pretrained(
                source,
                output_loading_info=True,
                trust_remote_code=False,
                **({"decoder_layers": 0} if whisper else {"config": encoder_config(encoder)}),
            )
        except UserError:
            raise
        except Exception as error:  # of the library, the hub and each format of files
            raise UserError(f"the weights of {source} {_fault(error)}") from error
    prefix = "encoder." if whisper else ""
    with without_memory():
        needed = make_encoder(encoder).state_dict()
    missing = {name.removeprefix(prefix) for name in report["missing_keys"]} & needed.keys()
    unused = [name for name in report["unexpected_keys"] if re.search(r"encoder\.layers\.", name)]
    for names, fault in (
        (missing, "lacks weights of its encoder"),
        (unused, f"has more layers than its {_CONFIG} says"),
    ):
        if names:
            some = _some(sorted(names))
            raise UserError(f"{source} {fault}: {some}; get it again, or choose another")
    weights = {
        name.removeprefix(prefix): weight.detach().float().clone()
        for name, weight in model.state_dict().items()
        if name.startswith(prefix) and name.removeprefix(prefix) in needed
    }
    if {name: one.shape for name, one in weights.items()} != {
        name: one.shape for name, one in needed.items()
    }:
        raise UserError(f"the weights of {source} do not fit its {_CONFIG}: get it again")
    if (name := not_finite(weights)) is not None:
        raise UserError(f"{source} is of no use: its {name} has values that are not finite")
    return weights


def _fault(error: Exception) -> str:
    """What is wrong with weights, and the remedy; the library's own advice would be dangerous."""
    reason = " ".join(str(error).split())
    if "weights_only" in reason:
        return "hold code, or are damaged, and are not loaded: get the model.safetensors instead"
    if "ignore_mismatched_sizes" in reason:
        return f"have other sizes than its {_CONFIG} says: get it again"
    return f"cannot be read ({reason[:300]}): get it again; from a git repository, by git lfs pull"


def _source(listener: str) -> str:
    return listener.removeprefix(PRETRAINED)


def _described_by() -> tuple[str, ...]:
    return (_CONFIG, *_PREPROCESSORS)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(
            f"{path} does not describe a pretrained listener ({error}): give a folder that "
            "transformers' save_pretrained wrote, or a Hugging Face id"
        ) from error


def _preprocessor(folder: Path) -> dict[str, Any]:
    """What is to be done to a waveform before the encoder hears it."""
    for name in _PREPROCESSORS:
        if (folder / name).is_file():
            content = _read(folder / name)
            nested = content.get("feature_extractor")
            return nested if isinstance(nested, dict) else content
    raise UserError(
        f"{folder} has no {_PREPROCESSORS[0]}, which says whether the listener hears samples as "
        "they are: get it from where the model comes from"
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


@contextmanager
def _silent(library: Any) -> Iterator[None]:
    """The library prints neither its bars nor its tables: what matters is raised."""
    messages = library.utils.logging
    level, bars = messages.get_verbosity(), messages.is_progress_bar_enabled()
    messages.set_verbosity(logging.CRITICAL)
    messages.disable_progress_bar()
    try:
        yield
    finally:
        messages.set_verbosity(level)
        if bars:
            messages.enable_progress_bar()
