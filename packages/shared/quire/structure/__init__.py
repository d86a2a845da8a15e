"""What is made of blocks: tables from cells and back, Markdown, tables that go on over pages."""
