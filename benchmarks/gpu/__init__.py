"""Pages a second on a GPU: `make bench-gpu`."""
