"""The files of a prepared corpus: a manifest for each split, and the report.

Does not know what is in them.
"""

from collections.abc import Iterable
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.corpora.splits import SPLITS

REPORT = "report.json"

# How what was written before begins.
_MANIFEST = rb'\{"id": .*"supervisions": \[\{"id": '
_REPORT = rb'\{\s+"corpus": '


def manifest_paths(out: Path) -> dict[str, Path]:
    """The path of each split's manifest, whether it exists or not."""
    return {split: out / f"{split}.jsonl" for split in SPLITS}


def refuse_unusable_places(inputs: Iterable[Path], out: Path, overwrite: bool) -> None:
    """Raise UserError if a corpus cannot be written to ``out``, or would overwrite an input.

    Files that are not of a prepared corpus are only replaced with ``overwrite``.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; the manifests need a folder")
    outputs = [
        Output(path, f"the manifest of {split}", _MANIFEST)
        for split, path in manifest_paths(out).items()
    ]
    outputs.append(Output(out / REPORT, "the report", _REPORT))
    refuse_overwriting(outputs, inputs, overwrite)


def remove_temporary_files(out: Path) -> None:
    """Remove what a run that was killed while writing has left of manifests and the report."""
    for path in (*manifest_paths(out).values(), out / REPORT):
        for temporary in out.glob(f".{path.stem}.????????{path.suffix}"):
            temporary.unlink()


def archives_in(out: Path) -> list[str]:
    """The names of the folders of archives, which are read instead of the manifests."""
    return [f"{split}.shar" for split in SPLITS if (out / f"{split}.shar").exists()]


def refuse_archives(out: Path) -> None:
    """Raise UserError if ``out`` has archives, beside manifests that are about to be written."""
    if archives := archives_in(out):
        raise UserError(
            f"{out} holds archives ({', '.join(archives)}), which would be read instead: remove "
            "them, or choose another folder"
        )
