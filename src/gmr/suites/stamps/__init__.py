"""``stamps``: photographs and drawings with captions in 58 languages and their varieties."""
