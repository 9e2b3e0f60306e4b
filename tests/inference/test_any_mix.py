"""Any mix of queries and documents, of any modality and length: every engine agrees with single pairs."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.inference.documents import DocumentStore
from gmr.inference.engines import ENGINES
from gmr.inference.scoring import score_pairs
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import Control, Slot, Template
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint

WORDS = ("a", "black", "chess", "queen", "<|im_end|>", "the table\n", "\u00e9t\u00e9", "query")
INSTRUCTIONS = (None, "Find the picture.", "Find the picture. Now.")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(lambda words: Text(" ".join(words)))
pictures = st.builds(
    lambda width, height, seed: Image(noise_picture(8 * width, 8 * height, seed)),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 1),
)


def items(takes_pictures: bool) -> st.SearchStrategy[Item]:
    """Texts and pictures in any order and number."""
    part = st.one_of(texts, pictures) if takes_pictures else texts
    return st.lists(part, min_size=1, max_size=3).map(tuple)


@st.composite
def calls(draw: st.DrawFn, takes_pictures: bool) -> list[tuple[Query, Document]]:
    """Pairs of a few queries and documents, so that sides repeat, and some with what is nearly another."""
    item = items(takes_pictures)
    queries = [
        Query(f"q{n}", draw(item), draw(st.sampled_from(INSTRUCTIONS)))
        for n in range(draw(st.integers(1, 3)))
    ]
    documents = [Document(f"d{n}", draw(item)) for n in range(draw(st.integers(1, 5)))]
    first = documents[0].item
    documents.append(Document("longer", (*first, Text("more"))))
    pair = st.tuples(st.sampled_from(queries), st.sampled_from(documents))
    return draw(st.lists(pair, min_size=1, max_size=10))


# Any item on either side; published templates with the document first take one picture, or no picture in a query.
DOCUMENT_FIRST = Template(
    name="document first",
    segments=(
        *(Control("<|im_start|>"), "Document:\n", Slot("document"), "\nInstruction: ", Slot("instruction")),
        *("\nQuery:", Slot("query"), Control("<|im_end|>"), "\nanswer:"),
    ),
    max_tokens=600,
)


@cache
def model_of(architecture: str, first: str) -> RerankModel:
    folder = tiny_checkpoint(architecture)
    model = load_model(folder, device="cpu", self_check=False)
    if first == "document":
        processor = PromptProcessor.from_pretrained(folder, template=DOCUMENT_FIRST)
        model = RerankModel(model.backbone, processor).eval()
    return model


def single(model: RerankModel, pairs: list[tuple[Query, Document]]) -> np.ndarray:
    """Each pair rendered, collated and scored alone, by the model itself."""
    with torch.inference_mode():
        return np.concatenate(
            [
                model.score_logits(model(**model.processor.collate([model.processor.encode(*pair)]))).numpy()
                for pair in pairs
            ]
        )


@pytest.mark.parametrize("first", ["query", "document"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_engine_agrees_with_single_pairs(architecture: str, first: str, data: st.DataObject) -> None:
    model = model_of(architecture, first)
    assert model.processor.template.first_side == first
    pairs = data.draw(calls(model.facts.takes_pictures))
    expected = single(model, pairs)
    store = DocumentStore(2**22)
    for engine in ENGINES:
        for _ in range(2 if first == "document" else 1):  # with documents unknown, and known
            found = score_pairs(
                model,
                pairs,
                engine=engine,
                batch_tokens=data.draw(st.integers(1, 800), label="batch_tokens"),
                documents=store,
            )
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    if first == "document":
        assert len(store) > 0
