"""Measuring on this machine: what each engine and option costs and gains for a model."""
