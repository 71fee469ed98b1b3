"""Results of several processes: whole lines count, others do not, and nothing is mixed up."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.recognition.shard_results import ShardResults, shard_files

ORIGIN = {"model": "a", "manifest": "b"}
SECONDS = [1.0, 2.0, 4.0, 8.0]
ROWS = [{"id": str(place), "text": "가"} for place in range(4)]
WHOLE = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def parts(out: Path, rank: int = 0, **origin: str) -> ShardResults:
    return ShardResults(out, rank, SECONDS, {**ORIGIN, **origin})


def test_rows_of_two_processes_come_into_one_file_in_order(tmp_path: Path) -> None:
    out = tmp_path / "new" / "o.jsonl"
    with parts(out, 0) as first, parts(out, 1) as second:
        first.append([3, 0], [ROWS[3], ROWS[0]])
        assert first.read() == 9
        second.append([2], [ROWS[2]])
        assert (first.read(), first.seconds, first.complete) == (4, 13, False)
        assert first.read() == 0
        second.append([1], [ROWS[1]])
        assert first.read() == 2
        assert first.complete
        assert not out.exists()
        first.merge()
    assert out.read_text(encoding="utf-8") == WHOLE
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("rank", [0, 1])
def test_what_was_kept_is_there_for_whoever_goes_on(tmp_path: Path, rank: int) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out) as first:
        first.append([1, 2], ROWS[1:3])
    with parts(out, rank) as again:
        assert set(again.rows) == {1, 2}
        assert again.seconds == 6
        assert again.speed == 0
        again.append([0, 3], [ROWS[0], ROWS[3]])
        again.read()
        again.merge()
    assert out.read_text(encoding="utf-8") == WHOLE


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_without_its_end_does_not_count(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out) as first:
        first.append([1, 2], ROWS[1:3])
    (path,) = shard_files(out)
    os.truncate(path, path.stat().st_size - cut)
    with parts(out) as again:
        missing = [place for place in range(4) if place not in again.rows]
        assert 2 in missing
        again.append(missing, [ROWS[place] for place in missing])
        again.read()
        again.merge()
    assert out.read_text(encoding="utf-8") == WHOLE


def test_a_file_that_was_cut_off_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    Path(f"{out}.part-0").write_text('{"mod', encoding="utf-8")
    with parts(out) as again:
        assert not again.rows
        again.append(range(4), ROWS)
        again.read()
        again.merge()
    assert out.read_text(encoding="utf-8") == WHOLE


@pytest.mark.parametrize("damage", [b"\0\0\0\0\n", b"1 {\n", b"x {}\n", b"\n", b"2\n"])
def test_a_damaged_line_is_done_again(tmp_path: Path, damage: bytes) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out) as first:
        first.append([0], [ROWS[0]])
    with shard_files(out)[0].open("ab") as file:
        file.write(damage)
    with parts(out) as again:
        again.append([3], [ROWS[3]])
        again.read()
        assert set(again.rows) == {0, 3}


def test_what_comes_from_elsewhere_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out) as first:
        first.append([0], [ROWS[0]])
    (path,) = shard_files(out)
    before = path.read_bytes()
    for name in ORIGIN:
        with pytest.raises(UserError, match=f"part-0 was begun with another {name}: give the one"):
            parts(out, 1, **{name: "other"})
    path.write_bytes(b"no results\n" + before)
    with pytest.raises(UserError, match="another model"):
        parts(out)
    assert shard_files(out) == [path]


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out), pytest.raises(UserError, match="part-0 is being written by another process"):
        parts(out).__enter__()
    with parts(out):  # free again
        pass


def test_a_forked_process_does_not_hold_the_lock(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with parts(out):
        (read, write), (begun, begin) = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            os.close(write)
            os.write(begin, b".")
            os.read(read, 1)  # until the other end is closed
            os._exit(0)
        os.read(begun, 1)
    with shard_files(out)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(write)
    os.waitpid(child, 0)


def test_failures_are_known_apart(tmp_path: Path) -> None:
    with parts(tmp_path / "o.jsonl") as first:
        first.append([0, 2], [ROWS[0], {"id": "2", "error": "torn"}])
        first.read()
        assert first.failures == {2: "torn"}
        assert set(first.rows) == {0, 2}


def test_a_path_that_is_no_utf8_is_kept_as_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.wav")
    with ShardResults(tmp_path / "o.jsonl", 0, [1.0], ORIGIN) as first:
        first.append([0], [{"audio": name}])
        first.read()
        first.merge()
    assert json.loads((tmp_path / "o.jsonl").read_text(encoding="utf-8")) == {"audio": name}
