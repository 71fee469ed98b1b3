"""The folder of a model, downloaded from the Hugging Face hub if it is not here."""

from collections.abc import Sequence
from pathlib import Path

from sorigeul.base.errors import UserError


def find_model_folder(source: str | Path, what: str, files: Sequence[str]) -> Path:
    """The folder `source`, or that of the model which it names on the Hugging Face hub.

    `what` is what a folder would be, such as "a run folder"; `files` are patterns of the files to
    download. Raises UserError if `source` is neither a folder nor such a model.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    looks_like_hub_id = str(source).count("/") == 1 and not str(source).startswith((".", "/"))
    if not looks_like_hub_id:
        raise UserError(f"{source} is neither {what} nor a Hugging Face id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{source} is no folder here, and the Hugging Face hub gave no such model: {reason}"
        ) from error
