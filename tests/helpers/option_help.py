"""The help texts of commands, taken apart."""

import re


def option_help(text: str) -> dict[str, str]:
    """Options that take a value, and their help, from a help text."""
    pieces = re.split(r"(?:^| )--([a-z_]+) (?=[A-Z{[])", joined_lines(text))
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def joined_lines(text: str) -> str:
    """A help text without its box and its line breaks."""
    lines = [line.strip("│╭╮╰╯─ ") for line in text.splitlines()]
    return " ".join(line for line in lines if line)
