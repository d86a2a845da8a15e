"""GOT-OCR 2.0 as an engine: text without places, and formatted text."""

from ocr.engines.got.engine import GotEngine

__all__ = ["GotEngine"]
