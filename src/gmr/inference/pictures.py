"""Each distinct picture goes through the vision tower once per call, and is kept while it is needed."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gmr.core.items import Image
from gmr.inference.circumstances import circumstances
from gmr.inference.preprocessing import PictureReader, Wanted
from gmr.inference.stores import ByteBoundedStore
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import Prompt
from gmr.modeling.vision_features import PictureFeatures


class FeatureStore(ByteBoundedStore[PictureFeatures]):
    """Features of pictures by content; one found here is neither decoded nor encoded, for its key is its file's."""

    def size_of(self, value: PictureFeatures) -> int:
        """Bytes of all features of a picture."""
        return value.num_bytes

    def own(self, value: PictureFeatures) -> PictureFeatures:
        """A copy: a view would keep the features of the whole pass that it was cut from."""
        return value.clone()


class PictureCache:
    """Features of the pictures of one call, by content.

    Args:
        model: encodes the pictures.
        prompts: all prompts of the call; a picture is forgotten after the last prompt that shows it.
        max_patches: most patches in one pass through the tower; a larger picture goes alone.
        max_bytes: most memory of kept features. Beyond it the oldest are dropped, and encoded again when
            needed.
        store: features from earlier calls, and where those of this one go; None for none.
        alone: whether each picture goes through the tower by itself, so that no other changes a bit of it.
        workers: threads that open and preprocess pictures ahead of the model.
    """

    def __init__(
        self,
        model: RerankModel,
        prompts: Iterable[Prompt],
        *,
        max_patches: int,
        max_bytes: int,
        store: FeatureStore | None = None,
        alone: bool = False,
        workers: int = 0,
    ) -> None:
        self._model = model
        self._store = FeatureStore(0) if store is None else store
        self._uses = Counter(image.key for prompt in prompts for image in prompt.images)
        self._features: dict[str, PictureFeatures] = {}
        self._bytes = 0
        self._max_patches = 0 if alone else max_patches
        self._max_bytes = max_bytes
        # What was computed with other pictures is kept apart from what was computed without.
        self._name = circumstances(model) + ("alone/" if alone else "")
        self._reader = PictureReader(model.processor, workers=workers, max_patches=max_patches)

    def __enter__(self) -> "PictureCache":
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()

    def expect(self, prompts: Iterable[Prompt]) -> None:
        """Note the order in which prompts will be computed: their pictures are prepared ahead of the model."""
        wanted: dict[str, Wanted] = {}
        for prompt in prompts:
            for image, (_, height, width) in zip(prompt.images, prompt.grids, strict=True):
                if image.key not in self._features and f"{self._name}{image.key}" not in self._store:
                    wanted.setdefault(image.key, Wanted(image, height * width))
        self._reader.expect(wanted.values())

    def batch_inputs(self, prompts: Sequence[Prompt]) -> dict[str, Tensor | PictureFeatures]:
        """The picture arguments of `RerankModel.forward` for ``prompts``; empty without pictures."""
        images: dict[str, Image] = {}
        grids: dict[str, tuple[int, int, int]] = {}
        for prompt in prompts:
            for image, grid in zip(prompt.images, prompt.grids, strict=True):
                images[image.key] = image
                grids[image.key] = grid
        if not images:
            return {}
        place = {key: index for index, key in enumerate(images)}
        features = self._features_of(images, grids)
        device = self._model.device
        return {
            "image_grid_thw": torch.tensor(list(grids.values()), device=device),
            "image_index": torch.tensor(
                [place[image.key] for prompt in prompts for image in prompt.images], device=device
            ),
            "picture_features": PictureFeatures.concat([features[key] for key in images]),
        }

    def release(self, prompts: Sequence[Prompt]) -> None:
        """Note that ``prompts`` are scored: pictures that no other prompt shows are forgotten."""
        for prompt in prompts:
            for image in prompt.images:
                self._uses[image.key] -= 1
                if not self._uses[image.key]:
                    self._forget(image.key)

    def _features_of(
        self, images: dict[str, Image], grids: dict[str, tuple[int, int, int]]
    ) -> dict[str, PictureFeatures]:
        found = {key: self._features[key] for key in images if key in self._features}
        for key in images:
            stored = self._store.get(f"{self._name}{key}") if key not in found else None
            if stored is not None:
                found[key] = stored
        chunk: list[str] = []
        patches = 0
        for key in images:
            if key in found:
                continue
            _, height, width = grids[key]
            if chunk and patches + height * width > self._max_patches:
                found |= self._encode(chunk, images)
                chunk, patches = [], 0
            chunk.append(key)
            patches += height * width
        if chunk:
            found |= self._encode(chunk, images)
        return found

    def _encode(self, keys: list[str], images: dict[str, Image]) -> dict[str, PictureFeatures]:
        pixel_values, grids = self._reader.take([images[key] for key in keys])
        encoded = dict(zip(keys, self._model.encode_pictures(pixel_values, grids).split(), strict=True))
        for key, features in encoded.items():
            self._features[key] = features
            self._bytes += features.num_bytes
            self._store.put(f"{self._name}{key}", features)
        while self._bytes > self._max_bytes and self._features:
            self._forget(next(iter(self._features)))
        return encoded

    def _forget(self, key: str) -> None:
        features = self._features.pop(key, None)
        if features is not None:
            self._bytes -= features.num_bytes
