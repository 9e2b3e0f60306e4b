"""The prompt processor against transformers' chat templates and image processors; batches, files, errors."""

import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import Qwen2_5_VLConfig

from gmr.core.errors import ConfigError, DataError, ModelError
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.modeling.images import PixelCache, image_grid, limit_image_tokens
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import TEMPLATES
from tests.conftest import shared_fixture
from tests.modeling.pairs import document, item, picture, query
from tests.modeling.qwen_fixtures import (
    QWEN2_5_VL,
    QWEN3_VL,
    nano_processor,
    qwen_image_processor,
    qwen_processor,
    qwen_tokenizer,
)

ITEMS = {
    "text": item("black chess queen"),
    "picture": item(picture(100, 60)),
    "picture and text": item(picture(100, 60), "a queen"),
    "two pictures": item(picture(100, 60), picture(300, 40, 9), "which one?"),
    "interleaved": item("first ", picture(64, 64), " then\n", picture(31, 200, 5), ", last", " of all"),
    "hard text": item("e\u0301 中文 \u200d👩‍👩‍👧 \n\n  trailing  "),
}


def chat_parts(parts: Item) -> list[dict]:
    return [
        {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image"} for part in parts
    ]


def through_chat_template(family: str, asked: Query, candidate: Document) -> list[int]:
    """Ids by transformers: the published chat template, each placeholder repeated as the patches say."""
    system = TEMPLATES["gmr"].segments[1].removeprefix("system\n")
    content = [
        {"type": "text", "text": "<Instruct>: "},
        {"type": "text", "text": asked.instruction},
        {"type": "text", "text": "<Query>:"},
        *chat_parts(asked.item),
        {"type": "text", "text": "\n<Document>:"},
        *chat_parts(candidate.item),
    ]
    tokenizer = qwen_tokenizer(family)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    processor = limit_image_tokens(qwen_image_processor(family), (4, 1280))
    images = iter([part for part in (*asked.item, *candidate.item) if isinstance(part, Image)])
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    expanded = []
    for id_ in ids:
        repeat = 1
        if id_ == pad:
            repeat = processor(images=[next(images).open()])["image_grid_thw"][0].prod() // 4
        expanded += [id_] * int(repeat)
    return expanded


def limited_processor(family: str) -> PromptProcessor:
    image_processor = limit_image_tokens(qwen_image_processor(family), (4, 1280))
    return PromptProcessor(qwen_tokenizer(family), image_processor, TEMPLATES["gmr"])


@pytest.mark.parametrize("family", [QWEN2_5_VL, QWEN3_VL])
def test_ids_are_those_of_apply_chat_template_on_the_same_messages(family: str) -> None:
    processor = limited_processor(family)
    for left in ITEMS.values():
        for right in ITEMS.values():
            asked, candidate = Query("q", left, "Find what fits."), Document("d", right)
            assert processor.encode(asked, candidate).input_ids == through_chat_template(
                family, asked, candidate
            )


def test_a_query_without_instruction_gets_the_default_and_an_empty_one_stays_empty() -> None:
    processor = qwen_processor()
    default = TEMPLATES["gmr"].default_instruction
    assert processor.encode(query("x"), document("y")) == processor.encode(
        query("x", instruction=default), document("y")
    )
    assert "<Instruct>: <Query>:x" in processor.tokenizer.decode(
        processor.encode(query("x", instruction=""), document("y")).input_ids
    )


@pytest.mark.parametrize("which", [QWEN2_5_VL, QWEN3_VL, "nano"])
def test_the_grid_from_the_size_is_the_grid_of_the_pixels(which: str) -> None:
    processor = nano_processor().image_processor if which == "nano" else qwen_image_processor(which)
    processor = processor if which == "nano" else limit_image_tokens(processor, (4, 100))
    rng = random.Random(0)
    sizes = [(1, 1), (1, 200), (32, 32), (33, 31), (640, 480), (900, 5)]
    sizes += [(rng.randint(1, 500), rng.randint(1, 500)) for _ in range(60)]
    for width, height in sizes:
        if max(width, height) > 200 * min(width, height):
            continue
        grids = processor(images=[PIL.Image.new("RGB", (width, height))])["image_grid_thw"]
        assert image_grid(processor, (width, height)) == tuple(grids[0].tolist()), (width, height)


def test_token_limits_of_a_picture_hold_for_every_patch_size() -> None:
    for family in (QWEN2_5_VL, QWEN3_VL):
        processor = limit_image_tokens(qwen_image_processor(family), (4, 50))
        for size in ((10, 10), (4000, 3000)):
            _, rows, columns = image_grid(processor, size)
            assert 4 <= rows * columns // 4 <= 50


def test_no_picture_is_opened_to_encode(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    PIL.Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:600])
    processor = qwen_processor()
    prompt = processor.encode(query("x"), document(Image(path)))
    assert prompt.grids == processor.encode(query("x"), document(picture(64, 64))).grids
    with pytest.raises(DataError, match=r"cut\.png"):
        processor.collate([prompt])


