"""The processes of a run: how they are launched, what they tell each other, how they end.

Each trains on a GPU of its own, or on its share of a CPU. All of them take every decision at the
same step, since one that went its own way would leave the others waiting for its gradients. Knows
nothing of what they train.
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

from sorigeul.base.errors import UserError
from sorigeul.training.settings import TrainingConfig

_LAUNCHER = "SORIGEUL_LAUNCHER"  # environment variable: the process that started its companions
# What is raised where a worker dies while it hands over a batch.
_HANDOVER = (ConnectionResetError, ConnectionRefusedError, EOFError)
_FABRIC_PRECISION: dict[str, Literal["bf16-mixed", "16-mixed", "32-true"]] = {
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
    "float32": "32-true",
    "tf32": "32-true",
}

T = TypeVar("T")


# Launching.


def launch(training: TrainingConfig) -> Fabric:
    """Join the processes that torchrun or Slurm has started, or start those `devices` asks for.

    What starts them decides how many there are. Raises UserError where a setting contradicts it,
    or asks for what this machine has not.
    """
    on_gpu = torch.cuda.is_available()
    here, nodes, environment = _cluster(training.devices, os.environ)
    if on_gpu and here > torch.cuda.device_count():
        raise UserError(
            f"{here} processes here want a GPU each, but see {torch.cuda.device_count()}: lower "
            "devices (Slurm: ask for the GPUs of a node by --gres=gpu:N, not by task)"
        )
    precision = _precision(training.precision, on_gpu)
    # PyTorch's own default lets convolutions, though not matrix products, use TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    # It announces the precision and the processes, which config.yaml and the environment say.
    logging.getLogger("lightning_fabric.utilities").setLevel(logging.WARNING)
    # The listener keeps the statistics of all processes equal itself.
    ddp = DDPStrategy(forward_sync_buffers=False, gradient_as_bucket_view=True)
    fabric = Fabric(
        accelerator="gpu" if on_gpu else "cpu",
        devices=here,
        num_nodes=nodes,
        strategy=ddp if here * nodes > 1 else "auto",
        precision=_FABRIC_PRECISION[precision],
        plugins=[environment],
    )
    if here > 1 and isinstance(environment, LightningEnvironment):
        if not environment.creates_processes_externally:
            os.environ[_LAUNCHER] = str(os.getpid())
        elif _LAUNCHER in os.environ:
            _end_with(int(os.environ[_LAUNCHER]))
    fabric.launch()
    if not fabric.is_global_zero:  # one voice tells how it goes; warnings are of each its own
        logging.getLogger("sorigeul").setLevel(logging.WARNING)
    return fabric


def _cluster(devices: int, environment: Mapping[str, str]) -> tuple[int, int, ClusterEnvironment]:
    """Processes on this node, nodes, and who starts them."""
    if TorchElasticEnvironment.detect():
        here, everywhere = int(environment["LOCAL_WORLD_SIZE"]), int(environment["WORLD_SIZE"])
        launcher: ClusterEnvironment = TorchElasticEnvironment()
        said = f"torchrun started {here} here (--nproc-per-node)"
    elif int(environment.get("SLURM_NTASKS", 1)) > 1 and SLURMEnvironment.detect():
        if "SLURM_NTASKS_PER_NODE" not in environment:
            raise UserError("Slurm was told how many tasks, not how many a node: --ntasks-per-node")
        here = int(environment["SLURM_NTASKS_PER_NODE"])
        everywhere = int(environment["SLURM_NTASKS"])
        launcher = SLURMEnvironment()
        said = f"Slurm starts {here} a node (--ntasks-per-node)"
    else:
        return devices, 1, LightningEnvironment()
    if everywhere % here:
        raise UserError(f"{everywhere} processes, of which {here} here: every node needs as many")
    if devices not in (1, here):
        raise UserError(f"devices is {devices}, but {said}: leave devices out, or give {here}")
    return here, everywhere // here, launcher


def _precision(wanted: str, on_gpu: bool) -> str:
    if wanted in ("float16", "tf32") and not on_gpu:
        raise UserError(f"precision {wanted} needs a GPU: choose bfloat16 or float32 on a CPU")
    if wanted != "auto":
        return wanted
    fast = torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bfloat16()
    return "bfloat16" if fast else "float32"


def cpu_has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 itself."""
    return any(
        torch.cpu.get_capabilities().get(name, False)
        for name in ("avx512_bf16", "amx_bf16", "bf16")
    )


def _end_with(launcher: int) -> None:
    """End this process once the one that started it is gone, for which it would wait for ever."""

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# What the processes tell each other. Every one of them has to call these, in the same order.


def sum_over_processes(fabric: Fabric, figures: Sequence[float]) -> list[float]:
    """Add up figures over the processes."""
    if fabric.world_size == 1:
        return list(figures)
    sums = torch.tensor(figures, dtype=torch.float64, device=fabric.device)
    dist.all_reduce(sums)
    return sums.tolist()


def gather(fabric: Fabric, own: T) -> list[T]:
    """What each process has, in the order of their ranks."""
    if fabric.world_size == 1:
        return [own]
    found: list[T | None] = [None] * fabric.world_size
    dist.all_gather_object(found, own)
    return found  # type: ignore[return-value]


# How they end.


def error_on_one_process(fabric: Fabric, message: str) -> BaseException:
    """What to raise where all processes have found the same: one of them says it."""
    return UserError(message) if fabric.is_global_zero else SystemExit(2)


@contextmanager
def raise_together(fabric: Fabric) -> Iterator[None]:
    """End all processes where one of them refuses what it reads, and say once why.

    Within, they tell each other nothing.
    """
    failure = None
    try:
        yield
    except UserError as error:
        failure = str(error)
    for message in gather(fabric, failure):
        if message is not None:
            raise error_on_one_process(fabric, message)


@contextmanager
def explain_crash(fabric: Fabric) -> Iterator[None]:
    """Say in a line what ended a process, where its libraries say it in many or not at all."""
    try:
        yield
    except (RuntimeError, MemoryError, *_HANDOVER) as error:
        said = str(error)
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in said:
            raise UserError(
                "out of memory: lower batch_seconds or batch_size (accumulate makes up for it), "
                "set checkpoint_activations True, or prepare with a lower --max_duration"
            ) from error
        if "DataLoader worker" in said or isinstance(error, _HANDOVER):
            raise ChildProcessError(
                f"a process that decodes audio has died ({' '.join(said.split())}): the same "
                "command goes on from the last checkpoint; if memory was short, lower num_workers"
            ) from error
        if isinstance(error, dist.DistError) or "gloo" in said:
            if not fabric.is_global_zero:
                raise SystemExit(1) from error
            raise ChildProcessError(
                "another process of the run has ended, for the reason it gave above if it gave "
                "one: the same command goes on from the last checkpoint"
            ) from error
        raise
