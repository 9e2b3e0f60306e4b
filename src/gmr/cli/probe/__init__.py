"""``gmr probe``: the objective lab, gradients, sweeps and the tables of the paper."""
