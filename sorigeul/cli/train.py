"""The command `sorigeul train`: its options.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import parse_and_run, positional, settings_origin
from sorigeul.cli.options import DEFAULT_PRESET, File


def train(arguments: Sequence[str]) -> None:
    """Train a model; an unfinished run goes on where it stopped."""
    # The command is defined here, since its defaults come from a preset, a file or the run itself.
    from sorigeul.base.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul.base import provenance
    from sorigeul.training.settings import Settings, presets
    from sorigeul.training.starting_point import (
        comes_from_run,
        starting_point,
        with_whole_batch,
    )

    origin = settings_origin(arguments)
    start = starting_point(*origin, default=DEFAULT_PRESET)
    is_of_run = comes_from_run(origin.preset, origin.config, origin.run)

    def command(
        places: Annotated[Positional[tuple[Path, ...]], positional("DATA… RUN")] = (),
        preset: str = DEFAULT_PRESET,
        config: File = None,
        restart: bool = False,
        settings: Annotated[Settings, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = start,
    ) -> None:
        from sorigeul.training.run import train as train_run

        del preset, config  # in `settings` already
        if len(places) < 2:
            missing = "RUN" if places else "DATA…, RUN"
            raise UserError(f"Missing from sorigeul train: {missing} (sorigeul train --help)")
        *data, run = places
        if restart and is_of_run and settings.data == start.data:
            settings = with_whole_batch(settings, start.training.devices)
        command_line = provenance.command_line(["sorigeul", "train", *arguments])
        train_run(data, run, settings, command_line, restart)

    command.__doc__ = f"""{train.__doc__}

    Args:
        places: folders of manifests, made by 'sorigeul prepare', one or several to train on
            together; then the folder for the run
        preset: settings to start from: {", ".join(presets())}
        config: YAML file of settings to start from, such as the config.yaml of a run
        restart: begin again from step 0; what the run wrote is kept in RUN/earlier-1
    """
    parse_and_run(command, "train", arguments)
