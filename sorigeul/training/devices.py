"""The processes of a run: launching them, exchanging values between them, ending them together.

Each process trains on a GPU of its own, or on its share of a CPU. All of them take every decision
at the same step: a process that decided alone would leave the others waiting for its gradients.
Does not know what they train.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

from sorigeul.base.capacity import refuse_too_many_processes
from sorigeul.base.errors import UserError
from sorigeul.base.threads import thread_count, use_threads
from sorigeul.training.settings import TrainingConfig

# Environment variables: id of the process that started the others, and threads of each.
_LAUNCHER, _THREADS = "SORIGEUL_LAUNCHER", "SORIGEUL_THREADS"
# Raised if a worker of the data loader dies while it hands over a batch.
_BROKEN_WORKER_CONNECTION = (ConnectionResetError, ConnectionRefusedError, EOFError)
_FABRIC_PRECISION: dict[str, Literal["bf16-mixed", "16-mixed", "32-true"]] = {
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
    "float32": "32-true",
    "tf32": "32-true",
}

T = TypeVar("T")


# Launching.


def launch(training: TrainingConfig, some_frozen: bool = False) -> Fabric:
    """Join the processes that torchrun or Slurm has started, or start as many as `devices` says.

    torchrun and Slurm decide how many processes there are. Processes that are started here share
    the threads of this one, on a CPU. With `some_frozen` there are steps in which some weights have
    no gradient, and the processes do not wait for it. `devices` must be a number: of auto,
    `processes_or_threads` makes one. Raises UserError if a setting contradicts torchrun or Slurm,
    or needs hardware that this machine lacks.
    """
    on_gpu = torch.cuda.is_available()
    assert isinstance(training.devices, int)
    local_processes, nodes, environment = _processes_and_nodes(training.devices, os.environ)
    if on_gpu and local_processes > torch.cuda.device_count():
        raise UserError(
            f"{local_processes} processes here want a GPU each, but see "
            f"{torch.cuda.device_count()}: lower devices (Slurm: ask for the GPUs of a node by "
            "--gres=gpu:N, not by task)"
        )
    if not on_gpu:
        refuse_too_many_processes("devices", local_processes)
    precision = _precision(training.precision, on_gpu)
    # By default PyTorch uses TF32 in convolutions, but not in matrix products.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    # Its messages repeat the precision and the number of processes, which the user has set.
    logging.getLogger("lightning_fabric.utilities").setLevel(logging.WARNING)
    # No buffers to synchronise: the listener computes the same statistics in all processes.
    ddp = DDPStrategy(
        forward_sync_buffers=False,
        gradient_as_bucket_view=True,
        find_unused_parameters=some_frozen,
    )
    fabric = Fabric(
        accelerator="gpu" if on_gpu else "cpu",
        devices=local_processes,
        num_nodes=nodes,
        strategy=ddp if local_processes * nodes > 1 else "auto",
        precision=_FABRIC_PRECISION[precision],
        plugins=[environment],
    )
    if local_processes > 1 and isinstance(environment, LightningEnvironment):
        if not environment.creates_processes_externally:
            threads = max(thread_count() // local_processes, 1)
            os.environ.update({_LAUNCHER: str(os.getpid()), _THREADS: str(threads)})
        elif _LAUNCHER in os.environ:
            exit_with_launcher(int(os.environ[_LAUNCHER]))
        if not on_gpu and _THREADS in os.environ:  # the others read --threads again, as this did
            use_threads(int(os.environ[_THREADS]))
    fabric.launch()
    if not fabric.is_global_zero:  # one process logs the progress; each logs its own warnings
        logging.getLogger("sorigeul").setLevel(logging.WARNING)
    return fabric


def started_by(environment: Mapping[str, str] = os.environ) -> ClusterEnvironment:
    """What starts the processes of a run: torchrun, Slurm, or else one of them the others.

    Raises UserError if Slurm does not tell how many processes a node has.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if _count(environment, "SLURM_NTASKS", 1) > 1 and SLURMEnvironment.detect():
        if "SLURM_NTASKS_PER_NODE" not in environment:
            raise UserError(
                "Slurm knows the number of tasks, but not how many a node: set --ntasks-per-node"
            )
        return SLURMEnvironment()
    return LightningEnvironment()


