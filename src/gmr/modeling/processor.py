"""Where a query and a document become token ids and pixels, the same for training and serving."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from gmr.core.errors import DataError, ModelError
from gmr.core.files import atomic_write_json
from gmr.core.items import Image
from gmr.core.nouns import Document, Pair, Query, owner_name, pair_name
from gmr.modeling.answers import with_answers
from gmr.modeling.chat_template import chat_template
from gmr.modeling.compact_pixels import CompactPixels, PixelCode
from gmr.modeling.images import Grid, PixelCache, image_grid, load_image_processor, preprocess_images
from gmr.modeling.rendering import Fragment, render, resolve
from gmr.modeling.settings import choose_template, read_config, read_settings
from gmr.modeling.templates import Slot, Template
from gmr.modeling.tokenization import AnswerIds, PlainTokenizer, find_answer_ids
from gmr.modeling.truncation import fit_texts, limit_side, within_positions


@dataclass(frozen=True)
class Prompt:
    """One (query, document) pair as the model reads it.

    Attributes:
        input_ids: Token ids, picture placeholders expanded.
        images: Pictures in the order of their placeholders.
        grids: Patches in time, height and width of each picture.
        truncated: Whether text was cut.
        document_lost: Whether nothing at all was left of the document.
        num_document: Tokens from the left that no query can change, where a template puts the document first; else 0.
        num_query: Tokens from the left that no document can change, where it puts query and instruction first; else 0.
    """

    input_ids: list[int]
    images: tuple[Image, ...] = ()
    grids: tuple[Grid, ...] = ()
    truncated: bool = False
    num_document: int = 0
    num_query: int = 0
    document_lost: bool = False


class PromptProcessor:
    """Renders, tokenises and batches (query, document) pairs after one template. Can be pickled.

    Args:
        tokenizer: A transformers tokenizer backed by the tokenizers library.
        image_processor: Of the Qwen-VL family, on the PIL backend; ``None`` for a model that reads text only.
        template: The prompt of the model's family.
        max_tokens: Longest prompt; the template's own limit by default.

    Raises:
        ModelError: The tokenizer lacks a control token of the template, or an answer is not one token.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        image_processor: Qwen2VLImageProcessorPil | None,
        template: Template,
        *,
        max_tokens: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        # Fragments and ids of the side that came first in the last prompt: candidates of one query follow each other.
        self._first: tuple[list[Fragment], list[int]] | None = None
        self.image_processor = image_processor
        self.template = template
        self.max_tokens = template.max_tokens if max_tokens is None else max_tokens
        self.plain_tokenizer = PlainTokenizer(tokenizer)
        self.answer_ids: AnswerIds = find_answer_ids(template, self.plain_tokenizer)
        self._segments = resolve(template, self.plain_tokenizer)
        self._limited = [slot for slot in template.segments if isinstance(slot, Slot) and slot.max_tokens]
        self._picture_ids: tuple[int, ...] = ()
        self._merge_area = 1
        if image_processor is not None:
            self._picture_ids = tuple(map(self.plain_tokenizer.control_id, template.picture))
            self._merge_area = int(image_processor.merge_size) ** 2

    @property
    def image_processor(self) -> Qwen2VLImageProcessorPil | None:
        """Reads pictures; to set another forgets what was read by this one."""
        return self._image_processor

    @image_processor.setter
    def image_processor(self, image_processor: Qwen2VLImageProcessorPil | None) -> None:
        self._image_processor = image_processor
        self._pixel_code = PixelCode(image_processor)
        self.forget_pixels()

    @property
    def pad_token_id(self) -> int:
        """Id that fills up shorter rows; masked, so any id does where the tokenizer names none."""
        return 0 if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id

    @property
    def image_token_id(self) -> int | None:
        """Id of a picture's placeholder; None for a model that reads text only."""
        return self._picture_ids[1] if self._picture_ids else None

    def encode(self, query: Query, document: Document) -> Prompt:
        """Token ids and pictures of one pair; no picture is opened.

        Raises:
            DataError: Pictures and template alone are longer than ``max_tokens``, or the model takes no item
                of this kind; the message names query and document.
        """
        instruction = self.template.default_instruction if query.instruction is None else query.instruction
        fragments, truncated = render(
            self._segments, query, document, instruction=instruction, max_tokens=self.max_tokens
        )
        for slot in self._limited:
            fragments, cut = limit_side(
                fragments, slot.side, self.plain_tokenizer, max_tokens=slot.max_tokens or self.max_tokens
            )
            truncated |= cut
        grids = tuple(
            self._grid(fragment, query, document)
            for fragment in fragments
            if isinstance(fragment.value, Image)
        )
        input_ids = self._input_ids(fragments, grids)
        if len(input_ids) > self.max_tokens:
            fragments, length = fit_texts(
                fragments,
                self.plain_tokenizer,
                lambda shorter: len(self._input_ids(shorter, grids)),
                max_tokens=self.max_tokens,
            )
            if length > self.max_tokens:
                raise DataError(
                    f"{pair_name(query, document)}: template, instruction and pictures ({len(grids)}) take "
                    f"{length} tokens, more than max_tokens = {self.max_tokens}; use smaller or fewer "
                    "pictures, or a larger max_tokens"
                )
            input_ids, truncated = self._input_ids(fragments, grids), True
        images = tuple(fragment.value for fragment in fragments if isinstance(fragment.value, Image))
        first = self._num_first(fragments, grids, input_ids)
        lost = truncated and not any(each.value for each in fragments if each.side == "document")
        return Prompt(input_ids, images, grids, truncated, **first, document_lost=lost)

    def encode_many(self, pairs: Iterable[Pair]) -> list[Prompt]:
        """``encode`` of each pair, in order."""
        return [self.encode(query, document) for query, document in pairs]

    def num_image_tokens(self, grid: Grid) -> int:
        """Placeholder tokens of a picture with this grid."""
        return grid[0] * grid[1] * grid[2] // self._merge_area

    def preprocess(self, images: Sequence[Image]) -> tuple[Tensor, Tensor]:
        """Pixel values ``(patches, dim)`` float32 and grids ``(images, 3)`` int64 of the pictures, in order.

        Raises:
            ModelError: The model reads text only.
        """
        if self.image_processor is None:
            raise ModelError("the model has no image processor: it reads text only")
        return preprocess_images(self.image_processor, images, self._pixels)

    def preprocess_compact(self, images: Sequence[Image]) -> tuple[CompactPixels, Tensor]:
        """As ``preprocess``, in an eighth of the memory: for pictures that have to wait."""
        pixel_values, grids = self.preprocess(images)
        return self._pixel_code.compact(pixel_values), grids

    def forget_pixels(self) -> None:
        """Drop grids, and patches of small pictures, of earlier batches; needed when a setting is changed in place."""
        self._grids: dict[tuple[int, int], Grid] = {}
        self._pixels = PixelCache()

    def collate(
        self,
        prompts: Sequence[Prompt],
        *,
        padding_side: Literal["left", "right"] = "left",
        pad_to: int | None = None,
    ) -> dict[str, Tensor]:
        """One batch; each distinct picture (by content) is opened and preprocessed once.

        Args:
            prompts: At least one.
            padding_side: Where shorter rows are filled up.
            pad_to: Length of the rows; the longest prompt's by default.

        Returns:
            ``input_ids`` and ``attention_mask``, both ``(rows, length)`` int64; when there are pictures also
            ``pixel_values`` ``(patches, dim)`` float32 and ``image_grid_thw`` ``(distinct, 3)`` int64 of
            the distinct pictures, and ``image_index`` ``(occurrences,)`` int64: which of them stands at each
            picture's place, row by row.

        Raises:
            ValueError: No prompts, or one longer than ``pad_to``.
        """
        lengths = [len(prompt.input_ids) for prompt in prompts]
        if not lengths or (pad_to is not None and max(lengths) > pad_to):
            raise ValueError(f"cannot collate prompts of {lengths} tokens to rows of {pad_to}")
        width = max(lengths) if pad_to is None else pad_to
        pad = self.pad_token_id
        left = padding_side == "left"
        rows, masks = [], []
        for prompt in prompts:
            missing = width - len(prompt.input_ids)
            filler, zeros, ones = [pad] * missing, [0] * missing, [1] * len(prompt.input_ids)
            rows.append(filler + prompt.input_ids if left else prompt.input_ids + filler)
            masks.append(zeros + ones if left else ones + zeros)
        batch = {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}
        return batch | self.collate_pictures(prompts)

    def collate_pictures(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        """The picture part of ``collate``'s batch; empty without pictures."""
        images = [image for prompt in prompts for image in prompt.images]
        if not images:
            return {}
        distinct = {image.key: image for image in images}
        position = {key: index for index, key in enumerate(distinct)}
        pixel_values, image_grid_thw = self.preprocess(list(distinct.values()))
        return {
            "pixel_values": pixel_values,
            "image_grid_thw": image_grid_thw,
            "image_index": torch.tensor([position[image.key] for image in images]),
        }

    def chat_template(self) -> str:
        """Jinja template that renders the roles system (instruction), query and document to the same prompt.

        Raises:
            ModelError: The prompt ends in a token that no text gives.
        """
        return chat_template(self.template)

    def settings(self) -> dict[str, Any]:
        """What ``gmr.json`` says about the prompt."""
        return {
            "template": self.template.name,
            "max_tokens": self.max_tokens,
            "answers": {"positive": list(self.template.positive), "negative": list(self.template.negative)},
            "default_instruction": self.template.default_instruction,
        }

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes tokenizer, image processor, chat template and the prompt's part of ``gmr.json``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # The score is read at the last position: others who load the folder must pad on the left as well. An encoder
        # reads the first, and counts absolute positions from it.
        self.tokenizer.padding_side = "left" if self.template.reads == "last" else "right"
        self.tokenizer.save_pretrained(str(folder))
        if self.image_processor is not None:
            self.image_processor.save_pretrained(str(folder))
        if self.answer_ids.positive and self.template.reads == "last":
            (folder / "chat_template.jinja").write_text(self.chat_template(), encoding="utf-8")
        path = folder / "gmr.json"
        atomic_write_json(path, {"format": 1, **read_settings(path), **self.settings()})

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        template: str | Template | None = None,
        max_tokens: int | None = None,
        answers: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> "PromptProcessor":
        """The processor of a checkpoint.

        ``gmr.json`` in a local folder says template, answers, default instruction and ``max_tokens``; without
        it the template is guessed from ``config.json``. Arguments come before both.

        Args:
            name_or_path: Local folder or hub id.
            template: Name in ``TEMPLATES``, or a template of your own.
            max_tokens: Longest prompt.
            answers: Name in ``ANSWER_SETS``; the template's or the folder's own by default.
            config: Contents of the backbone's ``config.json`` where the caller has read it.

        Raises:
            ModelError: A file is unreadable or does not fit the others.
            ConfigError: The template or the set of answers is unknown, or no template can be guessed.
        """
        folder = str(name_or_path)
        settings = read_settings(Path(folder) / "gmr.json")
        if config is None:
            config = read_config(folder)
        chosen = choose_template(template, settings, config, where=folder)
        if answers is not None:
            chosen = with_answers(chosen, answers)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{folder}: its tokenizer cannot be loaded: {error}") from error
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelError(
                f"{folder}: {type(tokenizer).__name__} is no fast tokenizer (no tokenizer.json?)"
            )
        image_processor = None
        if "vision_config" in config:
            # A folder of ours keeps the limits it was trained with; else the family's published ones hold.
            limits = None if settings else chosen.image_tokens
            image_processor = load_image_processor(folder, image_tokens=limits)
        longest = settings.get("max_tokens") if max_tokens is None else max_tokens
        if chosen.reads == "first":
            longest = within_positions(longest, chosen, config, where=folder)
        try:
            processor = cls(tokenizer, image_processor, chosen, max_tokens=longest)
        except ModelError as error:
            raise ModelError(f"{folder}: {error}") from error
        processor.check_fits(config, where=folder)
        return processor

    def check_fits(self, config: Mapping[str, Any], *, where: str) -> None:
        """Compares patches and placeholders with the backbone's ``config.json``.

        Raises:
            ModelError: They differ; the message names the setting and both values.
        """
        if self.image_processor is None:
            return
        vision = config["vision_config"]
        pairs = {
            "patch_size": (self.image_processor.patch_size, vision.get("patch_size")),
            "temporal_patch_size": (
                self.image_processor.temporal_patch_size,
                vision.get("temporal_patch_size"),
            ),
            "merge_size": (self.image_processor.merge_size, vision.get("spatial_merge_size")),
            "image_token_id": (self._picture_ids[1], config.get("image_token_id")),
        }
        for name, (mine, models) in pairs.items():
            if models is not None and mine != models:
                raise ModelError(
                    f"{where}: {name} is {mine} in the processor but {models} in the model's config"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_first": None}

    def _num_first(
        self, fragments: Sequence[Fragment], grids: Sequence[Grid], input_ids: Sequence[int]
    ) -> dict[str, int]:
        """Tokens of the side that comes first, and of the template before the other; empty if sides alternate."""
        sides = ["query" if fragment.side == "instruction" else fragment.side for fragment in fragments]
        there = [side for side in sides if side]
        if len(set(there)) != 2 or there != sorted(there, key=there.index):
            return {}
        second = sides.index(there[-1])
        # Text of both sides may meet in one token: what is the same without the second is the first one's.
        first = self._first  # once: another thread may put its own there at any moment
        if first is None or first[0] != fragments[:second]:
            first = self._first = list(fragments[:second]), self._input_ids(fragments[:second], grids)
        alone = first[1]
        longest = min(len(alone), len(input_ids) - 1)
        same = alone[:longest] == input_ids[:longest]
        num_first = (
            longest if same else next(place for place in range(longest) if alone[place] != input_ids[place])
        )
        return {f"num_{there[0]}": num_first}

    def _grid(self, fragment: Fragment, query: Query, document: Document) -> Grid:
        image = fragment.value
        where = owner_name(query if fragment.side == "query" else document)
        if not isinstance(image, Image) or self.image_processor is None:
            raise DataError(f"{where} has a picture, but the model reads text only")
        try:
            size = image.size
            if size not in self._grids:
                self._grids[size] = image_grid(self.image_processor, size)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        return self._grids[size]

    def _input_ids(self, fragments: Iterable[Fragment], grids: Iterable[Grid]) -> list[int]:
        """Ids of the prompt: neighbouring texts are joined and encoded as one, as a chat template would."""
        ids: list[int] = []
        run: list[str] = []
        left = iter(grids)
        for _, value in fragments:
            if isinstance(value, str):
                run.append(value)
                continue
            if run:
                ids += self.plain_tokenizer.encode("".join(run))
                run.clear()
            if isinstance(value, int):
                ids.append(value)
            else:
                before, placeholder, after = self._picture_ids
                ids += [before, *([placeholder] * self.num_image_tokens(next(left))), after]
        if run:
            ids += self.plain_tokenizer.encode("".join(run))
        return ids
