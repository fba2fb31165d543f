"""What a batch run writes: parts, tables, storage and the summary."""
