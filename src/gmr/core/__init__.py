"""Nouns, files, pictures, configuration and errors; imports neither torch nor transformers."""
