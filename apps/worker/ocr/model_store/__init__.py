"""The engines' models as files: which are needed, where they lie, whether they are whole, and where they come from."""
