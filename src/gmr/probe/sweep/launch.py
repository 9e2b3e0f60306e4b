"""Where runs are made: in processes of this machine, by ``accelerate launch``, or as tasks of Ray."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from gmr.core.errors import ModelError
from gmr.probe.sweep.execute import execute
from gmr.train.workers import workers

Submit = Callable[[Path], "Future[None]"]


@contextmanager
def in_processes(num_runs: int) -> Iterator[Submit]:
    """One process and one thread for each run, so many at a time."""
    with workers(num_runs) as pool:
        yield lambda folder: pool.submit(execute, folder)


@contextmanager
def by_accelerate(num_runs: int) -> Iterator[Submit]:
    """One run at a time on all devices, as ``accelerate config`` says; so many where each has devices of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def run(folder: Path) -> None:
        module = ["-m", "gmr.probe.sweep.execute", str(folder)]
        command = [sys.executable, "-m", "accelerate.commands.launch", *module]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            started.append(process)
            _, told = process.communicate()
        if process.returncode:
            lines = told.decode(errors="replace").strip().splitlines()
            named = [line for line in lines if line.startswith("error: ")]
            reason = named[0].removeprefix("error: ") if named else (lines or ["no reason told"])[-1]
            raise ModelError(f"accelerate launch ended with {process.returncode}: {reason}")

    with ThreadPoolExecutor(num_runs) as pool:
        try:
            yield lambda folder: pool.submit(run, folder)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                process.terminate()
            raise


@contextmanager
def on_ray(num_runs: int) -> Iterator[Submit]:
    """Tasks of Ray, so many at a time, each with a GPU where there are GPUs; all nodes see the same folders."""
    try:
        import ray
    except ImportError as error:
        raise ModelError("--over ray needs Ray: pip install 'gmr-rerank[ray]'") from error
    is_ours = not ray.is_initialized()
    if is_ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    num_gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    # Ray gives a task as many threads as cores: one here, or one in so many as run beside it.
    num_cpus = max(1.0, ray.cluster_resources().get("CPU", 1.0) / num_runs)
    task: Any = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus)(_on_node)

    def submit(folder: Path) -> "Future[None]":
        future: Future[None] = task.remote(str(folder.resolve())).future()
        return future

    try:
        yield submit
    finally:
        if is_ours:
            ray.shutdown()


def _on_node(folder: str) -> None:
    import torch

    torch.set_num_threads(1)  # as everywhere: how sums are cut between threads decides their last bits
    execute(Path(folder))


OVER: dict[str, Callable[[int], AbstractContextManager[Submit]]] = {
    "processes": in_processes,
    "accelerate": by_accelerate,
    "ray": on_ray,
}
