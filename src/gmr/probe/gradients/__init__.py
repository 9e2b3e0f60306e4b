"""What objectives do to the candidates of a batch: the measured gradient beside weight × direction.

``probe_model`` looks at one model and draws nothing: groups in, a ``GradientReport`` of plain numbers out.
"""

from gmr.probe.gradients.batch import ProbeGroup, draw_groups, training_set_of
from gmr.probe.gradients.probe import probe_model
from gmr.probe.gradients.results import GradientReport, GradientStudy
from gmr.probe.gradients.specs import Spec, parse_spec

__all__ = [
    "GradientReport",
    "GradientStudy",
    "ProbeGroup",
    "Spec",
    "draw_groups",
    "parse_spec",
    "probe_model",
    "training_set_of",
]
