"""A batch in passes has the gradient of the whole batch, and each of its pictures goes through the tower once."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from gmr.core.items import Image
from gmr.core.nouns import Document, Query
from gmr.modeling.adapters import add_lora
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.train.collator import GroupCollator
from gmr.train.passes import backward_in_passes
from gmr.train.pictures import EncodedPictures, share_pictures
from gmr.train.recipe import FreezeSection
from gmr.train.sampling import EpochSampler, Group, GroupDataset
from gmr.train.trainable import checkpoint_activations, freeze, trains_tower
from tests.helpers.counting import count_patches
from tests.helpers.pairs import mixed_items
from tests.helpers.tiny_checkpoints import VISION_ARCHITECTURES, tiny_checkpoint
from tests.train.data import training_set
from tests.train.runs import run, tiny_recipe

NUM_DOCUMENTS = 4
TOWER_LORA = r".*(visual\.blocks\.\d+\.attn\.qkv|layers\.\d+\.self_attn\.[qv]_proj)"
CPU = torch.device("cpu")
ENGINES = ("packed", "padded")


def groups() -> list[Group]:
    """Four queries with texts, pictures and both; the documents of all are the same four items."""
    documents = tuple(Document(f"d{number}", item) for number, item in enumerate(mixed_items()))
    return [
        Group(f"e{number}", Query(f"q{number}", item), documents, (1.0, 0.0, 0.0, 0.0))
        for number, item in enumerate(mixed_items())
    ]


def model_for(architecture: str, variant: str = "full") -> RerankModel:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    if "lora" in variant:
        add_lora(model, rank=4, alpha=8.0, dropout=0.3, targets=TOWER_LORA if "tower" in variant else None)
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # zeros at first, and then everything before them has no gradient
                torch.nn.init.normal_(parameter, std=0.05)
    else:
        section = FreezeSection(vision_tower="tower" in variant, projector="projector" in variant)
        freeze(model, tiny_recipe(freeze=section))
    if "checkpointing" in variant:
        checkpoint_activations(model)
    return model.train()


def contrastive(logits: Tensor, order: Tensor) -> Tensor:
    """InfoNCE of the groups: every logit's gradient depends on those of other passes."""
    scores = logits[order.argsort()][:, 0].view(-1, NUM_DOCUMENTS)
    return (torch.logsumexp(scores, 1) - scores[:, 0]).mean()


def gradients(model: RerankModel) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def gradient_of_the_whole(model: RerankModel, batch: dict[str, Any]) -> Tensor:
    """One graph of everything in the batch, and one backward pass."""
    model.zero_grad()
    pictures = EncodedPictures(model, batch["pictures"], in_graph=True) if "pictures" in batch else None
    logits = [
        model(**part, **(pictures.inputs(number) if pictures else {}))
        for number, part in enumerate(batch["passes"])
    ]
    contrastive(torch.cat(logits), batch["order"]).backward()
    return gradients(model)


def gradient_in_passes(model: RerankModel, batch: dict[str, Any]) -> Tensor:
    model.zero_grad()
    backward_in_passes(
        model,
        batch["passes"],
        loss_of=lambda logits: contrastive(logits, batch["order"]),
        backward=lambda loss: loss.backward(),
        device=CPU,
        pictures=EncodedPictures(model, batch["pictures"]) if "pictures" in batch else None,
    )
    return gradients(model)


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


ROWS, TOKENS = {"rows_per_pass": 5}, {"tokens_per_pass": 300}
CASES = [
    *[(architecture, engine, "full", ROWS) for architecture in VISION_ARCHITECTURES for engine in ENGINES],
    ("qwen2_5_vl", "packed", "full", TOKENS),
    ("qwen2_5_vl", "padded", "full", TOKENS),
    ("qwen3_vl", "packed", "tower", ROWS),
    ("qwen3_vl", "packed", "tower+projector", ROWS),
    ("qwen3_vl", "packed", "full+checkpointing", ROWS),
    ("qwen2_5_vl", "padded", "tower+checkpointing", ROWS),
]


