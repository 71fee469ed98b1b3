"""Result files of processes: complete lines count, others do not, and nothing is mixed up."""

import json
import os
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.recognition.shard_results import ShardResults, shard_files

INPUTS = {"model": "a", "manifest": "b"}
DURATIONS = [1.0, 2.0, 4.0, 8.0]
ROWS = [{"id": str(position), "text": "가"} for position in range(4)]
OUTPUT = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def shard_results(out: Path, rank: int = 0, **inputs: str) -> ShardResults:
    return ShardResults(out, rank, DURATIONS, {**INPUTS, **inputs})


def test_rows_of_two_processes_are_merged_in_order(tmp_path: Path) -> None:
    out = tmp_path / "new" / "o.jsonl"
    with shard_results(out, 0) as first, shard_results(out, 1) as second:
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
    assert out.read_text(encoding="utf-8") == OUTPUT
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("rank", [0, 1])
def test_the_same_or_another_process_resumes_from_the_results_so_far(
    tmp_path: Path, rank: int
) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out) as first:
        first.append([1, 2], ROWS[1:3])
    with shard_results(out, rank) as resumed:
        assert set(resumed.rows) == {1, 2}
        assert resumed.seconds == 6
        assert resumed.speed == 0
        resumed.append([0, 3], [ROWS[0], ROWS[3]])
        resumed.read()
        resumed.merge()
    assert out.read_text(encoding="utf-8") == OUTPUT


@pytest.mark.parametrize("lost_bytes", range(1, 60, 7))
def test_a_line_without_its_end_does_not_count(tmp_path: Path, lost_bytes: int) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out) as first:
        first.append([1, 2], ROWS[1:3])
    (path,) = shard_files(out)
    os.truncate(path, path.stat().st_size - lost_bytes)
    with shard_results(out) as resumed:
        missing = [position for position in range(4) if position not in resumed.rows]
        assert 2 in missing
        resumed.append(missing, [ROWS[position] for position in missing])
        resumed.read()
        resumed.merge()
    assert out.read_text(encoding="utf-8") == OUTPUT


def test_a_file_with_an_incomplete_first_line_starts_again(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    Path(f"{out}.part-0").write_text('{"mod', encoding="utf-8")
    with shard_results(out) as resumed:
        assert not resumed.rows
        resumed.append(range(4), ROWS)
        resumed.read()
        resumed.merge()
    assert out.read_text(encoding="utf-8") == OUTPUT


@pytest.mark.parametrize(
    "damage",
    [
        b"\0\0\0\0\n",
        b"1 {\n",
        b"x {}\n",
        b"\n",
        b"2\n",
        b"4 {}\n",
        b"-1 {}\n",
        b"1 5\n",
        b"1 null\n",
        b"1 " + b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_line_is_done_again(tmp_path: Path, damage: bytes) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out) as first:
        first.append([0], [ROWS[0]])
    with shard_files(out)[0].open("ab") as file:
        file.write(damage)
    with shard_results(out) as resumed:
        resumed.append([3], [ROWS[3]])
        resumed.read()
        assert set(resumed.rows) == {0, 3}


def test_results_of_another_model_or_manifest_are_refused_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out) as first:
        first.append([0], [ROWS[0]])
    (path,) = shard_files(out)
    before = path.read_bytes()
    for name in INPUTS:
        with pytest.raises(UserError, match=f"part-0 was begun with another {name}: give the one"):
            shard_results(out, 1, **{name: "other"})
    with pytest.raises(UserError, match="another form"):  # of which those before know nothing
        shard_results(out, 1, form="new")
    path.write_bytes(b"no results\n" + before)
    with pytest.raises(UserError, match="another model"):
        shard_results(out)
    path.write_bytes(b"[1, 2]\n" + before)
    with pytest.raises(UserError, match="another model"):
        shard_results(out)
    assert shard_files(out) == [path]


def test_results_that_depend_on_more_are_refused_too(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out, form="new") as first:
        first.append([0], [ROWS[0]])
    with pytest.raises(UserError, match="part-0 was begun with another form: give the one"):
        shard_results(out)
    assert set(shard_results(out, form="new").rows) == {0}


def test_two_processes_cannot_write_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with (
        shard_results(out),
        pytest.raises(UserError, match=f"part-0 is being written by process {os.getpid()} on"),
    ):
        shard_results(out).__enter__()
    with shard_results(out):  # not locked any more
        pass


def test_a_forked_process_does_not_hold_the_lock(tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    with shard_results(out):
        (wait_end, release_end), (started_end, start_end) = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            os.close(release_end)
            os.write(start_end, b".")
            os.read(wait_end, 1)  # until the parent closes its end
            os._exit(0)
        os.read(started_end, 1)
    with shard_results(out):
        pass
    os.close(release_end)
    os.waitpid(child, 0)


def test_rows_with_an_error_are_failures(tmp_path: Path) -> None:
    with shard_results(tmp_path / "o.jsonl") as first:
        first.append([0, 2], [ROWS[0], {"id": "2", "error": "torn"}])
        first.read()
        assert first.failures == {2: "torn"}
        assert set(first.rows) == {0, 2}


def test_a_path_that_is_not_utf_8_is_valid_json_in_the_output(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.wav")
    with ShardResults(tmp_path / "o.jsonl", 0, [1.0], INPUTS) as first:
        first.append([0], [{"audio": name}])
        first.read()
        first.merge()
    assert json.loads((tmp_path / "o.jsonl").read_text(encoding="utf-8")) == {"audio": name}
