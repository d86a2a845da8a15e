"""hOCR and ALTO, read back by lxml."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from lxml import etree

from tests.unit.exported import box, exported, failed, page_with, text_page

XHTML = {"x": "http://www.w3.org/1999/xhtml"}
ALTO = {"a": "http://www.loc.gov/standards/alto/ns-v4#"}

# ALTO's schema refers to that of XLink, of which it needs this. Nothing is fetched.
XLINK = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
  <xs:attributeGroup name="simpleLink"><xs:anyAttribute namespace="##targetNamespace"/></xs:attributeGroup>
</xs:schema>"""

WORDS = [
    [("Invoice", box(40.4, 50, 150, 80)), ("2024-117", box(160, 50, 300, 80))],
    [("Total:", box(40, 90, 120, 120)), ("5 €", box(130, 90, 180.2, 120.5))],
]
HOSTILE = 'a\x00b\x02<b> & "c" \'\ufffe\ud800 ]]> --'


class XlinkHere(etree.Resolver):
    # The stubs leave the third argument out.
    def resolve(self, system_url: str | None, public_id: str | None, context: object = None) -> object:
        if system_url is None or not system_url.endswith("/xlink.xsd"):
            return None
        return self.resolve_string(XLINK, context, base_url=system_url)


@lru_cache
def alto_schema() -> etree.XMLSchema:
    """The schema of ALTO 4.4 as its editors publish it, from a package that carries it."""
    package = find_spec("htrflow")
    if package is None or package.origin is None:
        pytest.skip("needs the schema of ALTO: pip install --no-deps -r requirements/schemas.txt")
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(XlinkHere())
    path = Path(package.origin).with_name("serialization") / "schemas" / "alto-4-4.xsd"
    return etree.XMLSchema(etree.parse(path, parser))


def hocr(*pages, **options):
    return etree.fromstring(exported("hocr", pages, **options))


def alto(*pages, **options):
    tree = etree.fromstring(exported("alto", pages, **options))
    schema = alto_schema()
    assert schema.validate(tree), schema.error_log
    return tree


def properties(element) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in element.get("title").split("; "))


# --- hOCR


def test_pages_lines_and_words_have_their_boxes():
    tree = hocr(page_with(WORDS, size=(700, 400), dpi=179.96))
    (page,) = tree.findall(".//x:div[@class='ocr_page']", XHTML)
    assert properties(page) == {
        "image": '"letter.pdf"', "bbox": "0 0 700 400", "ppageno": "0", "scan_res": "180 180",
    }  # fmt: skip
    words = tree.findall(".//x:span[@class='ocrx_word']", XHTML)
    assert [(word.text, properties(word)) for word in words] == [
        ("Invoice", {"bbox": "40 50 150 80", "x_wconf": "90"}),
        ("2024-117", {"bbox": "160 50 300 80", "x_wconf": "90"}),
        ("Total:", {"bbox": "40 90 120 120", "x_wconf": "90"}),
        ("5 €", {"bbox": "130 90 181 121", "x_wconf": "90"}),
    ]
    lines = tree.findall(".//x:span[@class='ocr_line']", XHTML)
    assert ["".join(line.itertext()) for line in lines] == ["Invoice 2024-117", "Total: 5 €"]
    assert properties(lines[0])["bbox"] == "40 50 300 80"


def test_the_baseline_of_a_line_askew_rises_with_it():
    askew = ((40.0, 70.0), (440.0, 30.0), (443.0, 60.0), (43.0, 100.0))
    (line,) = hocr(page_with([[("text", askew)]])).findall(".//x:span[@class='ocr_line']", XHTML)
    slope, offset = map(float, properties(line)["baseline"].split())
    assert slope == pytest.approx(-0.1, abs=0.001)
    # A fifth of the height above the box's lower left corner, at its left end.
    assert offset == pytest.approx(94 - 100, abs=1)


@pytest.mark.parametrize(("corners", "turn"), [((1, 2, 3, 0), -90), ((3, 0, 1, 2), 90), ((2, 3, 0, 1), 180)])
def test_text_that_is_turned_says_so(corners, turn):
    upright = box(40, 40, 70, 400)
    a, b, c, d = (upright[corner] for corner in corners)
    (line,) = hocr(page_with([[("text", (a, b, c, d))]])).findall(".//x:span[@class='ocr_line']", XHTML)
    assert float(properties(line)["textangle"]) in (turn, -180 if turn == 180 else turn)
    assert "baseline" not in properties(line)