def _processes_and_nodes(
    devices: int, environment: Mapping[str, str]
) -> tuple[int, int, ClusterEnvironment]:
    """The number of processes on this node, the number of nodes, and what starts the processes."""
    launcher = started_by(environment)
    if isinstance(launcher, LightningEnvironment):
        return devices, 1, launcher
    if isinstance(launcher, TorchElasticEnvironment):
        local, total = _count(environment, "LOCAL_WORLD_SIZE"), _count(environment, "WORLD_SIZE")
        whence = f"torchrun started {local} here (--nproc-per-node)"
    else:
        local = _count(environment, "SLURM_NTASKS_PER_NODE")
        total = _count(environment, "SLURM_NTASKS")
        whence = f"Slurm starts {local} a node (--ntasks-per-node)"
    if total % local:
        raise UserError(f"{total} processes, {local} of them here: every node needs as many")
    if devices not in (1, local):
        raise UserError(f"devices is {devices}, but {whence}: leave devices out, or give {local}")
    return local, total // local, launcher


def _count(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """The number of processes in a variable. Raises UserError if it holds none."""
    value = environment.get(name, "" if default is None else str(default))
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise UserError(
        f"{name} is {value!r} in the environment, but must be a number of processes: torchrun and "
        "Slurm set it; unset it if neither started this"
    )


def _precision(setting: str, on_gpu: bool) -> str:
    """The number format for the setting `precision`."""
    if setting in ("float16", "tf32") and not on_gpu:
        raise UserError(f"precision {setting} needs a GPU: choose bfloat16 or float32 on a CPU")
    if setting != "auto":
        return setting
    fast = torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bfloat16()
    return "bfloat16" if fast else "float32"


def cpu_has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16."""
    return any(
        torch.cpu.get_capabilities().get(name, False)
        for name in ("avx512_bf16", "amx_bf16", "bf16")
    )


def exit_with_launcher(launcher: int) -> None:
    """End this process as soon as the process `launcher` that started it has ended.

    Otherwise it would wait for it forever.
    """

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# Exchanging values. Every process has to call these functions, and in the same order.


def sum_over_processes(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Sum each of the values over all processes, in float64."""
    if fabric.world_size == 1:
        return list(values)
    sums = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    dist.all_reduce(sums)
    return sums.tolist()


def gather(fabric: Fabric, value: T) -> list[T]:
    """The values of all processes, in the order of their ranks."""
    if fabric.world_size == 1:
        return [value]
    values: list[T | None] = [None] * fabric.world_size
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


# Ending.


def error_on_one_process(fabric: Fabric, message: str) -> BaseException:
    """The exception to raise if all processes found the same error: only the first reports it."""
    return UserError(message) if fabric.is_global_zero else SystemExit(2)


@contextmanager
def raise_together(fabric: Fabric) -> Iterator[None]:
    """If one process raises UserError in the block, end all of them and report it once.

    The block must not exchange values between processes.
    """
    own_error = None
    try:
        yield
    except UserError as error:
        own_error = str(error)
    for message in gather(fabric, own_error):
        if message is not None:
            raise error_on_one_process(fabric, message)


@contextmanager
def explain_crash(fabric: Fabric) -> Iterator[None]:
    """Explain in one line why a process ended, where libraries take many lines or say nothing."""
    try:
        yield
    except (RuntimeError, MemoryError, *_BROKEN_WORKER_CONNECTION) as error:
        message = str(error)
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in message:
            raise UserError(
                "out of memory: lower batch_seconds or batch_size (accumulate makes up for it), "
                "set checkpoint_activations True, or prepare with a lower --max_duration"
            ) from error
        if "DataLoader worker" in message or isinstance(error, _BROKEN_WORKER_CONNECTION):
            raise ChildProcessError(
                f"a process that decodes audio has died ({' '.join(message.split())}): the same "
                "command goes on from the last checkpoint; if memory was short, lower num_workers"
            ) from error
        if isinstance(error, dist.DistError) or "gloo" in message:
            if not fabric.is_global_zero:
                raise SystemExit(1) from error
            raise ChildProcessError(
                "another process of the run has ended, for the reason it gave above if it gave "
                "one: the same command goes on from the last checkpoint"
            ) from error
        raise
