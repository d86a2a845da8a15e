"""What the API and the workers of Quire must agree on.

Importing this package loads no OCR engine, no OpenCV and opens no connection.
"""

__version__ = "0.1.0"
