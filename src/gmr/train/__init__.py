"""Fine-tuning: recipes, sampling, collation, the trainer, checkpoints and the run directory."""
