"""Graded answers, preferences and policy gradients: each against its definition, written out in float64."""

import itertools
import math

import pytest
import torch

from gmr.core.errors import ConfigError
from gmr.objectives import (
    ANSWERS,
    NEIGHBOURS,
    WEIGHTS,
    ObjectiveConfig,
    build_objective,
    infonce_loss,
    microbatch_surrogate,
    sft_loss,
)
from gmr.objectives.graded import grade_targets
from gmr.objectives.policy import advantages, policy_gradient_weights, sample_answers
from gmr.objectives.rewards import REWARDS, ndcg_reward, reciprocal_rank_reward
from gmr.readouts import yes_minus_no

from .batches import CASES, case_id, graded, random_batch

POLICY = {"weight": "policy_gradient", "num_rollouts": 4}
CASES_HERE: list[dict[str, object]] = [
    {"weight": "grades"},
    {"weight": "taught_grades"},
    {**POLICY, "kl": 0.0},
    {**POLICY, "kl": 0.3},
    {**POLICY, "reward": "reciprocal_rank", "advantage": "leave_one_out"},
    {**POLICY, "reward": "reciprocal_rank", "advantage": "raw", "kl": 0.0},
    {"weight": "preference", "preference_scale": 0.7},
    {"weight": "sft_preference", "preference_scale": 2.0, "preference_share": 3.0, "forgetting": 0.5},
    {"weight": "grades+sft+preference"},
]
every_case = pytest.mark.parametrize("case", CASES_HERE, ids=case_id)


def batch_and_rest(seed, num_answers=5):
    """Logits and everything that any scheme here may ask for."""
    logits, labels, mask, _ = random_batch(seed, num_answers=num_answers)
    random = torch.Generator().manual_seed(seed + 99)
    options = {"generator": random, "dtype": torch.float64}
    teacher = (num_answers - 1) * torch.rand(*mask.shape, **options)
    reference = 2 * torch.randn(*logits.shape, **options)
    draws = torch.rand(*mask.shape, 4, **options)
    return logits, labels, mask, {"teacher": teacher, "reference": reference, "draws": draws}


def subject_of(case, **options):
    return ObjectiveConfig(**{"direction": ANSWERS, "num_positive": 2, **case, **options}).build()


def gradient(function, logits):
    logits = logits.clone().requires_grad_()
    function(logits).backward()
    return logits.grad


def test_every_neighbour_is_tested():
    assert {name for case in CASES_HERE for name in str(case["weight"]).split("+")} >= set(NEIGHBOURS)


@every_case
def test_surrogate_has_the_gradient_of_the_loss_by_every_answer(case):
    subject = subject_of(case)
    assert subject.has_closed_form
    for seed in range(4):
        logits, *group, given = batch_and_rest(seed)
        ours = gradient(lambda x, g=group, n=given: subject(x, *g, **n).surrogate, logits)
        theirs = gradient(lambda x, g=group, n=given: subject.weight.loss(x, *g, **n), logits)
        assert theirs.abs().max() > 1e-4
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_with_the_direction_answers_every_weight_has_its_closed_form_s_gradient(case):
    """Also a sum of losses that read differently, which no single readout gives."""
    subject = subject_of(case)
    logits, labels, mask, teacher = random_batch(1, num_answers=5, graded=graded(case))
    ours = gradient(lambda x: subject(x, labels, mask, teacher).surrogate, logits)
    theirs = gradient(lambda x: subject.weight.loss(x, labels, mask, teacher), logits)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_a_hybrid_of_two_readouts_is_the_sum_of_both_losses():
    logits, labels, mask, _ = random_batch(2)
    hybrid = build_objective("interpolation/answers", interpolation=0.3)
    ours = gradient(lambda x: hybrid(x, labels, mask).surrogate, logits)
    theirs = gradient(lambda x: 0.3 * sft_loss(x, labels, mask) + 0.7 * infonce_loss(x, labels, mask), logits)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@every_case
