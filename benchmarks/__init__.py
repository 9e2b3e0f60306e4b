"""Measurements of speed and memory: one command each, ratios within one interleaved run."""
