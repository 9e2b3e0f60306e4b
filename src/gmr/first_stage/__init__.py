"""First stages: retrievers that find candidates in a whole corpus, and runs that are frozen with a record."""
