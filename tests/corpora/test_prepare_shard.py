"""Several machines prepare one corpus together, in one output folder."""

import os
from pathlib import Path

from helpers.commands import Command
from helpers.trees import file_contents

from sorigeul.base.locks import locked_folder
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard


def test_several_machines_write_the_same_bytes_as_one(
    tmp_path: Path, large_table: Path, expected_files: dict[str, bytes]
) -> None:
    messages = [
        prepare_shard(
            CORPORA["table"], large_table, tmp_path, Shard(number, 3), PrepareOptions(jobs=number)
        )
        for number in (3, 1, 2)
    ]
    assert messages == [
        "part 3/3 is measured; not yet: 1/3, 2/3",
        "part 1/3 is measured; not yet: 2/3",
        "all 3 parts are measured: once more, without --shard, for the manifests",
    ]
    shares = [set(path.read_bytes().splitlines()) for path in sorted(tmp_path.glob("*.journal"))]
    assert len(shares) == 3
    assert len(set().union(*shares)) == sum(map(len, shares)) == 380
    assert min(map(len, shares)) > 100
    assert prepare_shard(CORPORA["table"], large_table, tmp_path, Shard(1, 3)) == messages[-1]
    prepare(CORPORA["table"], large_table, tmp_path)
    assert file_contents(tmp_path) == expected_files


def test_shares_that_no_machine_has_measured_are_measured_at_the_end(
    tmp_path: Path, large_table: Path, expected_files: dict[str, bytes]
) -> None:
    prepare_shard(CORPORA["table"], large_table, tmp_path, Shard(2, 3))
    prepare(CORPORA["table"], large_table, tmp_path)
    assert file_contents(tmp_path) == expected_files


def test_one_machine_at_a_time_does_a_share_and_none_beside_one_that_does_all(
    tmp_path: Path, large_table: Path, sorigeul: Command
) -> None:
    holder = f"is being written by process {os.getpid()} on "
    arguments = ("prepare", "table", large_table, tmp_path)
    with locked_folder(tmp_path, "1/2"):
        for share in ((), ("--shard", "1/2")):
            done = sorigeul(*arguments, *share)
            assert done.status == 2
            assert holder in done.error()
        assert sorigeul(*arguments, "--shard", "2/2").status == 0
    with locked_folder(tmp_path):
        assert holder in sorigeul(*arguments).error()
        assert holder in sorigeul(*arguments, "--shard", "1/2").error()


def test_the_command_prints_what_to_do_next(
    tmp_path: Path, large_table: Path, expected_files: dict[str, bytes], sorigeul: Command
) -> None:
    arguments = ("prepare", "table", large_table, tmp_path)
    done = sorigeul(*arguments, "--shard", "2/2", "--jobs", "2")
    assert (done.status, done.out) == (0, "part 2/2 is measured; not yet: 1/2\n")
    assert "without --shard" in sorigeul(*arguments, "--shard", "1/2").out
    done = sorigeul(*arguments)
    assert "380 usable utterances" in done.out
    assert file_contents(tmp_path) == expected_files
    for wrong in (("--jobs", "-1"), ("--shard", "3/2"), ("--shards", "-1")):
        done = sorigeul(*arguments, *wrong)
        assert done.status == 2
        assert wrong[0].strip("-") in done.error()
