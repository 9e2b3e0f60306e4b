"""Processes of one thread each that share the cores; small matrices gain little from a second thread."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from threading import Thread

POLL_S = 0.5


@contextmanager
def workers(num_jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool for so many jobs, with as many processes or one for each core; whatever goes wrong inside, none stays."""
    # A fresh interpreter for each: a fork of one that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    size = min(num_jobs, os.cpu_count() or 1)
    with ProcessPoolExecutor(size, mp_context=context, initializer=_quiet_worker) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _quiet_worker() -> None:
    """One thread, no word on the terminal that the parent draws its bar on, and no life after the parent's."""
    import logging

    Thread(target=_end_with_the_parent, daemon=True).start()

    # Every new shape of a matrix product is a kernel that oneDNN keeps, with its buffers, up to a thousand of them; and
    # hardly two packed sequences are of one length. Read when torch is imported.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

    os.environ["OMP_NUM_THREADS"] = "1"

    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)


def _end_with_the_parent() -> None:
    """Whatever ended it, a parent that is gone wants no results; its checkpoints are what it goes on from."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
