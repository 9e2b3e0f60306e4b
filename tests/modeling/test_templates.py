"""Each family's prompt, letter by letter, through the real Qwen tokenizer."""

import pytest

from gmr.core.errors import ConfigError, DataError, ModelError
from gmr.modeling.templates import TEMPLATES, Control, TokenId, find_template, guess_template
from tests.modeling.pairs import document, picture, query
from tests.modeling.qwen_fixtures import QWEN2_5_VL, QWEN3_VL, nano_processor, qwen_processor, qwen_tokenizer

JUDGE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the "
    'Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
ONE = "<|vision_start|><|image_pad|><|vision_end|>"
FOUR = "<|vision_start|>" + "<|image_pad|>" * 4 + "<|vision_end|>"

RENDERED = {
    "gmr": (
        query("a queen", picture(), instruction="Find it."),
        document(picture(shade=1), "one", picture(shade=2), "two"),
        f"{JUDGE}<Instruct>: Find it.<Query>:a queen{FOUR}\n<Document>:{FOUR}one{FOUR}two{ASSISTANT}",
    ),
    "qwen3-vl-reranker": (
        query("a ", "queen", picture(64, 64)),
        document("one", picture(64, 64, 1), "two"),
        f"{JUDGE}<Instruct>: Given a search query, retrieve relevant candidates that answer the query."
        f"<Query>:{FOUR}a queen\n<Document>:{FOUR}onetwo{ASSISTANT}",
    ),
    "qwen3-reranker": (
        query("a queen"),
        document("one"),
        f"{JUDGE}<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
        f"<Query>: a queen\n<Document>: one{ASSISTANT}<think>\n\n</think>\n\n",
    ),
    "monoqwen2-vl": (
        query("a queen"),
        document(picture()),
        f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{FOUR}"
        "Assert the relevance of the previous image document to the following query, answer True or False. "
        f"The query is: a queen{ASSISTANT}",
    ),
    "jina-reranker-m0": (
        query("a queen"),
        document(picture()),
        f"**Document**:\n{FOUR}\n**Query**:\na queen",
    ),
}
FAMILY = {"qwen3-vl-reranker": QWEN3_VL, "qwen3-reranker": QWEN3_VL}


@pytest.mark.parametrize("name", RENDERED)
def test_a_prompt_has_the_ids_of_its_published_string(name: str) -> None:
    family = FAMILY.get(name, QWEN2_5_VL)
    asked, candidate, rendered = RENDERED[name]
    expected = qwen_tokenizer(family).encode(rendered)
    if name == "jina-reranker-m0":
        expected = [*expected, 100]
    assert qwen_processor(name, family).encode(asked, candidate).input_ids == expected


def test_the_nano_prompt_has_nothing_but_its_fields_and_their_boundaries() -> None:
    processor = nano_processor()
    prompt = processor.encode(query("black queen", picture(32, 32)), document("a"))
    rendered = (
        "<|query|>black queen<|vision_start|>" + "<|image_pad|>" * 4 + "<|vision_end|><|document|>a<|answer|>"
    )
    assert prompt.input_ids == processor.tokenizer.encode(rendered)


def test_a_side_without_a_character_is_null_for_qwen3_vl_reranker_alone() -> None:
    asked, candidate = query("x"), document("")
    null = qwen_processor("qwen3-vl-reranker", QWEN3_VL)
    assert null.encode(asked, candidate).input_ids == null.encode(asked, document("NULL")).input_ids
    plain = qwen_processor("gmr")
    assert "NULL" not in plain.tokenizer.decode(plain.encode(asked, candidate).input_ids)


def test_jina_takes_a_picture_or_a_text_per_side_and_says_so() -> None:
    jina = qwen_processor("jina-reranker-m0")
    with pytest.raises(
        DataError, match=r"document 'd' is image and text; .* takes text or image as document"
    ):
        jina.encode(query("x"), document("y", picture()))
    with pytest.raises(DataError, match=r"query 'q' has 2 pictures; .* takes 1 as query"):
        jina.encode(query(picture(), picture(shade=1)), document("y"))


def test_jina_keeps_512_tokens_of_a_query() -> None:
    jina = qwen_processor("jina-reranker-m0")
    long = jina.encode(query(" queen" * 600), document("y"))
    assert long.truncated
    assert long.input_ids == jina.encode(query(" queen" * 512), document("y")).input_ids


def test_monoqwen2_ranks_page_pictures_by_texts_only() -> None:
    with pytest.raises(DataError, match="document 'd' is text; the model's prompt takes image as document"):
        qwen_processor("monoqwen2-vl").encode(query("x"), document("y"))


def test_a_text_model_refuses_a_picture_by_name() -> None:
    with pytest.raises(DataError, match="query 'q' is image; the model's prompt takes text as query"):
        qwen_processor("qwen3-reranker", QWEN3_VL).encode(query(picture()), document("y"))


def test_answers_are_the_published_tokens() -> None:
    for name in ("gmr", "qwen3-vl-reranker", "qwen3-reranker"):
        answers = qwen_processor(name, QWEN3_VL).answer_ids
        assert (answers.positive, answers.negative) == ((9693,), (2152,))
    answers = qwen_processor("monoqwen2-vl").answer_ids
    assert qwen_tokenizer().convert_ids_to_tokens([*answers.positive, *answers.negative]) == ["True", "False"]
    assert qwen_processor("jina-reranker-m0").answer_ids.positive == ()


def test_every_template_ends_in_a_tail_that_truncation_cannot_reach() -> None:
    for template in TEMPLATES.values():
        assert isinstance(template.segments[-1], str | Control | TokenId), template.name


def test_a_template_needs_its_control_tokens_in_the_tokenizer() -> None:
    with pytest.raises(ModelError, match=r"no added token '<\|query\|>'"):
        qwen_processor("nano")
    assert Control("<|query|>") in TEMPLATES["nano"].segments


@pytest.mark.parametrize(
    ("config", "where", "name"),
    [
        ({"model_type": "qwen2_5_vl"}, "vec-ai/lychee-rerank-mm", "gmr"),
        ({"model_type": "qwen3_vl"}, "x", "qwen3-vl-reranker"),
        ({"model_type": "qwen3"}, "x", "qwen3-reranker"),
        ({"model_type": "qwen2_vl", "architectures": ["JinaVLForRanking"]}, "x", "jina-reranker-m0"),
        ({"model_type": "qwen2_vl"}, "lightonai/MonoQwen2-VL-v0.1", "monoqwen2-vl"),
    ],
)
def test_a_checkpoint_without_gmr_json_gets_its_family_template(config: dict, where: str, name: str) -> None:
    assert guess_template(config, where=where).name == name


def test_an_unknown_template_or_model_type_names_the_choices() -> None:
    with pytest.raises(
        ConfigError, match="no template is called 'gmrr'; there are gmr, gmr-grades, qwen3-vl-reranker"
    ):
        find_template("gmrr")
    with pytest.raises(ConfigError, match=r"x: no gmr.json, and model type 'llama' .* give template="):
        guess_template({"model_type": "llama"}, where="x")
