"""What a batch run reads: sources, formats and documents."""
