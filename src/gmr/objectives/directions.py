"""Directions: what a weight pushes along, as a differentiable readout.

The gradient of ``z_y - z_n`` with respect to the hidden state is ``M_y - M_n``, that of ``z_y`` is ``M_y``:
choosing the readout is choosing the direction. More answer tokens come in by ``num_positive`` of the readout.
A learnable or random projection, a trained LM head or a small network is a head of the model: it gives the
logits that these read, so nothing here knows of it.

Where a loss is no function of one score, one vector is not enough: the direction ``answers`` pushes along every
answer's row on its own, and the weight is then one number per candidate and answer.
"""

from collections.abc import Mapping

from gmr.readouts import READOUTS, Readout

DIRECTIONS: Mapping[str, Readout] = READOUTS
ANSWERS = "answers"
"""The direction of all answer rows at once; its readout is the answer logits themselves."""
