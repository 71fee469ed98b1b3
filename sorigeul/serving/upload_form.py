"""A multipart form, kept in memory: text fields by name, and one file."""

import sys
from collections import defaultdict
from collections.abc import Sequence

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from sorigeul.serving.api_errors import ApiError, bad_request, quoted

_MOST_FIELDS = 300
_LONGEST_FIELD = 64 * 1024  # bytes


class _InMemoryParser(MultiPartParser):
    """Starlette writes files of more than a megabyte to the disk otherwise."""

    spool_max_size = sys.maxsize


class UploadForm:
    """The fields of a form. Every one that was read is accounted for: see `refuse_others`.

    The name of the file and its declared type are not used.
    """

    def __init__(self, texts: dict[str, list[str]], files: dict[str, bytes]) -> None:
        self._texts, self._files = texts, files
        self._known: set[str] = set()

    @classmethod
    async def read(cls, request: Request) -> "UploadForm":
        """Read the body of a request. Raises ApiError if it is no form, or has several files."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise bad_request("the body must be a form: multipart/form-data", None, "invalid_form")
        parser = _InMemoryParser(
            request.headers,
            request.stream(),
            max_files=1,
            max_fields=_MOST_FIELDS,
            max_part_size=_LONGEST_FIELD,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise bad_request(
                f"the form cannot be read: {error.message}", None, "invalid_form"
            ) from None
        texts, files = defaultdict(list), {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                texts[name].append(value)
        await form.close()
        return cls(texts, files)

    def file(self, name: str) -> bytes:
        """The content of a required file."""
        self._known.add(name)
        if name not in self._files:
            raise bad_request(f"{name} is missing: send the recording as a file", name, "missing")
        return self._files[name]

    def text(self, name: str, default: str = "") -> str:
        """A field that may be given once; `default` if it is not given or empty."""
        values = self.texts(name)
        if len(values) > 1:
            raise bad_request(f"{name} is given {len(values)} times; give it once", name)
        return values[0] if values and values[0] else default

    def texts(self, name: str) -> list[str]:
        """A field that may be repeated."""
        self._known.add(name)
        if name in self._files:
            raise bad_request(f"{name} is a file, but must be text", name)
        return self._texts.get(name, [])

    def list(self, name: str) -> list[str]:
        """A list: the field repeated, with or without brackets after its name."""
        return [*self.texts(f"{name}[]"), *self.texts(name)]

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """A field that has one of a few values, or `default` if it is not given."""
        value = self.text(name, default)
        if value not in (*choices, default):
            raise bad_request(f"{name} is {quoted(value)}, but must be {_either(choices)}", name)
        return value

    def flag(self, name: str) -> bool:
        """A field that is true or false; false if it is not given."""
        return self.choice(name, ("true", "false"), "false") == "true"

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number; None if it is not given."""
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise bad_request(
                f"{name} is {quoted(text)}, but must be from {least:g} to {most:g}", name
            )
        return value

    def refuse_others(self) -> None:
        """Raise ApiError if there are fields that nobody has asked for."""
        others = sorted({*self._texts, *self._files} - self._known)
        if others:
            names = ", ".join(map(repr, others))
            raise ApiError(400, f"no such field: {names}", "unknown_parameter", others[0])


def _either(choices: Sequence[str]) -> str:
    *rest, last = choices
    return f"{', '.join(rest)} or {last}" if rest else last