def test_padding_and_garbage_under_the_mask_change_nothing(case):
    subject = subject_of(case)
    logits, labels, mask, given = batch_and_rest(3)
    expected = subject(logits, labels, mask, **given)

    def grown(tensor):
        wide = torch.full((8, 10, *tensor.shape[2:]), math.nan, dtype=tensor.dtype)
        wide[:6, :7] = torch.where(mask.view(6, 7, *[1] * (tensor.ndim - 2)), tensor, math.nan)
        return wide

    wide_mask = torch.zeros(8, 10, dtype=torch.bool)
    wide_mask[:6, :7] = mask
    wide = grown(logits).requires_grad_()
    output = subject(wide, grown(labels), wide_mask, **{name: grown(value) for name, value in given.items()})
    output.surrogate.backward()
    torch.testing.assert_close(output.signed_weights[:6, :7], expected.signed_weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(output.loss, expected.loss, rtol=1e-12, atol=1e-12)
    assert (wide.grad[~wide_mask] == 0).all()


@every_case
def test_candidates_one_by_one_give_the_gradient_of_the_whole(case):
    subject = subject_of(case)
    logits, labels, mask, given = batch_and_rest(4)
    whole = gradient(lambda x: subject(x, labels, mask, **given).surrogate, logits)
    weights = subject.candidate_weights(logits, labels, mask, **given)
    parts = gradient(
        lambda x: sum(
            microbatch_surrogate(weights[q, d], subject.readout(x[q, d]), num_queries=6)
            for q, d in mask.nonzero().tolist()
        ),
        logits,
    )
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-13)


def test_grades_of_two_answers_are_sft():
    logits, labels, mask, _ = random_batch(5)
    grades, sft = build_objective("grades"), build_objective("sft")
    assert grades.name == "grades/answers"
    ours, theirs = (gradient(lambda x, s=s: s(x, labels, mask).surrogate, logits) for s in (grades, sft))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    torch.testing.assert_close(
        grades(logits, labels, mask).mean_weight_negative, sft(logits, labels, mask).mean_weight_negative
    )


def test_a_binary_label_asks_for_the_highest_grade_or_for_0():
    logits, labels, mask, _ = random_batch(6, num_answers=11)
    wanted = torch.where(labels > 0, 0, 10)  # the highest grade is the first answer
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    expected = losses.view_as(mask)[mask].sum() / len(mask)
    torch.testing.assert_close(build_objective("grades").weight.loss(logits, labels, mask), expected)


@pytest.mark.parametrize("grade", [0.0, 0.25, 3.0, 6.3, 9.999, 10.0])
def test_a_fraction_is_shared_by_its_neighbours_and_kept_in_the_mean(grade):
    target = grade_targets(torch.tensor(grade, dtype=torch.float64), 11)
    assert target.sum().item() == pytest.approx(1)
    assert (target * torch.arange(10, -1, -1)).sum().item() == pytest.approx(grade)
    assert (target > 0).sum() <= 2


@pytest.mark.parametrize(
    ("low", "message"), [(-0.5, "teacher.*is -0.5: it must be from 0 to 4"), (4.5, "is 4.5")]
)
def test_a_grade_out_of_range_is_refused(low, message):
    logits, labels, mask, given = batch_and_rest(7)
    given["teacher"][-1, 0] = low
    with pytest.raises(ValueError, match=message):
        build_objective("taught_grades")(logits, labels, mask, given["teacher"])


def test_sft_reading_the_odds_of_the_expected_grade_pushes_by_how_far_it_is_off():
    """Scalar cells of graded answers: the weight is E/G - y along the gradient of any readout."""
    logits, labels, mask, _ = random_batch(8, num_answers=11)
    subject = build_objective("sft/expectation_odds", reads="expectation_odds")
    shares = logits.softmax(dim=-1) @ torch.arange(10, -1, -1).double() / 10
    weights = subject.candidate_weights(logits, labels, mask)
    torch.testing.assert_close(weights, (shares - labels).masked_fill(~mask, 0.0), rtol=0, atol=1e-13)


# --- policy gradient


def naive_ndcg(grades, labels):
    """Mean over all orders of equal grades, by trying every permutation."""
    best = sum(
        (2**label - 1) / math.log2(rank + 2) for rank, label in enumerate(sorted(labels, reverse=True))
    )
    values = []
    for order in itertools.permutations(range(len(grades))):
        if all(grades[a] >= grades[b] for a, b in itertools.pairwise(order)):
            values.append(sum((2 ** labels[i] - 1) / math.log2(rank + 2) for rank, i in enumerate(order)))
    return sum(values) / len(values) / best if best else 0.0


