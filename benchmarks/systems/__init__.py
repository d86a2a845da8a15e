"""The systems that are compared, one file each, behind `System`; each runs in a child process of its own."""
