"""From groups to the tensors of one training step; runs in the dataloader's workers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gmr.core.errors import DataError, GmrError
from gmr.core.nouns import check_pictures
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, pack
from gmr.modeling.processor import Prompt, PromptProcessor
from gmr.train.cutting import cut_packed, cut_padded
from gmr.train.pictures import BatchPictures, share_pictures
from gmr.train.sampling import Group


class GroupCollator:
    """Renders, tokenises and packs the prompts of a batch, and prepares each distinct picture once.

    All of it happens here, off the training step, and without random numbers.

    Args:
        processor: Of the model.
        engine: ``packed``: prompts without padding, what they share once; or ``padded`` pairs. The gradient is the
            same.
        rows_per_pass: Most prompts of a forward pass; None is all of them.
        tokens_per_pass: Most new tokens of a forward pass: of a packed one each prefix once and what each prompt has
            of its own, of a padded one rows times the longest; a longer prompt is a pass of its own. None is no limit.
        length_groups: Padded passes of about equal length that a batch is cut into where no limit is set.
        shares_pictures: Several passes share the batch's pictures, for whoever encodes them once for all; otherwise
            each pass brings its own.

    Raises:
        ValueError: An engine that there is not, or a number below 1.
    """

    def __init__(
        self,
        processor: PromptProcessor,
        *,
        engine: str = "packed",
        rows_per_pass: int | None = None,
        tokens_per_pass: int | None = None,
        length_groups: int = 1,
        shares_pictures: bool = False,
    ) -> None:
        if engine not in ("packed", "padded"):
            raise ValueError(f"engine must be 'packed' or 'padded', not {engine!r}")
        limits = {
            "rows_per_pass": rows_per_pass,
            "tokens_per_pass": tokens_per_pass,
            "length_groups": length_groups,
        }
        for name, value in limits.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self.processor = processor
        self.engine = engine
        self.rows_per_pass = rows_per_pass
        self.tokens_per_pass = tokens_per_pass
        self.length_groups = length_groups
        self.shares_pictures = shares_pictures

    def __call__(self, groups: Sequence[Group]) -> dict[str, Any]:
        """The model's inputs, one row per prompt, and what the objective needs, one row per query.

        Args:
            groups: The batch.

        Returns:
            * ``passes`` what ``collate_packed`` or ``PromptProcessor.collate`` gives for the prompts of all groups:
              a list of one, or of several when a limit or ``length_groups`` cuts the batch;
            * ``pictures`` a ``BatchPictures`` of what the passes show, only when they share it;
            * ``order`` ``(rows,)`` int64: which prompt, counted through the groups, each row of the passes is;
            * ``labels`` ``(queries, docs)`` float32, ragged groups padded with zeros;
            * ``mask`` ``(queries, docs)`` bool, its True entries in row-major order being the prompts;
            * ``teacher`` ``(queries, docs)`` float32, only when every group brings teacher scores;
            * ``reference`` ``(queries, docs, answers)`` and ``draws`` ``(queries, docs, roll-outs)`` float32, only when
              the groups bring them;
            * ``num_truncated`` scalar int64: prompts of which text was cut.

        Raises:
            DataError: A picture or text that cannot be used, naming example, query and document.
        """
        prompts = []
        for group in groups:
            with _naming(group):
                prompts += [self.processor.encode(group.query, document) for document in group.documents]
        passes, shown, order = self._passes(prompts)
        try:
            pictures = self._add_pictures(passes, shown)
        except DataError:  # pictures are shared between prompts, and only the groups have ids
            for group in groups:
                with _naming(group):
                    check_pictures(group.query, *group.documents)
            raise
        batch: dict[str, Any] = {
            "passes": passes,
            "order": torch.tensor(order),
            "labels": _padded([group.labels for group in groups], fill=0.0),
            "mask": _padded([[True] * len(group.documents) for group in groups], fill=False),
            "num_truncated": torch.tensor(sum(prompt.truncated for prompt in prompts)),
        }
        if pictures is not None:
            batch["pictures"] = pictures
        teacher = [group.teacher for group in groups if group.teacher is not None]
        if len(teacher) == len(groups):
            batch["teacher"] = _padded(teacher, fill=0.0)
        for name in ("reference", "draws"):
            rows = [getattr(group, name) for group in groups]
            if all(row is not None for row in rows):
                width = len(rows[0][0])
                batch[name] = torch.tensor(
                    [[*row, *[(0.0,) * width] * (batch["mask"].shape[1] - len(row))] for row in rows]
                )
        return batch

    def _passes(
        self, prompts: Sequence[Prompt]
    ) -> tuple[list[dict[str, Any]], list[Sequence[Prompt]], list[int]]:
        """The passes without their pictures, the prompts that show those, and which prompt each row is."""
        placeholder = self.processor.image_token_id
        limits = {"max_tokens": self.tokens_per_pass, "max_rows": self.rows_per_pass}
        passes: list[dict[str, Any]] = []
        shown: list[Sequence[Prompt]] = []
        order: list[int] = []
        if self.engine == "padded":
            lengths = [len(prompt.input_ids) for prompt in prompts]
            for rows in cut_padded(lengths, **limits, length_groups=self.length_groups):
                shown.append([prompts[row] for row in rows])
                texts = [replace(prompt, images=(), grids=()) for prompt in shown[-1]]
                passes.append(dict(self.processor.collate(texts)))
                order += rows
            return passes, shown, order
        for groups in cut_packed(prompts, placeholder=placeholder, **limits):
            parts = [Part([prompts[row] for row in group.rows], group.num_shared) for group in groups]
            packed = pack(parts, placeholder=placeholder)
            passes.append(collate_packed(self.processor, packed, pictures=False))
            shown.append(packed.segments)
            order += [row for group in groups for row in group.rows]
        return passes, shown, order

    def _add_pictures(
        self, passes: Sequence[dict[str, Any]], shown: Sequence[Sequence[Prompt]]
    ) -> BatchPictures | None:
        """Complete the passes in place; what they share between them, if they do."""
        if len(passes) == 1 or not self.shares_pictures:
            for part, prompts in zip(passes, shown, strict=True):
                part.update(self.processor.collate_pictures(prompts))
            return None
        pictures, inputs = share_pictures(self.processor, shown)
        for part, names in zip(passes, inputs, strict=True):
            part.update(names)
        return pictures


@contextmanager
def _naming(group: Group) -> Iterator[None]:
    """Errors inside name the group's example."""
    try:
        yield
    except GmrError as error:
        raise type(error)(f"example {group.example_id!r}: {error}") from error


def _padded(rows: Sequence[Sequence[float]], *, fill: float) -> Tensor:
    """Ragged rows as one tensor ``(rows, longest)``."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
