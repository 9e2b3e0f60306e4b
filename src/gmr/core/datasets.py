"""The data sets that are read from disk, behind one door."""

from gmr.core.beir import read_beir, write_beir
from gmr.core.documents import read_documents
from gmr.core.training_data import read_training_jsonl

__all__ = ["read_beir", "read_documents", "read_training_jsonl", "write_beir"]
