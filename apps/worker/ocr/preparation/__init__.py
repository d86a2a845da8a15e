"""What is done to a page image before an engine reads it: turned upright, flattened; and every place put back."""
