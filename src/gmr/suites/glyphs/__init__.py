"""``glyphs``: an embedded suite over all nine task types, drawn from fonts and Unicode's own names."""
