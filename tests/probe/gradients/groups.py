"""Small batches of coloured squares and their names, as the probe draws them."""

from gmr.probe.gradients import ProbeGroup, draw_groups
from gmr.train.sampling import SamplingConfig
from tests.train.data import training_set


def coloured_groups(
    *,
    pictures: bool = False,
    num_queries: int = 4,
    num_negatives: int = 4,
    num_positives: int = 1,
    teacher: bool = False,
    seed: int = 0,
) -> list[ProbeGroup]:
    sampling = SamplingConfig(num_positives, num_negatives, "1:1")
    data = training_set(pictures=pictures, teacher=teacher)
    return draw_groups(data, sampling, num_queries=num_queries, seed=seed)
