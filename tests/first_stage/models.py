"""A tiny embedder of sentence-transformers with random weights."""

from tests.helpers.tiny_checkpoints import tiny_checkpoint


def save_embedder(folder, similarity="cosine", prompts=None):
    """Write it to ``folder``, which is returned."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    from gmr.modeling.checkpoint import no_progress_bar

    with no_progress_bar():
        modules = [Transformer(str(tiny_checkpoint("qwen3"))), Pooling(32, "lasttoken")]
        model = SentenceTransformer(
            modules=modules, similarity_fn_name=similarity, prompts=prompts, device="cpu"
        )
        model.save(str(folder))
    return folder
