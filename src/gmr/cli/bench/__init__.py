"""``gmr bench``: a model's standing over a suite, reports, and what engines and options gain."""
