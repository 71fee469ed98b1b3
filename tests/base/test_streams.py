"""Standard streams that are closed, gone or ASCII only: no difference, and no file written to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PREPARED = "import sys; from sorigeul.base.streams import *; prepare_streams(); "


def run(code: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PREPARED + code]
    return subprocess.run(command, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_replaced_and_its_number_not_given_to_a_file(
    tmp_path: Path, closed: int
) -> None:
    path = tmp_path / "file"
    code = (
        f"file = open({str(path)!r}, 'w'); file.write('kept'); file.flush(); "
        "print('out'); print('err', file=sys.stderr); sys.stdin.read(); sys.exit(file.fileno() < 3)"
    )
    done = run(
        code,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.close(closed),
    )
    assert done.returncode == 0
    assert path.read_text() == "kept"
    assert done.stdout == (b"" if closed == 1 else b"out\n")
    assert done.stderr == (b"" if closed == 2 else b"err\n")


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", "한글 \\udcff".encode()), ("latin-1", rb"\ud55c\uae00 \udcff"), ("utf-8", None)],
)
def test_hangul_is_printed_whatever_the_encoding(encoding: str, printed: bytes | None) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run("print('한글 \\udcff', end='')", capture_output=True, env=environment)
    assert done.stdout == printed or "한글 \\udcff".encode()
    assert done.stderr == b""
    assert done.returncode == 0


def test_work_goes_on_after_the_reader_of_its_lines_has_ended() -> None:
    code = (
        "print_line('first'); os.read(0, 1); print_line('second'); print_line('third'); "
        "print('done', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "import os; " + PREPARED + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"first\n"
    process.stdout.close()
    process.stdin.write(b".")
    process.stdin.close()
    assert process.stderr.read() == b"done\n"
    assert process.wait() == 0
    process.stderr.close()
