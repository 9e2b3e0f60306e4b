"""Every objective on the weight x direction plane: closed-form losses, signed weights, and their product.

Pure functions of answer logits, labels and a mask; no model, no tokeniser. ``docs/objectives.md`` has the
equations.
"""

from gmr.objectives.config import ObjectiveConfig, build_objective
from gmr.objectives.directions import ANSWERS, DIRECTIONS
from gmr.objectives.graded import grades_loss, taught_grades_loss
from gmr.objectives.neighbours import NEIGHBOURS, SCHEMES
from gmr.objectives.objective import Objective, ObjectiveOutput, microbatch_surrogate
from gmr.objectives.orders import adr_mse_loss, listmle_loss
from gmr.objectives.pairwise import lambda_loss, margin_mse_loss, ranknet_loss
from gmr.objectives.pointwise import bce_loss, focal_loss, hinge_loss, linear_loss, mse_loss, sft_loss
from gmr.objectives.policy import policy_gradient_loss
from gmr.objectives.preference import preference_loss, sft_preference_loss
from gmr.objectives.softmax import distillation_loss, infonce_loss, listnet_loss
from gmr.objectives.weights import WEIGHTS, WeightScheme, weighted_sum

__all__ = [
    "ANSWERS",
    "DIRECTIONS",
    "NEIGHBOURS",
    "SCHEMES",
    "WEIGHTS",
    "Objective",
    "ObjectiveConfig",
    "ObjectiveOutput",
    "WeightScheme",
    "adr_mse_loss",
    "bce_loss",
    "build_objective",
    "distillation_loss",
    "focal_loss",
    "grades_loss",
    "hinge_loss",
    "infonce_loss",
    "lambda_loss",
    "linear_loss",
    "listmle_loss",
    "listnet_loss",
    "margin_mse_loss",
    "microbatch_surrogate",
    "mse_loss",
    "policy_gradient_loss",
    "preference_loss",
    "ranknet_loss",
    "sft_loss",
    "sft_preference_loss",
    "taught_grades_loss",
    "weighted_sum",
]