@pytest.mark.parametrize(("architecture", "engine", "variant", "limits"), CASES)
def test_the_gradient_in_passes_is_that_of_the_whole_batch(
    architecture: str, engine: str, variant: str, limits: dict[str, int]
) -> None:
    model = model_for(architecture, variant)
    whole = GroupCollator(model.processor, engine=engine)(groups())
    assert len(whole["passes"]) == 1
    parts = GroupCollator(model.processor, engine=engine, shares_pictures=True, **limits)(groups())
    assert len(parts["passes"]) > 2
    expected = gradient_of_the_whole(model, whole)
    assert distance(gradient_in_passes(model, parts), expected) <= 3e-6


@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_dropout_falls_the_same_way_each_time_in_the_tower_as_well(architecture: str) -> None:
    model = model_for(architecture, "lora in the tower")
    batch = GroupCollator(model.processor, rows_per_pass=3, shares_pictures=True)(groups())
    found = []
    for gradient in (gradient_of_the_whole, gradient_in_passes):
        torch.manual_seed(5)
        found.append((gradient(model, batch), torch.rand(())))
    (expected, after), (parts, then) = found
    assert distance(parts, expected) <= 3e-6
    assert after == then, "what is drawn next does not depend on the cut"
    torch.manual_seed(6)
    assert distance(gradient_in_passes(model, batch), expected) > 1e-2, "dropout must matter for this test"


