"""The `sorigeul` command: one file for each group of commands. No logic of its own."""

from sorigeul.cli.entry import main

__all__ = ["main"]
