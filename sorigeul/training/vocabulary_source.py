"""The vocabulary of a language model: that of the recogniser it is meant for."""

from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.statistics import manifest_statistics
from sorigeul.pretrained.description import VOCABULARY, describe_pretrained
from sorigeul.text.vocabulary import Vocabulary


def find_vocabulary(source: str) -> Vocabulary:
    """The vocabulary that `source` names.

    It may be the folder of a recogniser or language model, the Hugging Face id of a recogniser, a
    prepared corpus (its syllables, as a recogniser trained on it has them by default), or a file
    `vocabulary.json` or ``id,char,freq``. Raises UserError if it is none of them.
    """
    path = Path(source)
    if path.is_dir():
        if (path / VOCABULARY).is_file():
            path = path / VOCABULARY
        elif (cuts := manifests.manifest(path, "train")) is not None:
            return Vocabulary.named("syllable", manifest_statistics(cuts).characters, 1)
        else:
            raise UserError(
                f"{path} has no vocabulary: name a recogniser's run folder, a prepared corpus, or "
                "a file vocabulary.json"
            )
    if path.suffix == ".json" and path.is_file():
        return Vocabulary.read(path)
    if path.is_file():
        return Vocabulary.from_csv(path)
    return describe_pretrained(source).vocabulary
