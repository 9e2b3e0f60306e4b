"""``emoji``: concepts with pictures of three vendors and names in 17 languages; all nine task types."""
