"""Who is there to train, in which number format, and how a request to stop is heard."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from sorigeul.base import stopping
from sorigeul.base.errors import UserError
from sorigeul.base.stopping import StopRequests
from sorigeul.training import devices
from sorigeul.training.settings import TrainingConfig

SLURM = {
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC")):
            monkeypatch.delenv(name)
    return monkeypatch


def told(environment: pytest.MonkeyPatch, **variables: str) -> tuple[int, int, type]:
    for name, value in variables.items():
        environment.setenv(name, value)
    here, nodes, launcher = devices._cluster(1, os.environ)
    return here, nodes, type(launcher)


def test_slurm_tells_how_many_there_are(environment: pytest.MonkeyPatch) -> None:
    assert told(environment, **SLURM) == (8, 2, SLURMEnvironment)


def test_a_job_of_one_task_starts_its_processes_itself(environment: pytest.MonkeyPatch) -> None:
    alone = {**SLURM, "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
    assert told(environment, **alone) == (1, 1, LightningEnvironment)
    here, _, launcher = devices._cluster(4, os.environ)
    assert (here, launcher.creates_processes_externally) == (4, False)


def test_an_interactive_shell_of_slurm_starts_nothing(environment: pytest.MonkeyPatch) -> None:
    shell = {**SLURM, "SLURM_JOB_NAME": "interactive"}
    assert told(environment, **shell) == (1, 1, LightningEnvironment)


def test_uneven_nodes_are_refused(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="every node needs as many"):
        told(environment, **{**SLURM, "SLURM_NTASKS": "12"})


def test_nothing_is_left_behind_that_other_processes_would_heed() -> None:
    """Such as a torchrun that this process starts later."""
    devices.launch(TrainingConfig(precision="float32"))
    assert devices._LAUNCHER not in os.environ


# Number formats


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU")
@pytest.mark.parametrize("precision", ["float16", "tf32"])
def test_a_format_of_a_gpu_is_refused_on_a_cpu(precision: str) -> None:
    with pytest.raises(UserError) as error:
        devices.launch(TrainingConfig(precision=precision))  # type: ignore[arg-type]
    assert str(error.value) == (
        f"precision {precision} needs a GPU: choose bfloat16 or float32 on a CPU"
    )


def test_auto_takes_what_the_processor_is_fast_in() -> None:
    assert devices._precision("auto", False) in ("bfloat16", "float32")
    assert devices._precision("float32", False) == "float32"
    assert devices._precision("tf32", True) == "tf32"


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("float32", False)])
def test_only_tf32_is_tf32(monkeypatch: pytest.MonkeyPatch, precision: str, allowed: bool) -> None:
    monkeypatch.setattr(devices, "_precision", lambda wanted, _: wanted)
    devices.launch(TrainingConfig(precision=precision))  # type: ignore[arg-type]
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.backends.cuda.matmul.allow_tf32 is allowed


# What ended it


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), UserError, "batch_size"),
        (MemoryError(), UserError, "out of memory: lower batch_seconds or batch_size"),
        (
            torch.distributed.DistBackendError("NCCL error in: …"),
            ChildProcessError,
            "another process of the run has ended",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            ChildProcessError,
            "has died .DataLoader worker .pid 7. is killed by signal: Killed.*lower num_workers",
        ),
        (ConnectionResetError(104, "Connection reset by peer"), ChildProcessError, "has died"),
        (BrokenPipeError(), BrokenPipeError, ""),  # whoever read the table has seen enough
        (RuntimeError("shape '[2]' is invalid"), RuntimeError, "is invalid"),
    ],
)
def test_what_libraries_say_at_length_is_said_in_a_line(
    error: Exception, kind: type[Exception], said: str
) -> None:
    fabric = devices.launch(TrainingConfig(precision="float32"))
    with pytest.raises(kind, match=said or None) as raised, devices.explain_crash(fabric):
        raise error
    assert "\n" not in str(raised.value)


# Requests to stop


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as a terminal has it: a shell's background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_request_is_noted_and_a_second_one_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_ECHO_SECONDS", 60.0)  # however slow this machine may be
    with StopRequests() as stop:
        assert not stop.requested
        # Raised in this thread: one sent to the process may reach it a moment later.
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        # The same request, come by way of the process group as well.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.setattr(stopping, "_ECHO_SECONDS", 0.0)  # as if they were long past
        with pytest.raises(KeyboardInterrupt):
            interrupted()


def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)
    time.sleep(1)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequests():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