def test_each_distinct_picture_of_a_batch_is_preprocessed_once_and_indexed_in_prompt_order() -> None:
    processor = qwen_processor()
    a, b, c = picture(56, 56, 1), picture(84, 56, 2), picture(56, 84, 3)
    again = picture(84, 56, 2)
    prompts = [
        processor.encode(query(a), document(b)),
        processor.encode(query("x"), document("y")),
        processor.encode(query(c), document("t", again, a)),
    ]
    batch = processor.collate(prompts)
    assert batch["image_index"].tolist() == [0, 1, 2, 1, 0]
    expected = processor.image_processor(images=[a.open(), b.open(), c.open()], return_tensors="pt")
    assert torch.equal(batch["image_grid_thw"], expected["image_grid_thw"])
    assert torch.equal(batch["pixel_values"], expected["pixel_values"])
    assert batch["pixel_values"].dtype == torch.float32
    grids = batch["image_grid_thw"][batch["image_index"]]
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert int(grids.prod(dim=1).sum()) // 4 == int((batch["input_ids"] == pad).sum())


def test_pictures_met_before_have_the_pixels_of_the_first_time() -> None:
    processor = nano_processor()
    rng = np.random.default_rng(1)
    images = [
        Image(PIL.Image.fromarray(rng.integers(0, 255, (height, 40, 3), dtype=np.uint8)))
        for height in (30, 50, 20)
    ]
    first, _ = processor.preprocess(images[:2])
    mixed, grids = processor.preprocess([images[1], images[2], images[0]])
    expected = processor.image_processor(
        images=[image.open() for image in (images[1], images[2], images[0])], return_tensors="pt"
    )
    assert torch.equal(mixed, expected["pixel_values"])
    assert torch.equal(grids, expected["image_grid_thw"])
    counts = grids.prod(dim=1).tolist()
    again = mixed.split(counts)
    assert torch.equal(first, torch.cat([again[2], again[0]]))


def test_the_pixel_cache_stays_within_its_memory_and_keeps_small_pictures_only() -> None:
    cache = PixelCache(max_bytes=1000, max_picture_bytes=400)
    grid = torch.tensor([1, 2, 2])
    for shade in range(20):
        cache.put(picture(8, 8, shade), (torch.full((50,), float(shade)), grid))
    assert len(cache) == 5
    assert cache.get(picture(8, 8, 3)) is None
    assert cache.get(picture(8, 8, 19))[0].unique().tolist() == [19.0]
    cache.put(picture(9, 9), (torch.zeros(101), grid))
    assert cache.get(picture(9, 9)) is None


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_keeps_every_prompt_and_masks_the_rest(side: str) -> None:
    processor = nano_processor()
    prompts = [processor.encode(query(text), document("d")) for text in ("a", "black queen", "")]
    batch = processor.collate(prompts, padding_side=side, pad_to=20)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 20)
    for prompt, ids, mask in zip(prompts, batch["input_ids"], batch["attention_mask"], strict=True):
        length = len(prompt.input_ids)
        real = slice(20 - length, None) if side == "left" else slice(length)
        assert ids[real].tolist() == prompt.input_ids
        assert mask[real].all()
        assert int(mask.sum()) == length
        assert ids[mask == 0].eq(processor.tokenizer.pad_token_id).all()


