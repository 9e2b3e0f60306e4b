"""Losses against loops written from the papers, against torch and against sentence-transformers."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from gmr.objectives import (
    adr_mse_loss,
    bce_loss,
    distillation_loss,
    focal_loss,
    hinge_loss,
    infonce_loss,
    lambda_loss,
    linear_loss,
    listmle_loss,
    listnet_loss,
    margin_mse_loss,
    mse_loss,
    ranknet_loss,
    sft_loss,
)

from .batches import random_batch


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def naive_sft(s, y, t):
    return -sum(math.log(sigmoid(a)) if b else math.log(sigmoid(-a)) for a, b in zip(s, y, strict=True))


def naive_sft_margin(s, y, t):
    return naive_sft([a - 0.7 if b else a + 0.7 for a, b in zip(s, y, strict=True)], y, t)


def naive_bce(s, y, t):
    return -sum(
        3 * math.log(sigmoid(a)) if b else math.log(1 - sigmoid(a)) for a, b in zip(s, y, strict=True)
    )


def naive_focal(s, y, t):
    right = [sigmoid(a if b else -a) for a, b in zip(s, y, strict=True)]
    return -sum((1 - p) ** 1.5 * math.log(p) for p in right)


def naive_linear(s, y, t):
    return sum(-a if b else a for a, b in zip(s, y, strict=True))


def naive_hinge(s, y, t):
    return sum(max(0.0, math.log(0.8 / 0.2) - (a if b else -a)) for a, b in zip(s, y, strict=True))


def naive_infonce(s, y, t):
    shares = softmax([a / 0.5 for a in s])
    positives = [i for i, b in enumerate(y) if b > 0]
    return -sum(math.log(shares[i]) for i in positives) / len(positives) if positives else 0.0


def naive_infonce_separate(s, y, t):
    s = [a - 0.3 if b else a for a, b in zip(s, y, strict=True)]
    negatives = [math.exp(a) for a, b in zip(s, y, strict=True) if not b]
    losses = [-math.log(math.exp(a) / (math.exp(a) + sum(negatives))) for a, b in zip(s, y, strict=True) if b]
    return sum(losses) / len(losses) if losses else 0.0


def naive_listnet(s, y, t):
    return -sum(a * math.log(b) for a, b in zip(softmax(y), softmax([a / 2 for a in s]), strict=True))


def naive_distillation(s, y, t):
    ours, theirs = softmax([a / 2 for a in s]), softmax([a / 2 for a in t])
    return sum(q * math.log(q / p) for p, q in zip(ours, theirs, strict=True))


def naive_mse(s, y, t):
    return sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / len(s)


def naive_margin_mse(s, y, t):
    pairs = [(i, j) for i in range(len(s)) for j in range(len(s)) if y[i] > 0 and y[j] == 0]
    return sum(((s[i] - s[j]) - (t[i] - t[j])) ** 2 for i, j in pairs) / max(len(pairs), 1)


def naive_ranknet(s, y, t):
    pairs = itertools.permutations(range(len(s)), 2)
    return sum(math.log(1 + math.exp(-(s[i] - s[j]) / 0.5)) for i, j in pairs if y[i] > y[j])


def naive_lambda(s, y, t):
    """NDCG-Loss2++ as its paper sums it: over documents in the order of their scores."""
    order = sorted(range(len(s)), key=lambda i: -s[i])
    ideal = sum((2**b - 1) / math.log2(1 + r) for r, b in enumerate(sorted(y, reverse=True), start=1))
    total = 0.0
    for r_i, i in enumerate(order, start=1):
        for r_j, j in enumerate(order, start=1):
            if y[i] > y[j]:
                swap = abs(1 / math.log2(1 + r_i) - 1 / math.log2(1 + r_j))
                apart = abs(r_i - r_j)
                delta = abs(1 / math.log2(1 + apart) - 1 / math.log2(2 + apart))
                gain = abs((2 ** y[i] - 1) - (2 ** y[j] - 1)) / ideal
                total -= gain * (swap + 10 * delta) * math.log(sigmoid(s[i] - s[j]))
    return total


def naive_listmle(s, y, t, position_aware=False):
    order = sorted(range(len(s)), key=lambda i: -y[i])  # sorted is stable: equal labels keep their order
    n = len(order)
    places = [2.0 ** (n - k) - 1 if position_aware else 1.0 for k in range(1, n + 1)]
    scale = max(sum(places), 1e-300) if position_aware else 1.0
    losses = [-math.log(softmax([s[j] for j in order[k:]])[0]) for k in range(n)]
    return sum(a * b for a, b in zip(places, losses, strict=True)) / scale


def naive_p_listmle(s, y, t):
    return naive_listmle(s, y, t, position_aware=True)


def naive_adr_mse(s, y, t):
    total = 0.0
    for i in range(len(s)):
        better, equal = sum(b > y[i] for b in y), sum(b == y[i] for b in y)
        right = sum(range(better + 1, better + equal + 1)) / equal
        soft = 1 + sum(sigmoid((s[j] - s[i]) / 0.5) for j in range(len(s)) if j != i)
        total += (soft - right) ** 2 / math.log2(1 + right)
    return total / len(s)


# loss, options, the loop, what else it takes
NAIVE = [
    (sft_loss, {}, naive_sft, "binary"),
    (sft_loss, {"margin": 0.7}, naive_sft_margin, "binary"),
    (bce_loss, {"positive_weight": 3.0}, naive_bce, "binary"),
    (focal_loss, {"focusing": 1.5}, naive_focal, "binary"),
    (linear_loss, {}, naive_linear, "binary"),
    (hinge_loss, {"threshold": 0.2}, naive_hinge, "binary"),
    (infonce_loss, {"temperature": 0.5}, naive_infonce, "binary"),
    (infonce_loss, {"positives": "separate", "margin": 0.3}, naive_infonce_separate, "binary"),
    (listnet_loss, {"temperature": 2.0}, naive_listnet, "graded"),
    (distillation_loss, {"temperature": 2.0}, naive_distillation, "teacher"),
    (mse_loss, {}, naive_mse, "teacher"),
    (margin_mse_loss, {}, naive_margin_mse, "teacher"),
    (ranknet_loss, {"temperature": 0.5}, naive_ranknet, "graded"),
    (lambda_loss, {"gains": "ndcg_loss2++"}, naive_lambda, "graded"),
    (listmle_loss, {}, naive_listmle, "graded"),
    (listmle_loss, {"position_aware": True}, naive_p_listmle, "graded"),
    (adr_mse_loss, {"temperature": 0.5}, naive_adr_mse, "graded"),
]


@pytest.mark.parametrize(("loss", "options", "naive", "kind"), NAIVE, ids=[row[2].__name__ for row in NAIVE])
def test_loss_per_query_equals_the_loop_written_from_its_source(loss, options, naive, kind):
    for seed in range(3):
        logits, labels, mask, teacher = random_batch(seed, num_answers=1, graded=kind == "graded")
        extra = {"teacher": teacher} if kind == "teacher" else {}
        ours = loss(logits, labels, mask, **options, **extra, reduction="none")
        for query, real in enumerate(mask):
            row = (tensor[query][real].tolist() for tensor in (logits[..., 0], labels, teacher))
            assert ours[query].item() == pytest.approx(naive(*row), abs=1e-12, rel=1e-12)


@pytest.mark.parametrize(("loss", "options", "naive", "kind"), NAIVE, ids=[row[2].__name__ for row in NAIVE])
def test_the_mean_is_over_queries_that_have_a_candidate(loss, options, naive, kind):
    logits, labels, mask, teacher = random_batch(4, num_answers=1)
    mask[2] = False
    extra = {"teacher": teacher} if kind == "teacher" else {}
    per_query = loss(logits, labels, mask, **options, **extra, reduction="none")
    mean = loss(logits, labels, mask, **options, **extra)
    assert per_query[2] == 0
    torch.testing.assert_close(mean, per_query.sum() / (len(mask) - 1), rtol=0, atol=1e-14)


def test_sft_reads_yes_minus_no_and_infonce_reads_yes():
    logits, labels, mask, _ = random_batch(7)
    moved = logits + torch.linspace(-2, 3, 42, dtype=torch.float64).view(6, 7, 1)  # both answers alike
    only_no = logits + torch.tensor([0.0, 2.5])
    torch.testing.assert_close(
        sft_loss(moved, labels, mask), sft_loss(logits, labels, mask), rtol=0, atol=1e-12
    )
    assert infonce_loss(only_no, labels, mask) == infonce_loss(logits, labels, mask)
    assert abs(infonce_loss(moved, labels, mask) - infonce_loss(logits, labels, mask)) > 0.01
    assert abs(sft_loss(only_no, labels, mask) - sft_loss(logits, labels, mask)) > 0.01


def test_infonce_of_one_positive_is_cross_entropy_over_the_candidates():
    logits = random_batch(8).logits
    labels = torch.zeros(6, 7, dtype=torch.float64)
    right = torch.tensor([0, 3, 6, 2, 2, 1])
    labels[torch.arange(6), right] = 1
    mask = torch.ones(6, 7, dtype=torch.bool)
    expected = functional.cross_entropy(logits[..., 0] / 0.05, right)
    for positives in ("average", "separate"):
        ours = infonce_loss(logits, labels, mask, temperature=0.05, positives=positives)
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_separate_positives_cost_what_a_group_for_each_would():
    logits, labels, mask, _ = random_batch(9)
    query = 5
    positives = [doc for doc in range(7) if labels[query, doc] > 0 and mask[query, doc]]
    assert len(positives) > 1
    groups = [
        [doc] + [other for other in range(7) if mask[query, other] and not labels[query, other]]
        for doc in positives
    ]
    alone = torch.stack([logits[query, group] for group in groups])
    one = torch.zeros(alone.shape[:2], dtype=torch.float64)
    one[:, 0] = 1
    expected = infonce_loss(alone, one, torch.ones_like(one, dtype=torch.bool))
    ours = infonce_loss(logits, labels, mask, positives="separate", reduction="none")[query]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("positive_weight", [1.0, 4.0])
def test_bce_is_that_of_torch(positive_weight):
    logits, _, mask, _ = random_batch(10)
    soft = torch.rand(6, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores = logits[..., 0] - logits[..., 1]
    weight = torch.tensor(positive_weight, dtype=torch.float64)
    losses = functional.binary_cross_entropy_with_logits(scores, soft, reduction="none", pos_weight=weight)
    ours = bce_loss(logits, soft, mask, positive_weight=positive_weight)
    torch.testing.assert_close(ours, losses[mask].sum() / 6, rtol=1e-12, atol=1e-12)


def test_distillation_is_the_divergence_of_torch():
    logits, labels, _, teacher = random_batch(11)
    mask = torch.ones(6, 7, dtype=torch.bool)
    ours = (logits[..., 0] - logits[..., 1]).log_softmax(-1)
    expected = functional.kl_div(ours, teacher.log_softmax(-1), log_target=True, reduction="batchmean")
    torch.testing.assert_close(distillation_loss(logits, labels, mask, teacher=teacher), expected)


def test_focal_without_focusing_and_sft_without_margin_are_sft():
    logits, labels, mask, _ = random_batch(12)
    expected = sft_loss(logits, labels, mask)
    assert focal_loss(logits, labels, mask, focusing=0.0).item() == pytest.approx(expected.item(), abs=1e-13)
    assert bce_loss(logits, labels, mask).item() == expected.item()


def test_lambdaloss_ranks_equal_scores_by_label_worst_first():
    tied = torch.zeros(1, 3, 1, dtype=torch.float64)
    mask = torch.ones(1, 3, dtype=torch.bool)
    one = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    # The positive is third: swapped with ranks 1 and 2 it gains 1 - 1/2 and 1/log2(3) - 1/2.
    expected = math.log(2) * ((1 - 1 / 2) + (1 / math.log2(3) - 1 / 2))
    assert lambda_loss(tied, one, mask, gains="lambdarank").item() == pytest.approx(expected, abs=1e-12)
    last = lambda_loss(tied, one.flip(-1), mask, gains="lambdarank")
    assert last.item() == pytest.approx(expected, abs=1e-12)


class ScoreTable:
    """Stands in for a CrossEncoder: the score of the pair ``("q", "3")`` is the third of ``scores``."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores):
        self.scores = scores

    def preprocess(self, pairs, prompt=None, task=None):
        return {"rows": torch.tensor([int(document) for _, document in pairs])}

    def __call__(self, tokens):
        return {"scores": self.scores[tokens["rows"]]}


