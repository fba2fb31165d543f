"""What family files share: maps of names, and parts of models."""