def test_hocr_takes_no_character_that_xml_cannot_have():
    tree = hocr(text_page(HOSTILE), filename='a"; bbox 9 9 9 9 <&\x01.pdf')
    assert "".join(tree.find(".//x:span[@class='ocr_line']", XHTML).itertext()) == 'ab<b> & "c" \' ]]> --'
    page = tree.find(".//x:div[@class='ocr_page']", XHTML)
    # The quote that would have ended the file's name there.
    assert re.findall(r'"', page.get("title")) == ['"', '"']


def test_a_failed_page_is_a_comment_in_hocr():
    tree = hocr(text_page("a"), errors=(failed(2),))
    assert [node.text for node in tree.iter(etree.Comment)] == [" page 2: not read, timeout "]


def test_characters_without_white_space_between_are_words_without_it():
    page = page_with([[("中文", box(40, 40, 100, 70)), ("字符", box(100, 40, 160, 70))]], between="")
    assert "".join(hocr(page).find(".//x:span[@class='ocr_line']", XHTML).itertext()) == "中文字符"
    assert not alto(page).findall(".//a:SP", ALTO)


def test_text_from_right_to_left_says_so():
    page = page_with([[("שלום", box(140, 40, 200, 70)), ("עולם", box(40, 40, 120, 70))]])
    assert hocr(page).find(".//x:span[@class='ocr_line']", XHTML).get("dir") == "rtl"
    tree = alto(page)
    assert tree.find(".//a:TextLine", ALTO).get("BASEDIRECTION") == "rtl"
    (space,) = tree.findall(".//a:SP", ALTO)
    assert (space.get("HPOS"), space.get("WIDTH")) == ("120", "20")


def test_a_line_whose_words_are_not_known_is_divided():
    page = page_with([[("one three", box(0, 40, 90, 70))]], with_words=False)
    words = hocr(page).findall(".//x:span[@class='ocrx_word']", XHTML)
    assert [(word.text, properties(word)["bbox"]) for word in words] == [
        ("one", "0 40 30 70"),
        ("three", "40 40 90 70"),
    ]


# --- ALTO


def test_strings_have_their_places_and_spaces_between():
    tree = alto(page_with(WORDS, size=(700, 400)))
    line = tree.findall(".//a:TextLine", ALTO)[0]
    assert [etree.QName(part).localname for part in line] == ["Shape", "String", "SP", "String"]
    strings = tree.findall(".//a:String", ALTO)
    sides = ("CONTENT", "HPOS", "VPOS", "WIDTH", "HEIGHT", "WC")
    assert [tuple(string.get(side) for side in sides) for string in strings] == [
        ("Invoice", "40.4", "50", "109.6", "30", "0.9"),
        ("2024-117", "160", "50", "140", "30", "0.9"),
        ("Total:", "40", "90", "80", "30", "0.9"),
        ("5 €", "130", "90", "50.2", "30.5", "0.9"),
    ]
    page = tree.find(".//a:Page", ALTO)
    assert (page.get("WIDTH"), page.get("HEIGHT"), page.get("PHYSICAL_IMG_NR")) == ("700", "400", "1")


def test_words_that_overlap_have_a_space_of_no_width():
    tree = alto(page_with([[("one", box(40, 40, 100, 70)), ("two", box(95, 40, 160, 70))]]))
    assert [space.get("WIDTH") for space in tree.findall(".//a:SP", ALTO)] == ["0"]


def test_alto_takes_no_character_that_xml_cannot_have():
    tree = alto(page_with([[(HOSTILE, box(40, 40, 90, 70))]]), filename="a<&\x01.pdf")
    assert tree.find(".//a:String", ALTO).get("CONTENT") == 'ab<b> & "c" \' ]]> --'
    assert tree.find(".//a:fileName", ALTO).text == "a<&.pdf"


def test_a_page_without_text_and_one_that_failed_are_in_alto():
    tree = alto(text_page(), errors=(failed(2),))
    first, second = tree.findall(".//a:Page", ALTO)
    assert first.find("a:PrintSpace", ALTO) is not None
    assert (second.get("PHYSICAL_IMG_NR"), second.get("QUALITY_DETAIL"), len(second)) == ("2", "timeout", 0)


def test_turned_text_has_a_rotation():
    upright = box(40, 40, 70, 400)
    tree = alto(page_with([[("text", (upright[1], upright[2], upright[3], upright[0]))]]))
    assert tree.find(".//a:TextBlock", ALTO).get("ROTATION") == "-90.0"


def test_the_schema_refuses_what_alto_does_not_have():
    content = exported("alto", [text_page("a")])
    assert alto_schema().validate(etree.fromstring(content))
    for wrong in (b"WC=", b" ID=", b"<MeasurementUnit>pixel</MeasurementUnit>"):
        broken = content.replace(wrong, b" XX=" if wrong.endswith(b"=") else b"")
        assert not alto_schema().validate(etree.fromstring(broken)), wrong
