"""Command line of `sorigeul`: one file for each group of commands; the work is done elsewhere."""

from sorigeul.cli.entry import main

__all__ = ["main"]