def neighbours():
    """Their loss of (model), ours as options, how theirs is scaled beside ours for ``y`` of one query."""
    losses = pytest.importorskip("sentence_transformers.cross_encoder.losses")

    def num_pairs(y):
        return sum(a > b for a in y for b in y)

    def natural(scheme):
        return lambda model: losses.LambdaLoss(model, weighting_scheme=scheme, reduction_log="natural")

    return [
        (
            natural(losses.NDCGLoss2PPScheme()),
            (lambda_loss, {"gains": "ndcg_loss2++"}),
            lambda y: 1 / num_pairs(y),
        ),
        (
            natural(losses.NDCGLoss2Scheme()),
            (lambda_loss, {"gains": "ndcg_loss2"}),
            lambda y: 1 / num_pairs(y),
        ),
        (
            natural(losses.LambdaRankScheme()),
            (lambda_loss, {"gains": "lambdarank"}),
            lambda y: 1 / num_pairs(y),
        ),
        (natural(None), (ranknet_loss, {}), lambda y: 1 / num_pairs(y)),
        (losses.ListNetLoss, (listnet_loss, {}), lambda y: 1.0),
        (
            lambda model: losses.ListMLELoss(model, respect_input_order=False),
            (listmle_loss, {}),
            lambda y: 1.0,
        ),
        (
            lambda model: losses.PListMLELoss(model, respect_input_order=False),
            (listmle_loss, {"position_aware": True}),
            lambda y: 1.0,
        ),
        (losses.ADRMSELoss, (adr_mse_loss, {}), lambda y: 1.0),
    ]


