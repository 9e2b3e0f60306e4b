"""Tests of the objectives: closed forms, weights, invariants, the whole."""
