"""The number of processes, number formats, and errors that libraries report at length."""

import os

import pytest
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from sorigeul.base.errors import UserError
from sorigeul.training import devices
from sorigeul.training.settings import TrainingConfig

SLURM = {
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Changes an environment that has no variables of Slurm or torchrun."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC")):
            monkeypatch.delenv(name)
    return monkeypatch


def processes_and_nodes(environment: pytest.MonkeyPatch, **variables: str) -> tuple[int, int, type]:
    for name, value in variables.items():
        environment.setenv(name, value)
    processes, nodes, launcher = devices._processes_and_nodes(1, os.environ)
    return processes, nodes, type(launcher)


def test_slurm_decides_how_many_processes_there_are(environment: pytest.MonkeyPatch) -> None:
    assert processes_and_nodes(environment, **SLURM) == (8, 2, SLURMEnvironment)


def test_a_job_of_one_task_starts_its_processes_itself(environment: pytest.MonkeyPatch) -> None:
    one_task = {**SLURM, "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}
    assert processes_and_nodes(environment, **one_task) == (1, 1, LightningEnvironment)
    processes, _, launcher = devices._processes_and_nodes(4, os.environ)
    assert (processes, launcher.creates_processes_externally) == (4, False)


@pytest.mark.parametrize("value", ["", "many", "0", "-2", "4(x2)"])
def test_a_count_of_processes_that_is_no_number_is_named(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    with pytest.raises(UserError, match="SLURM_NTASKS_PER_NODE"):
        processes_and_nodes(environment, **{**SLURM, "SLURM_NTASKS_PER_NODE": value})


def test_an_interactive_shell_of_slurm_counts_as_one_process(
    environment: pytest.MonkeyPatch,
) -> None:
    shell = {**SLURM, "SLURM_JOB_NAME": "interactive"}
    assert processes_and_nodes(environment, **shell) == (1, 1, LightningEnvironment)


def test_nodes_with_different_numbers_of_processes_are_refused(
    environment: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="every node needs as many"):
        processes_and_nodes(environment, **{**SLURM, "SLURM_NTASKS": "12"})


def test_launching_one_process_leaves_no_variable_to_others() -> None:
    """A torchrun that this process starts later would inherit it."""
    devices.launch(TrainingConfig(precision="float32"))
    assert devices._LAUNCHER not in os.environ


# Number formats


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU")
@pytest.mark.parametrize("precision", ["float16", "tf32"])
def test_a_number_format_of_gpus_is_refused_on_a_cpu(precision: str) -> None:
    with pytest.raises(UserError) as error:
        devices.launch(TrainingConfig(precision=precision))  # type: ignore[arg-type]
    assert str(error.value) == (
        f"precision {precision} needs a GPU: choose bfloat16 or float32 on a CPU"
    )


def test_auto_chooses_a_fast_number_format() -> None:
    assert devices._precision("auto", False) in ("bfloat16", "float32")
    assert devices._precision("float32", False) == "float32"
    assert devices._precision("tf32", True) == "tf32"


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("float32", False)])
def test_tf32_is_used_only_if_it_is_chosen(
    monkeypatch: pytest.MonkeyPatch, precision: str, allowed: bool
) -> None:
    monkeypatch.setattr(devices, "_precision", lambda setting, _: setting)
    devices.launch(TrainingConfig(precision=precision))  # type: ignore[arg-type]
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.backends.cuda.matmul.allow_tf32 is allowed


# Errors of libraries


@pytest.mark.parametrize(
    ("error", "kind", "message"),
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
        (BrokenPipeError(), BrokenPipeError, ""),  # whoever read the table stopped reading
        (RuntimeError("shape '[2]' is invalid"), RuntimeError, "is invalid"),
    ],
)
def test_errors_of_libraries_are_explained_in_one_line(
    error: Exception, kind: type[Exception], message: str
) -> None:
    fabric = devices.launch(TrainingConfig(precision="float32"))
    with pytest.raises(kind, match=message or None) as raised, devices.explain_crash(fabric):
        raise error
    assert "\n" not in str(raised.value)
