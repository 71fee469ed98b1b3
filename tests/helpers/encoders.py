"""Small encoders with random weights, saved as the large ones on the Hugging Face hub are."""

from pathlib import Path
from typing import Any

import torch
import transformers

from sorigeul import LASConfig
from sorigeul.pretrained.encoders import describe_encoder

KINDS = ("wav2vec2", "wav2vec2-layer", "hubert", "whisper")
"""wav2vec2-layer: the larger models of the family, with layer normalisation in the convolutions"""

_SAMPLES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 20,
}
_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def save_encoder(folder: Path, kind: str, head: bool = False, **changes: Any) -> str:
    """Save a model; returns the listener `hf:FOLDER`. With a `head`, as fine-tuned for CTC.

    A Whisper always has its decoder.
    """
    library: Any = transformers
    library.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    extractor = library.WhisperFeatureExtractor()
    if kind == "whisper":
        model = library.WhisperForConditionalGeneration(
            library.WhisperConfig(**{**_WHISPER, **changes})
        )
    else:
        layer_norm = kind == "wav2vec2-layer"
        shape: dict[str, Any] = {**_SAMPLES}
        if layer_norm:
            shape |= {
                "feat_extract_norm": "layer",
                "do_stable_layer_norm": True,
                "conv_bias": True,
            }
        family = "Hubert" if kind == "hubert" else "Wav2Vec2"
        config = getattr(library, f"{family}Config")(**{**shape, **changes})
        model = getattr(library, f"{family}{'ForCTC' if head else 'Model'}")(config)
        extractor = library.Wav2Vec2FeatureExtractor(
            do_normalize=kind != "hubert", return_attention_mask=layer_norm
        )
    with torch.no_grad():  # as after training: no bias at zero, no norm at one
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return f"hf:{folder}"


def encoder_las(listener: str, **changes: Any) -> LASConfig:
    """A small model with this listener."""
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "score_function": "dot",
        "ctc_weight": 0.3,
        "time_reduction": 8,
        "speller_layer_size": 1,
        "vocabulary_size": 20,
    }
    return LASConfig(listener=listener, encoder=describe_encoder(listener), **{**shape, **changes})
