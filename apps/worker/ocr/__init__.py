"""The OCR core: a document and options in, `PageText` out. It knows no queue and no database."""
