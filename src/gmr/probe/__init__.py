"""The objective lab: what an objective does to a model, cell by cell of the weight × direction plane."""