@pytest.mark.parametrize(
    ("variant", "times"), [("full", 2), ("tower", 2), ("tower+projector", 1), ("lora", 1)]
)
@pytest.mark.parametrize("engine", ENGINES)
def test_each_picture_is_prepared_once_and_encoded_once_or_twice_where_the_tower_learns(
    engine: str, variant: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_for("qwen2_5_vl", variant)
    prepared: list[Image] = []
    real = PromptProcessor.preprocess
    monkeypatch.setattr(
        PromptProcessor, "preprocess", lambda self, images: prepared.extend(images) or real(self, images)
    )
    batch = GroupCollator(model.processor, engine=engine, rows_per_pass=2, shares_pictures=True)(groups())
    pictures = {image.key: image for item in mixed_items() for image in item if isinstance(image, Image)}
    assert sorted(image.key for image in prepared) == sorted(pictures)
    distinct = len(real(model.processor, list(pictures.values()))[0])
    patches = count_patches(model, monkeypatch)
    gradient_in_passes(model, batch)
    assert sum(patches) == times * distinct
    largest = max(
        int(part["image_grid_thw"].prod(-1).sum()) for part in batch["passes"] if "image_index" in part
    )
    assert max(patches) <= largest, "what is encoded together is no larger than what one pass shows"
    assert len(patches) == times * len(batch["pictures"].chunks)


def test_pictures_are_encoded_in_chunks_no_larger_than_those_of_the_pass_that_shows_most() -> None:
    processor = PromptProcessor.from_pretrained(tiny_checkpoint("qwen3_vl"))
    prompts = [processor.encode(Query("q", item), Document("d", mixed_items()[0])) for item in mixed_items()]
    none, first, second, two = prompts
    sizes = [
        [len(chunk.image_grid_thw) for chunk in shared.chunks] if shared else []
        for shared, _ in (
            share_pictures(processor, passes)
            for passes in ([[none]], [[first], [second]], [[first], [second], [two]], [[two, second]])
        )
    ]
    # Two go together where some pass shows two, three where one shows three.
    assert sizes == [[], [1, 1], [2, 1], [3]]
    shared, inputs = share_pictures(processor, [[first], [none], [second, two]])
    assert shared is not None
    assert shared.shown == ((0,), (), (1, 2, 0))
    assert [list(names.get("image_index", ())) for names in inputs] == [[0], [], [0, 1, 2]]


@pytest.mark.parametrize(
    "variant", ["tower+projector", "lora", "lora+checkpointing", "tower+projector+checkpointing"]
)
@pytest.mark.parametrize("architecture", VISION_ARCHITECTURES)
def test_a_frozen_tower_leaves_no_graph_even_in_a_single_pass(architecture: str, variant: str) -> None:
    model = model_for(architecture, variant)
    assert not trains_tower(model)
    (inputs,) = GroupCollator(model.processor)(groups()[:1])["passes"]
    features = model.encode_pictures(inputs["pixel_values"], inputs["image_grid_thw"])
    assert not any(tensor.requires_grad for tensor in (features.embeddings, *features.deepstack))
    assert model(**inputs).requires_grad, "the language model is trained"


class CountPatches(TrainerCallback):
    """Patches through the tower in the training steps, and whether under autocast."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.under_autocast: set[bool] = set()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model = kwargs["model"]
        original = model.encode_pictures

        def counted(pixel_values: Tensor, grids: Tensor) -> Any:
            self.passes.append(len(pixel_values))
            self.under_autocast.add(torch.is_autocast_enabled("cpu"))
            return original(pixel_values, grids)

        model.encode_pictures = counted


FROZEN = FreezeSection(vision_tower=True, projector=True)


@pytest.mark.parametrize(
    ("model", "section", "times", "bf16"),
    [
        ({"tokens_per_pass": 800}, FreezeSection(), 2, False),
        ({"tokens_per_pass": 800}, FreezeSection(), 2, True),
        ({"rows_per_pass": 12}, FROZEN, 1, False),
        ({"length_groups": 3, "engine": "padded"}, FreezeSection(), 1, True),
        ({"tokens_per_pass": 100_000}, FreezeSection(), 1, False),
    ],
)
def test_the_trainer_encodes_the_pictures_of_a_step_as_seldom(
    tmp_path: Path, model: dict[str, Any], section: FreezeSection, times: int, bf16: bool
) -> None:
    recipe = tiny_recipe(
        model=model,
        freeze=section,
        max_steps=1,
        per_device_train_batch_size=8,
        save_strategy="no",
        dev="",
        bf16=bf16,
    )
    counter = CountPatches()
    run(recipe, tmp_path, pictures=True, dev_tasks=[], callbacks=[counter])
    data = GroupDataset(training_set(pictures=True), recipe.data.sampling, seed=3)
    items = [
        item
        for key in list(EpochSampler(len(data), seed=3))[:8]
        for group in [data[key]]
        for item in [group.query.item, *(document.item for document in group.documents)]
    ]
    distinct = {part.key for item in items for part in item if isinstance(part, Image)}
    assert len(distinct) > 3
    # A square of 16 pixels is 4 x 4 patches.
    assert sum(counter.passes) == times * len(distinct) * 16
    assert counter.under_autocast == {bf16}


def test_the_loss_is_that_of_the_whole_and_only_the_last_pass_is_not_deferred() -> None:
    model = model_for("qwen2_5_vl")
    batch = GroupCollator(model.processor, rows_per_pass=5)(groups())
    entered: list[int] = []
    sent: list[int] = []

    def deferred() -> Any:
        entered.append(len(sent))
        return nullcontext()

    loss = backward_in_passes(
        model,
        batch["passes"],
        loss_of=lambda logits: contrastive(logits, batch["order"]),
        backward=lambda scalar: sent.append(1) or scalar.backward(),
        device=CPU,
        deferred=deferred,
    )
    assert len(sent) == len(batch["passes"]) > 2
    assert entered == list(range(len(sent) - 1))
    with torch.no_grad():
        logits = torch.cat([model(**part) for part in batch["passes"]])
    torch.testing.assert_close(loss, contrastive(logits, batch["order"]), atol=1e-5, rtol=1e-5)
