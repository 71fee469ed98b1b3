"""The voices of babble: utterances of the training data that are kept in memory."""

from itertools import islice
from random import Random

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.sound.audio import AudioError, Samples

_VOICES = 200  # utterances; 60 MB if they last 5 s on average


def load_voices(cuts: CutSet, seed: int) -> list[Samples]:
    """Two hundred utterances (N,) of a manifest, or all if there are fewer.

    The choice depends only on their number and on the seed. Recordings that cannot be read are left
    out.

    Raises:
        UserError: if none can be read.
    """
    manifest = as_lazy_cuts(cuts)
    utterances = sum(1 for _ in manifest.transcripts())
    chosen = Random(seed).sample(range(utterances), min(_VOICES, utterances))
    voices: list[Samples] = []
    reason = "there is none"
    for cut in islice(manifest.select(set(chosen)), len(chosen)):
        try:
            voices.append(load_cut_audio(cut))
        except AudioError as error:
            reason = str(error)
    if not voices:
        raise UserError(f"no utterance can be read to make babble of: {reason}")
    return voices
