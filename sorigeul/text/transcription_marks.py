"""The marks of AI Hub's transcription rules, which are no text. Does not read them.

The normalisers ``kspon-pronunciation`` and ``kspon-spelling`` read those of ETRI's rules.
"""

import re

_ETRI = {
    ")/(": re.compile(r"\)\s*/\s*\("),
    "b/": re.compile(r"(?<!\S)[blonu]/(?!\S)"),
    "+": re.compile(r"(?<=[가-힣])\+(?!\S)"),
    "*": re.compile(r"(?<=[가-힣])\*(?!\S)"),
}
_NEWER = {
    "@이름1": re.compile(r"@[가-힣]+\d*"),
    "&name&": re.compile(r"&[^&\s]{1,30}&"),
    "#이름#": re.compile(r"#[가-힣a-zA-Z]+\d*#"),
    "(())": re.compile(r"\(\([^()]*\)\)"),
    "(SP:)": re.compile(r"\([A-Za-z]{2}:[^()]*\)"),
    "{laughing}": re.compile(r"\{[^{}]*\}"),
}


def transcription_marks(text: str, etri: bool = True) -> list[str]:
    """Return which kinds of marks a transcript holds; those of ETRI's rules only with ``etri``.

    ETRI's: ``)/(``, a dual transcription; ``b/``, a breath, laughter, noise and so on (also ``l/ o/
    n/ u/``); ``+``, a word broken off; ``*``, an unclear word. Of newer rules: ``@이름1``,
    ``&name&`` and ``#이름#``, a name or number left out; ``(())``, something not understood;
    ``(SP:)``, a word said unlike its spelling (also ``FP SN NO``); ``{laughing}``, other sounds.
    """
    kinds = {**_ETRI, **_NEWER} if etri else _NEWER
    return [mark for mark, pattern in kinds.items() if pattern.search(text)]
