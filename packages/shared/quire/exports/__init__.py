"""Results in the forms people want."""
