"""What tables and datasets call their splits: train, dev and test, in English and Korean."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from sorigeul.base.errors import UserError

_NAMES = {
    "train": "train training 훈련 학습",
    "dev": "dev development valid validation val eval 검증",
    "test": "test testing 평가 시험 테스트",
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names.split()}
# Usually dev, but where there is another dev it is what others call test.
_AMBIGUOUS = "eval"
_NO_LETTERS = re.compile(r"[\W\d_]+")


class SplitNames:
    """Tells which split a name means, for all names of one table."""

    def __init__(self) -> None:
        self._dev_names: set[str] = set()

    def split(self, name: str) -> str | None:
        """Return ``train``, ``dev`` or ``test``; None if the name is that of no split.

        Raises UserError if the table has an ``eval`` besides another dev, which may be its test.
        """
        name = unicodedata.normalize("NFC", name).strip().casefold()
        split = _SPLITS.get(name)
        if split == "dev":
            self._dev_names.add(name)
            if _AMBIGUOUS in self._dev_names and len(self._dev_names) > 1:
                other = next(iter(self._dev_names - {_AMBIGUOUS}))
                raise UserError(
                    f"the splits {_AMBIGUOUS} and {other} are both there: call {_AMBIGUOUS} either "
                    "dev or test"
                )
        return split

    def split_of_file(self, path: PurePath) -> str | None:
        """As `split`, by a word of a file's name, or else of its folders, the innermost first.

        Such files are ``train-00000-of-00002.parquet`` and ``test/data-00000-of-00001.arrow``.
        """
        return self.split_of_names((path.stem, *reversed(path.parent.parts)))

    def split_of_names(self, names: Iterable[str]) -> str | None:
        """As `split`, by the first word of several names, in their order, that is one."""
        for part in names:
            for word in _NO_LETTERS.split(part):
                if (split := self.split(word)) is not None:
                    return split
        return None