def naive_reciprocal_rank(grades, labels, reference):
    """``grades[i][r]`` of one query, by loops."""
    size, rollouts = len(grades), len(grades[0])
    positives = [i for i in range(size) if labels[i] > 0]
    lowest = min((grades[i][r] for i in positives for r in range(rollouts)), default=math.inf)
    rewards = [[0.0] * rollouts for _ in range(size)]
    for i in range(size):
        for r in range(rollouts):
            others = [g for j in range(size) if j != i for g in grades[j]]
            if labels[i] > 0:
                rank = 1 + sum(g > grades[i][r] for g in others) + sum(g == grades[i][r] for g in others) / 2
                rewards[i][r] = 1 / rank
            elif grades[i][r] >= lowest:
                rewards[i][r] = -1.0
            else:
                rewards[i][r] = -((grades[i][r] - reference[i]) ** 2)
    return rewards


def some_grades(seed):
    random = torch.Generator().manual_seed(seed)
    grades = torch.randint(0, 4, (3, 5, 2), generator=random).double() / 3
    labels = torch.randint(0, 3, (3, 5), generator=random).double()
    labels[0] = 0
    mask = torch.arange(5) < torch.tensor([[5], [3], [4]])
    return grades, labels, mask, torch.rand(3, 5, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_rewards_are_those_of_loops_and_permutations(seed):
    grades, labels, mask, reference = some_grades(seed)
    ndcg = ndcg_reward(grades, labels, mask)
    ranks = reciprocal_rank_reward(grades, labels, mask, reference=reference)
    for query in range(3):
        real = mask[query]
        rows, wanted = grades[query, real].tolist(), labels[query, real].tolist()
        for rollout in range(2):
            expected = naive_ndcg([row[rollout] for row in rows], wanted)
            torch.testing.assert_close(
                ndcg[query, real, rollout], torch.full_like(ndcg[0, real, 0], expected)
            )
        expected = naive_reciprocal_rank(rows, wanted, reference[query, real].tolist())
        torch.testing.assert_close(ranks[query, real], torch.tensor(expected, dtype=torch.float64))
    assert (ndcg[~mask] == 0).all()
    assert (ranks[~mask] == 0).all()


def test_answers_are_drawn_by_their_probabilities():
    logits = torch.tensor([[[1.0, 0.0, -1.0]]], dtype=torch.float64)
    draws = (torch.arange(100_000).double() / 100_000).view(1, 1, -1)
    counts = sample_answers(logits, draws).flatten().bincount()
    torch.testing.assert_close(counts.double() / 100_000, logits[0, 0].softmax(dim=-1), rtol=0, atol=2e-5)
    assert sample_answers(logits.float(), torch.full((1, 1, 1), 1 - 1e-9)).item() == 2


NUM_DOCS, NUM_ANSWERS, NUM_ROLLOUTS = 2, 3, 2


def enumerated(reward, advantage):
    """The exact expectation of the weights, over all samples of a tiny group, and the exact expected reward.

    Returns:
        ``(docs, answers)`` expected weights; gradient of minus the expected reward by the same logits.
    """
    logits = torch.tensor([[[0.4, -0.3, 0.1], [1.0, 0.2, -0.5]]], dtype=torch.float64, requires_grad=True)
    labels, mask = torch.tensor([[1.0, 0.0]]).double(), torch.ones(1, 2, dtype=torch.bool)
    reference = torch.tensor([[[0.0, 0.5, 0.0], [0.1, 0.0, 0.3]]], dtype=torch.float64)
    policy = logits[0].softmax(dim=-1)
    shares = torch.arange(NUM_ANSWERS - 1, -1, -1).double() / (NUM_ANSWERS - 1)
    wanted = (reference.softmax(dim=-1) * shares).sum(dim=-1)
    middles = policy.detach().cumsum(dim=-1) - policy.detach() / 2  # a draw that falls on each answer
    mean_weights, objective = torch.zeros(NUM_DOCS, NUM_ANSWERS).double(), torch.zeros(()).double()
    for chosen in itertools.product(range(NUM_ANSWERS), repeat=NUM_DOCS * NUM_ROLLOUTS):
        answers = torch.tensor(chosen).view(NUM_DOCS, NUM_ROLLOUTS)
        probability = policy.gather(1, answers).prod()
        weights = policy_gradient_weights(
            logits.detach(),
            labels,
            mask,
            draws=middles.gather(1, answers)[None],
            reward=reward,
            advantage=advantage,
            num_rollouts=NUM_ROLLOUTS,
            kl=0.0,
            reference=reference,
        )
        mean_weights += probability.detach() * weights[0]
        grades = shares[answers][None]
        objective = (
            objective - probability * REWARDS[reward](grades, labels, mask, reference=wanted).mean(-1)[0, 0]
        )
    (exact,) = torch.autograd.grad(objective, logits)
    return mean_weights, exact[0]


@pytest.mark.parametrize("advantage", ["raw", "leave_one_out"])
def test_the_expected_estimator_is_the_gradient_of_the_expected_reward(advantage):
    """By enumerating all 81 samples; nDCG is shared by the candidates, so that their parts add up to its gradient."""
    mean_weights, exact = enumerated("ndcg", advantage)
    assert exact.abs().max() > 1e-3
    torch.testing.assert_close(mean_weights, exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("advantage", ["normalised", "leave_one_out"])
def test_a_mean_of_many_draws_agrees_with_the_enumeration_within_its_error(reward, advantage):
    expected, _ = enumerated(reward, advantage)
    logits = torch.tensor([[[0.4, -0.3, 0.1], [1.0, 0.2, -0.5]]], dtype=torch.float64)
    reference = torch.tensor([[[0.0, 0.5, 0.0], [0.1, 0.0, 0.3]]], dtype=torch.float64)
    number = 20_000
    draws = torch.rand(number, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = policy_gradient_weights(
        logits.expand(number, -1, -1),
        torch.tensor([[1.0, 0.0]]).double().expand(number, -1),
        torch.ones(number, 2, dtype=torch.bool),
        draws=draws,
        reward=reward,
        advantage=advantage,
        num_rollouts=2,
        kl=0.0,
        reference=reference.expand(number, -1, -1),
    )
    error = weights.std(dim=0) / math.sqrt(number)
    assert ((weights.mean(dim=0) - expected).abs() < 4.5 * error + 1e-12).all()


def test_advantages_are_normalised_within_the_roll_outs_of_a_candidate():
    rewards = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    torch.testing.assert_close(
        advantages(rewards, "normalised"), (rewards - 3) / (math.sqrt(7) + 1e-6), rtol=1e-12, atol=0
    )
    torch.testing.assert_close(advantages(rewards, "leave_one_out"), torch.tensor([-3.0, -1.5, 4.5]).double())
    assert advantages(torch.ones(3), "normalised").tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="compares roll-outs, and there is 1"):
        advantages(torch.ones(1), "normalised")


def test_the_divergence_pulls_to_the_reference():
    """With all roll-outs rewarded alike nothing else is left."""
    logits, labels, mask, given = batch_and_rest(9)
    given["draws"] = torch.full_like(given["draws"], 0.5)
    subject = subject_of({**POLICY, "kl": 0.25})

    def naive(x):
        total = 0.0
        for q, d in mask.nonzero().tolist():
            ours, theirs = x[q, d].log_softmax(-1), given["reference"][q, d].log_softmax(-1)
            total = total + 0.25 * (ours.exp() * (ours - theirs)).sum()
        return total / len(mask)

    ours = gradient(lambda x: subject(x, labels, mask, **given).surrogate, logits)
    torch.testing.assert_close(ours, gradient(naive, logits), rtol=0, atol=1e-12)


def test_the_logged_loss_is_minus_the_mean_reward():
    logits, labels, mask, given = batch_and_rest(10)
    subject = subject_of({**POLICY, "kl": 0.0})
    chosen = sample_answers(logits, given["draws"])
    rewards = ndcg_reward((4 - chosen).double() / 4, labels, mask)
    means = [rewards[q, mask[q]].mean() for q in range(len(mask))]
    torch.testing.assert_close(subject(logits, labels, mask, **given).loss, -torch.stack(means).mean())


# --- preference


def naive_preference(scores, before, labels, beta):
    pairs = [(i, j) for i in range(len(labels)) for j in range(len(labels)) if labels[i] > labels[j]]
    costs = [
        math.log1p(math.exp(-beta * ((scores[i] - before[i]) - (scores[j] - before[j])))) for i, j in pairs
    ]
    return sum(costs) / len(pairs) if pairs else 0.0


def test_preference_is_dpo_of_moved_scores_by_loops():
    logits, labels, mask, given = batch_and_rest(11, num_answers=2)
    losses = build_objective("preference", preference_scale=0.7).weight.loss(
        logits, labels, mask, reference=given["reference"], reduction="none"
    )
    scores, before = yes_minus_no(logits), yes_minus_no(given["reference"])
    for query in range(len(mask)):
        real = mask[query]
        expected = naive_preference(*(x[query, real].tolist() for x in (scores, before, labels)), 0.7)
        assert losses[query].item() == pytest.approx(expected, abs=1e-12)


def test_the_preference_fades_as_answers_of_the_reference_are_forgotten():
    logits, labels, mask, given = batch_and_rest(12, num_answers=2)
    options = {"preference_scale": 0.7, "preference_share": 2.0, "forgetting": 0.5}
    losses = build_objective("sft_preference", **options).weight.loss(
        logits, labels, mask, reference=given["reference"], reduction="none"
    )
    scores, before = yes_minus_no(logits), yes_minus_no(given["reference"])
    for query in range(len(mask)):
        real = mask[query]
        now, then, wanted = (x[query, real].tolist() for x in (scores, before, labels))
        costs, known = (
            [math.log1p(math.exp(-s if y else s)) for s, y in zip(values, wanted, strict=True)]
            for values in (now, then)
        )
        worse = sum(max(0.0, a - b) for a, b in zip(costs, known, strict=True)) / len(costs)
        mix = 2.0 * math.exp(-0.5 * worse)
        expected = sum(costs) + mix * naive_preference(now, then, wanted, 0.7)
        assert losses[query].item() == pytest.approx(expected, abs=1e-12)


def test_at_the_reference_the_preference_pushes_every_pair_by_half_its_scale():
    logits, labels, mask = torch.zeros(1, 3, 2).double(), torch.tensor([[1.0, 0, 0]]), torch.ones(1, 3).bool()
    weights = build_objective("preference").candidate_weights(logits, labels, mask, reference=logits)
    assert weights.tolist() == [[pytest.approx(-0.05), pytest.approx(0.025), pytest.approx(0.025)]]


# --- refusals


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"weight": "grades"}, "the weight 'grades' weighs every answer.*set direction = 'answers'"),
        ({"weight": "sft+policy_gradient", "direction": "yes"}, "'policy_gradient' weighs every answer"),
        ({"weight": "grades", "direction": "answers", "reads": "yes"}, "leave out reads = 'yes'"),
        ({"weight": "sft", "reads": "answers"}, "reads 'answers' is unknown"),
        ({"weight": "policy_gradient", "direction": "answers", "num_rollouts": 1}, "num_rollouts is 1"),
        ({"weight": "policy_gradient", "direction": "answers", "reward": "map"}, "reward 'map' is unknown"),
        ({"weight": "preference", "preference_scale": 0.0}, "preference_scale is 0.0"),
        ({"weight": "sft", "forgetting": 2.0}, "the weight 'sft' does not take it: .* sft_preference"),
    ],
)
def test_a_cell_that_does_not_exist_is_refused_by_name(config, message):
    with pytest.raises(ConfigError, match=message):
        ObjectiveConfig(**config)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("preference", "needs a reference: the answer logits"),
        ("policy_gradient", "needs draws: random numbers"),
        ("taught_grades", "needs teacher scores"),
    ],
)
def test_what_is_needed_and_missing_is_named(weight, message):
    logits, labels, mask, _ = random_batch(0)
    with pytest.raises(ValueError, match=message):
        build_objective(weight)(logits, labels, mask)


def test_without_divergence_a_policy_needs_no_reference():
    assert build_objective("policy_gradient", kl=0.0).weight.needs == {"draws"}
    assert build_objective("policy_gradient").weight.needs == {"draws", "reference"}
    assert build_objective("policy_gradient", kl=0.0, reward="reciprocal_rank").weight.needs == {
        "draws",
        "reference",
    }


def test_the_plane_of_the_paper_stays_as_it_was():
    assert set(WEIGHTS).isdisjoint(NEIGHBOURS)
    assert ObjectiveConfig().build().name == "sft/yes_minus_no"