def test_a_text_batch_has_no_pixels() -> None:
    processor = nano_processor()
    batch = processor.collate([processor.encode(query("a"), document("b"))])
    assert set(batch) == {"input_ids", "attention_mask"}


def test_collate_refuses_no_prompts_and_rows_too_short() -> None:
    processor = nano_processor()
    prompt = processor.encode(query("a"), document("b"))
    with pytest.raises(ValueError, match=r"\[\]"):
        processor.collate([])
    with pytest.raises(ValueError, match="rows of 2"):
        processor.collate([prompt], pad_to=2)


def test_encode_many_is_encode_of_each_pair_in_order() -> None:
    processor = nano_processor()
    pairs = [(query(str(i)), document(picture(32, 32, i), "x" * i)) for i in range(20)]
    assert processor.encode_many(pairs) == [processor.encode(*pair) for pair in pairs]


def test_a_pickled_processor_gives_the_same_batch() -> None:
    processor = nano_processor()
    asked, candidate = query("black"), document("x", picture(32, 32, 8))
    expected = processor.collate([processor.encode(asked, candidate)])
    other = pickle.loads(pickle.dumps(processor))
    batch = other.collate([other.encode(asked, candidate)])
    assert all(torch.equal(batch[name], expected[name]) for name in expected)
    assert other.answer_ids == processor.answer_ids


def test_a_picture_too_thin_for_the_model_is_refused_by_document() -> None:
    with pytest.raises(DataError, match=r"document 'd': .*1x300"):
        qwen_processor().encode(query("x"), document(picture(1, 300)))
    with pytest.raises(DataError, match="a picture of 1x300 pixels cannot be resized"):
        image_grid(qwen_image_processor(), (1, 300))


def test_an_unreadable_picture_is_refused_by_document_and_file(tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"document 'd': .*no\.png"):
        qwen_processor().encode(query("x"), document(Image(path)))


def test_a_model_without_image_processor_refuses_pictures() -> None:
    processor = PromptProcessor(qwen_tokenizer(), None, TEMPLATES["gmr"])
    with pytest.raises(DataError, match="query 'q' has a picture, but the model reads text only"):
        processor.encode(query(picture()), document("y"))
    with pytest.raises(ModelError, match="reads text only"):
        processor.preprocess([picture()])
    with pytest.raises(ModelError, match="reads text only"):
        processor.preprocess_compact([picture()])
    assert processor.encode(query("x"), document("y")) == qwen_processor().encode(query("x"), document("y"))


def nano_config(**vision: int) -> Qwen2_5_VLConfig:
    vision = {"patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 1, **vision}
    image_id = nano_processor().tokenizer.convert_tokens_to_ids("<|image_pad|>")
    return Qwen2_5_VLConfig(vision_config=vision, image_token_id=image_id)


def test_saved_is_loaded(tmp_path: Path) -> None:
    processor = nano_processor(max_tokens=77)
    processor.save_pretrained(tmp_path)
    nano_config().save_pretrained(tmp_path)
    loaded = PromptProcessor.from_pretrained(tmp_path)
    assert loaded.settings() == processor.settings()
    assert loaded.template == processor.template
    assert loaded.answer_ids == processor.answer_ids
    assert loaded.tokenizer.padding_side == "left"
    rng = np.random.default_rng(0)
    noise = Image(PIL.Image.fromarray(rng.integers(0, 255, (50, 40, 3), dtype=np.uint8)))
    pairs = [(query("black e\u0301<|query|>", instruction=None), document("x", noise, " y"))]
    expected, batch = (p.collate(p.encode_many(pairs)) for p in (processor, loaded))
    assert all(torch.equal(batch[name], expected[name]) for name in expected)
    assert json.loads((tmp_path / "gmr.json").read_text())["format"] == 1


def test_saving_keeps_what_others_wrote_into_gmr_json(tmp_path: Path) -> None:
    (tmp_path / "gmr.json").write_text('{"format": 1, "readout": "yes", "max_tokens": 5}')
    nano_processor().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "gmr.json").read_text())
    assert (settings["readout"], settings["max_tokens"]) == ("yes", 512)


