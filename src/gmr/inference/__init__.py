"""From pairs to scores: batches of padded pairs, each distinct picture encoded once."""
