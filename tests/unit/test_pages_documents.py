"""Real documents, odd and hostile ones among them: each opens or says by a typed error why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from quire.errors import DocumentError
from quire.pages import PageLimits, open_source
from tests.conftest import DATA

NAMES = sorted(str(path.relative_to(DATA)) for path in DATA.glob("documents/**/*.*") if path.is_file())
REFUSED = {
    "invalid.pdf": "corrupt",
    "libreoffice-writer-password.pdf": "encrypted",
    "linn.txt": "unsupported_media_type",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_document_opens_or_is_refused_by_a_typed_error(documents: Path, name: str):
    path = documents.parent / name
    code = None
    try:
        with open_source(path, PageLimits(max_render_pixels=200_000)) as source:
            assert source.page_count >= 1
            for number in {1, source.page_count}:
                image = source.image(number, 40)
                assert image.pixels.shape == (image.height, image.width, 3)
    except DocumentError as error:
        code = error.code
    expected = "unsupported_media_type" if path.suffix in (".hocr", ".rst") else REFUSED.get(path.name)
    assert code == expected
