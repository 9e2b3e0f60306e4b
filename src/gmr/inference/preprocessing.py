"""Pictures are opened and preprocessed in threads while the model computes; Pillow and NumPy free the interpreter."""

import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from gmr.core.items import Image
from gmr.modeling.processor import PromptProcessor

# A job for a thread: one page, or as many glyphs as are worth the hand-over.
JOB_PATCHES = 4_096
JOB_PICTURES = 64

# Pixel values (patches, values) and grid (3,) of one picture.
Patches = tuple[Tensor, Tensor]


def num_workers() -> int:
    """Threads for pictures: all cores but one, up to four; none where there is one core."""
    return min(4, (os.cpu_count() or 1) - 1)


class Wanted(NamedTuple):
    """A picture that will be needed, and its number of patches."""

    image: Image
    num_patches: int


class PictureReader:
    """Pixel values of pictures, prepared in the order in which they will be asked for.

    Args:
        processor: opens and preprocesses pictures.
        workers: threads; with 0 pictures are prepared when they are asked for.
        max_patches: most patches that are prepared and not yet asked for; a larger picture goes alone.
    """

    def __init__(self, processor: PromptProcessor, *, workers: int, max_patches: int) -> None:
        self._processor = processor
        self._executor = ThreadPoolExecutor(workers, "gmr-pictures") if workers > 0 else None
        self._max_patches = max_patches
        self._queue: deque[Wanted] = deque()
        self._jobs: dict[str, tuple[Future[list[Patches]], int, int]] = {}
        self._outstanding = 0

    def expect(self, wanted: Iterable[Wanted]) -> None:
        """Prepare these from now on, in this order, and no others; what is under way already stays."""
        self._queue = deque(each for each in wanted if each.image.key not in self._jobs)
        self._submit()

    def take(self, images: Sequence[Image]) -> tuple[Tensor, Tensor]:
        """Pixel values ``(patches, values)`` and grids ``(pictures, 3)`` of the pictures, in order.

        Raises:
            DataError: a picture cannot be opened.
        """
        late = [image for image in images if image.key not in self._jobs]
        if len(late) == len(images):
            self._submit()
            return self._processor.preprocess(images)
        found: dict[str, Patches] = {}
        if late:
            found = dict(zip((image.key for image in late), self._prepare(late), strict=True))
        for image in images:
            if image.key in found:
                continue
            job, place, num_patches = self._jobs.pop(image.key)
            found[image.key] = job.result()[place]
            self._outstanding -= num_patches
        self._submit()
        pixels, grids = zip(*(found[image.key] for image in images), strict=True)
        return torch.cat(pixels), torch.stack(grids)

    def close(self) -> None:
        """Stop; pictures that nobody asked for are dropped."""
        self._queue.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "PictureReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _submit(self) -> None:
        """Give the threads what the bound leaves room for."""
        while self._executor is not None and self._queue:
            first = self._queue[0].num_patches
            if self._outstanding and self._outstanding + first > self._max_patches:
                return
            job: list[Wanted] = []
            size = 0
            while self._queue and len(job) < JOB_PICTURES and size < JOB_PATCHES:
                if job and self._outstanding + size + self._queue[0].num_patches > self._max_patches:
                    break
                job.append(self._queue.popleft())
                size += job[-1].num_patches
            self._outstanding += size
            future = self._executor.submit(self._prepare, [each.image for each in job])
            for place, each in enumerate(job):
                self._jobs[each.image.key] = (future, place, each.num_patches)

    def _prepare(self, images: Sequence[Image]) -> list[Patches]:
        pixels, grids = self._processor.preprocess(images)
        return list(zip(pixels.split(grids.prod(-1).tolist()), grids, strict=True))
