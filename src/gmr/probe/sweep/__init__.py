"""Sweeps: a plan of cells, seeds and learning rates to training runs, and these to effects beside the paper's."""
