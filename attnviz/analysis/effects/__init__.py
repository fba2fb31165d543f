"""What heads do to what a model says: ablation, patching, attribution."""
