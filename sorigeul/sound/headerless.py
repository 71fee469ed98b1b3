"""Headerless 16-bit PCM, as in KsponSpeech."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sorigeul.sound.source import InputFile, Pipe, Source, checked_rate

_EXTENSIONS = {".pcm", ".raw"}
_BLOCK = 2**18  # bytes


def named_headerless(source: Source, name: str) -> bool:
    """Whether path or name end as those of headerless PCM do."""
    paths = [name, source] if isinstance(source, str | Path) else [name]
    return any(Path(path).suffix.lower() in _EXTENSIONS for path in paths)


class HeaderlessDecoder:
    """Signed 16-bit little-endian samples of ``channels`` interleaved channels at ``rate`` Hz."""

    def __init__(self, file: InputFile | Pipe, name: str, rate: int, channels: int) -> None:
        self.rate, self.channels = checked_rate(rate, name), channels
        self.account = ["decoded RAW (Signed 16 bit PCM)"]
        self.repairs: list[str] = []
        self._file = file
        self._bytes_each = 2 * channels
        self.seconds: float | None = None
        if not isinstance(file, Pipe):
            self.seconds = file.size // self._bytes_each / rate
            file.seek(0)

    def skip(self, samples: int) -> int:
        """Start after so many samples of each channel, or at the end; return how many."""
        if isinstance(self._file, Pipe):
            return 0
        skipped = min(samples, self._file.size // self._bytes_each)
        self._file.seek(skipped * self._bytes_each)
        return skipped

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """Blocks of samples, float32 (channels, n)."""
        rest = b""
        while data := self._file.read(_BLOCK):
            data = rest + data
            whole = len(data) - len(data) % self._bytes_each
            data, rest = data[:whole], data[whole:]
            if data:
                pcm = np.frombuffer(data, "<i2").reshape(-1, self.channels).T
                yield pcm.astype(np.float32, order="C") * np.float32(2.0**-15)
        if rest:  # e.g. KsponSpeech_E02262.pcm
            end = "odd last byte" if len(rest) == 1 else f"last {len(rest)} bytes, no whole sample"
            self.account.append(f"dropped the {end}")