@pytest.mark.parametrize("index", range(8))
def test_listwise_losses_equal_those_of_sentence_transformers_up_to_their_reduction(index):
    theirs, (ours, options), scale = neighbours()[index]
    for seed in range(3):
        random = torch.Generator().manual_seed(seed)
        scores = 2 * torch.randn(6, generator=random)
        labels = torch.randperm(6, generator=random).float()
        inputs = (["q"], [[str(doc) for doc in range(6)]])
        expected = theirs(ScoreTable(scores))(inputs, [labels]).item()
        value = ours(scores[None, :, None], labels[None], torch.ones(1, 6, dtype=torch.bool), **options)
        assert value.item() * scale(labels.tolist()) == pytest.approx(expected, rel=1e-5)


def test_pointwise_and_distilling_losses_equal_those_of_sentence_transformers():
    sentence_transformers = pytest.importorskip("sentence_transformers")
    losses = sentence_transformers.cross_encoder.losses
    random = torch.Generator().manual_seed(0)
    scores, teacher = torch.randn(4, generator=random), torch.randn(4, generator=random)
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0])
    group = (scores[None, :, None], labels[None], torch.ones(1, 4, dtype=torch.bool))

    class Table(sentence_transformers.CrossEncoder):  # some of their losses check the type
        num_labels, device = 1, torch.device("cpu")
        preprocess, forward = ScoreTable.preprocess, ScoreTable.__call__

        def __init__(self):
            torch.nn.Module.__init__(self)
            self.scores = scores

    model = Table()
    pairs = (["q"] * 4, [str(doc) for doc in range(4)])
    bce = losses.BinaryCrossEntropyLoss(model)(pairs, labels).item()
    mse = losses.MSELoss(model)(pairs, teacher).item()
    margin = losses.MarginMSELoss(model)((["q"], ["0"], ["1"], ["2"], ["3"]), teacher[None]).item()
    assert bce_loss(*group).item() / 4 == pytest.approx(bce, rel=1e-5)
    assert mse_loss(*group, teacher=teacher[None]).item() == pytest.approx(mse, rel=1e-5)
    assert margin_mse_loss(*group, teacher=teacher[None]).item() == pytest.approx(margin, rel=1e-5)
