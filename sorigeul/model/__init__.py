"""Listen, Attend and Spell. Tensors in, tensors out: no files, no text, no corpora.

Shapes in the whole package: B utterances, N samples, T frames, F mel bands, S listener frames,
U characters, D width, V vocabulary, K beam.
"""

__all__ = [
    "attention",
    "config",
    "conformer",
    "ctc_alignment",
    "front_end",
    "jamo_embedding",
    "las",
    "listener",
    "losses",
    "memory",
    "pretrained_listener",
    "rotary",
    "speller",
]
