"""The cache of durations: written at once, and used only for files that have not changed."""

import json
import os
import shutil
from pathlib import Path

from helpers.trees import file_contents, make_unreadable, rejections, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.duration_cache import CachedDuration, open_duration_cache
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard
from sorigeul.corpora.sound_faults import SoundFault

CACHE = "probed.journal"


def copy_table(table: Path, to: Path) -> Path:
    """Copy a table and its recordings, with their dates."""
    shutil.copytree(table.parent, to, copy_function=shutil.copy2)
    return to / table.name


def cache_lines(out: Path) -> list[bytes]:
    return (out / CACHE).read_bytes().splitlines()


def measure_only(table: Path, out: Path) -> None:
    """Fill the cache in `out` with all durations, and write no manifest."""
    prepare_shard(CORPORA["table"], table, out, Shard(1, 1))
    (out / "probed-1-of-1.journal").rename(out / CACHE)


def test_lines_are_written_at_once_and_an_incomplete_one_is_skipped(tmp_path: Path) -> None:
    with_faults = CachedDuration(3, 4, 1 / 3, (SoundFault("clipped", "1.5 %"),))
    with open_duration_cache(tmp_path) as cache:
        cache.add(str(tmp_path / "a"), CachedDuration(1, 2, 0.1))
        assert len(cache_lines(tmp_path)) == 1
    with (tmp_path / CACHE).open("ab") as file:
        file.write(b'[1, "/so')
    with open_duration_cache(tmp_path) as cache:
        cache.add(str(tmp_path / "나\udcff"), with_faults)
    with open_duration_cache(tmp_path, Shard(1, 2)) as cache:
        assert cache.take(str(tmp_path / "a")) == CachedDuration(1, 2, 0.1)
        assert cache.take(str(tmp_path / "나\udcff")) == with_faults
        assert cache.take(str(tmp_path / "c")) is None


def test_recordings_that_changed_since_are_measured_again(
    tmp_path: Path, large_table: Path
) -> None:
    table, out = copy_table(large_table, tmp_path / "in"), tmp_path / "out"
    measure_only(table, out)
    longer, unreadable, missing = (Path(json.loads(line)[1]) for line in cache_lines(out)[:3])
    write_tone(longer, 0.5)
    make_unreadable(unreadable)
    os.utime(unreadable, (0, 0))  # only its date says that it has changed
    missing.unlink()
    report = prepare(CORPORA["table"], table, out, PrepareOptions(max_duration=0.4))
    reasons = rejections(report)
    assert reasons[longer.name].endswith("0.50 s long, over 0.4 s")
    assert str(unreadable) in reasons[unreadable.name]
    assert "transcript without audio" in reasons[missing.name]
    assert len(reasons) == 23


def test_lines_of_another_version_and_damaged_lines_are_ignored(
    tmp_path: Path, large_table: Path
) -> None:
    table, out = copy_table(large_table, tmp_path / "in"), tmp_path / "out"
    measure_only(table, out)
    lines = [json.loads(line) for line in cache_lines(out)]
    newer = [[version + 1, path, size, date, 9.0, []] for version, path, size, date, *_ in lines]
    content = ["null", "{}", "[1, 2]", "\0\0", *map(json.dumps, newer)]
    (out / CACHE).write_text("\n".join(content))
    prepare(CORPORA["table"], table, out)
    prepare(CORPORA["table"], table, tmp_path / "without-cache")
    assert file_contents(out) == file_contents(tmp_path / "without-cache")
