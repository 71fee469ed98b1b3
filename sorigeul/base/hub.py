"""The Hugging Face hub: models are downloaded from it if they are not here, and uploaded to it.

Does not know what their files are.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from sorigeul.base.errors import UserError

_LOG_IN = "log in with 'hf auth login', or set HF_TOKEN, with a token that may write"


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
        raise UserError(
            f"{source} is no folder here, and the Hugging Face hub gave no such model: "
            f"{_first_line(error)}"
        ) from error


def upload(
    files: Mapping[str, Path | bytes], repository: str, private: bool, replaced: Sequence[str]
) -> str:
    """Upload files by name, in one commit, to OWNER/NAME on the hub; return its address.

    The repository is made if it is not there. Its other files stay, but for those whose names match
    `replaced`. Raises UserError if the name is none, if nobody is logged in, if the hub cannot be
    reached or refuses, and if it is public although it should be `private`.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # Of the library by which this version of huggingface_hub speaks HTTP.
    HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]
    if repository.count("/") != 1:
        raise UserError(f"'{repository}' is no name of a model on the hub: give OWNER/NAME")
    token = get_token()
    if token is None or not token.isascii():
        raise UserError(f"the Hugging Face hub must know who you are: {_LOG_IN}")
    api = HfApi(library_name="sorigeul")
    try:
        url = str(api.create_repo(repository, private=private or None, exist_ok=True))
        if private and not api.model_info(repository).private:
            raise UserError(
                f"{repository} is on the hub, and public: make it private there, or choose "
                "another name"
            )
        gone = [
            name
            for name in api.list_repo_files(repository)
            if name not in files and any(fnmatch(name, pattern) for pattern in replaced)
        ]
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(name, content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in gone),
        ]
        api.create_commit(repository, operations, commit_message="Model of sorigeul")
    except HFValidationError as error:
        raise UserError(
            f"'{repository}' is no name of a model on the hub: {_first_line(error)}"
        ) from error
    except HfHubHTTPError as error:
        refused = error.response.status_code in (401, 403)
        raise UserError(
            f"{repository} could not be uploaded to {api.endpoint}: "
            f"{error.server_message or _first_line(error)}"
            + (f"; choose a name that is yours, or {_LOG_IN}" if refused else "")
        ) from error
    except (OSError, ValueError, HTTPError) as error:
        raise UserError(
            f"{repository} could not be uploaded to {api.endpoint}: {_first_line(error)}"
        ) from error
    return url


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
