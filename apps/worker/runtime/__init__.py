"""What a worker is made of: bound tasks, pool processes, diagnostics."""
