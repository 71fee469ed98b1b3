"""Text from outside as it may be shown on a terminal.

File names, transcripts, the texts of models and the errors of libraries can hold escape sequences,
which a terminal would obey.
"""

import json

LAYOUT = "\n\t"
"""characters that lay out a text of many lines"""


def printable(text: str, keep: str = "") -> str:
    r"""The text with each character that does not print as its escape in JSON, such as ``\u001b``.

    So JSON stays JSON, and a name stays in its line. Characters in `keep` stay, `LAYOUT` in a text
    of many lines, and so do spaces of any width.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep or _is_space(character)
        else json.dumps(character)[1:-1]
        for character in text
    )


def _is_space(character: str) -> bool:
    """Whether a character is a space within a line, such as one that does not break it."""
    return character in "\u00a0\u1680\u202f\u205f\u3000" or "\u2000" <= character <= "\u200a"