def test_answers_and_instruction_of_gmr_json_hold(tmp_path: Path) -> None:
    nano_processor().save_pretrained(tmp_path)
    nano_config().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "gmr.json").read_text())
    settings |= {"answers": {"positive": ["no"], "negative": ["yes"]}, "default_instruction": "black"}
    (tmp_path / "gmr.json").write_text(json.dumps(settings))
    loaded, usual = PromptProcessor.from_pretrained(tmp_path), nano_processor()
    assert loaded.answer_ids.positive == usual.answer_ids.negative
    expected = usual.encode(query("a", instruction="black"), document("b"))
    assert loaded.encode(query("a"), document("b")) == expected


def test_arguments_come_before_gmr_json(tmp_path: Path) -> None:
    nano_processor().save_pretrained(tmp_path)
    nano_config().save_pretrained(tmp_path)
    loaded = PromptProcessor.from_pretrained(tmp_path, template="gmr", max_tokens=99)
    assert (loaded.template, loaded.max_tokens) == (TEMPLATES["gmr"], 99)


def test_a_published_folder_is_read_with_the_template_and_picture_limits_of_its_family(
    tmp_path: Path,
) -> None:
    qwen_tokenizer().save_pretrained(tmp_path)
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copyfile(shared_fixture(f"{QWEN2_5_VL}/{name}"), tmp_path / name)
    processor = PromptProcessor.from_pretrained(tmp_path)
    assert (processor.template.name, processor.max_tokens) == ("gmr", 3200)
    assert dict(processor.image_processor.size) == {
        "shortest_edge": 4 * 28 * 28,
        "longest_edge": 1280 * 28 * 28,
    }
    asked, candidate = query("x", picture(100, 60)), document("a<|im_end|>", picture(300, 40))
    assert processor.encode(asked, candidate) == limited_processor(QWEN2_5_VL).encode(asked, candidate)


def test_patches_that_differ_from_the_models_are_refused(tmp_path: Path) -> None:
    nano_processor().save_pretrained(tmp_path)
    nano_config(patch_size=14).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="patch_size is 8 in the processor but 14 in the model's config"):
        PromptProcessor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "its config.json cannot be loaded"),
        ("preprocessor_config.json", "no usable preprocessor_config.json"),
        ("tokenizer.json", "tokenizer"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, missing: str, message: str) -> None:
    nano_processor().save_pretrained(tmp_path)
    nano_config().save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ModelError, match=message):
        PromptProcessor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", ModelError, "gmr.json"),
        ('{"format": 2}', ModelError, "not a gmr.json of format 1"),
        (
            '{"format": 1, "max_tokens": "many"}',
            ModelError,
            "max_tokens must be a positive whole number, this is 'many'",
        ),
        ('{"format": 1, "template": "nanoo"}', ConfigError, "no template is called 'nanoo'"),
    ],
)
def test_a_bad_gmr_json_is_refused_by_name(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    nano_config().save_pretrained(tmp_path)
    (tmp_path / "gmr.json").write_text(text)
    with pytest.raises(error, match=message):
        PromptProcessor.from_pretrained(tmp_path)
