"""Models that are ready to publish."""

from sorigeul import ListenAttendSpell
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.text.vocabulary import Vocabulary

SYLLABLES = "".join(chr(code) for code in range(ord("가"), ord("가") + 27))
"""with the three special tokens, the 30 entries of the vocabulary of the fixture `tiny`"""


def pretrained(model: ListenAttendSpell, characters: str = SYLLABLES) -> PretrainedModel:
    """A model of the fixture `tiny` with everything that is published with it."""
    features = FeatureConfig(n_mels=8, window="hann")
    vocabulary = Vocabulary.from_texts([characters])
    return PretrainedModel(model, features, vocabulary, "plain/1", {"valid_crr": "12.34"})
