"""What a model's scores depend on besides relevance, what helps it, and what can fool it."""
