"""How the server listens, what it allows, and how it writes.

Imports no torch, so that `--help` is quick.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sorigeul.base.capacity import refuse_too_many_processes
from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SECONDS, Range, check_ranges

PORT = Range(0, 65_535)
_ABOVE_0_SECONDS = Range(0, 10**9, above=True)
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_ORIGIN = re.compile(r"https?://[^/\s]+")


@dataclass(frozen=True)
class ServingOptions:
    """Address, limits and access. Raises UserError for values that make no sense."""

    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 for everybody who can reach this machine"""
    port: Annotated[int, PORT] = 8000
    """port to listen on; 0: any that is free, as the line that is printed says"""
    api_key: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """file with the API keys that are accepted, one a line; if not given, those in the environment
    variable SORIGEUL_API_KEY, separated by commas; without any key everybody is answered"""
    written: bool = False
    """write numbers, units and letters in digits and signs, in every reply: 70% for what was heard
    as 칠십 퍼센트; replies in JSON have what was heard, too, as spoken"""
    wyoming: Annotated[int, PORT] = 0
    """port for Home Assistant's Wyoming protocol, on the same address; 0: none"""
    workers: Annotated[int, Range(1, 1024)] = 1
    """server processes, which share the threads; each loads the models"""
    max_upload: str = "200MB"
    """largest upload"""
    max_seconds: Annotated[float, _ABOVE_0_SECONDS] = 14_400.0
    """longest recording in seconds"""
    upload_seconds: Annotated[float, _ABOVE_0_SECONDS] = 300.0
    """longest time in seconds that a client may take to send a request"""
    queue: Annotated[int, Range(1, 10**6)] = 256
    """most requests that each process accepts at a time; further ones are told when to come
    again"""
    drain_seconds: Annotated[float, SECONDS] = 30.0
    """longest time in seconds from the request to stop to the end, for what was accepted"""
    cors_origin: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="ORIGIN")
    ] = ()
    """origin of pages that may use this server from a browser, such as https://example.com; may be
    given several times"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self)
        refuse_too_many_processes("workers", self.workers)
        if self.wyoming and self.wyoming == self.port:
            raise UserError(f"port and wyoming are both {self.port}: give each its own port")
        for origin in self.cors_origin:
            if not _ORIGIN.fullmatch(origin):
                raise UserError(
                    f"cors_origin is {origin!r}, but must be an origin such as https://example.com"
                )
        if self.max_upload_bytes < 1:
            raise UserError(f"max_upload is {self.max_upload}, but must be above 0")

    @property
    def max_upload_bytes(self) -> int:
        """`max_upload` in bytes."""
        match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([A-Z]*)", self.max_upload.strip().upper())
        if match is None or match[2] not in _UNITS:
            raise UserError(f"max_upload is {self.max_upload!r}, but must be as 200MB or 1.5GB")
        return int(float(match[1]) * _UNITS[match[2]])

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


DEFAULTS = ServingOptions()
"""this machine only, and generous limits"""
