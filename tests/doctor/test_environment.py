"""The environment as the doctor describes it."""

from helpers.commands import Command


def test_without_a_corpus_the_environment_is_printed(sorigeul: Command) -> None:
    done = sorigeul("doctor")
    assert (done.status, done.err) == (0, "")
    for word in ("PyTorch", "Python", "device: ", "threads", "demo", "GB"):
        assert word in done.out
    assert "bfloat16" in done.out or "CUDA" in done.out
    assert len(done.out.splitlines()) <= 6
