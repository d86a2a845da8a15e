"""Payloads and results: the public shapes that other people's code depends on.

Boxes are in pixels of the page image as the reader sees it (page rotation applied), origin top left, points clockwise
from the text's own top left. Page numbers start at 1.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from quire.errors import InvalidPayload
from quire.page_ranges import parse_page_ranges

Point = tuple[float, float]
Box = tuple[Point, Point, Point, Point]

DocumentStatus = Literal["queued", "running", "completed", "partial", "failed", "cancelled"]
# What is read first, and the number each has in the database and in Redis.
Priority = Literal["interactive", "bulk"]
PRIORITIES: dict[Priority, int] = {"interactive": 0, "bulk": 1}
PageSourceKind = Literal["ocr", "text_layer", "mixed"]
Mode = Literal["text", "structure"]

# Postgres stores every character but NUL.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Owner = Annotated[Text, Field(max_length=255)]
ObjectKey = Annotated[Text, Field(min_length=1, max_length=1024)]
BucketName = Annotated[Text, Field(min_length=1, max_length=255)]
WebAddress = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://")]


class Contract(BaseModel):
    """Base of every public shape: immutable, and a field that is not declared is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OcrOptions(Contract):
    """What decides the text of a page, besides its bytes. Equal options give equal results."""

    pages: str | None = Field(
        None, max_length=1000, description='Pages to read, such as "1-3,7". All pages when left out.'
    )
    lang_hints: tuple[Text, ...] = Field((), description="Languages expected besides PADDLEOCR_LANG.", max_length=16)
    mode: Mode = Field(
        "text", description="Lines of text; or structure: blocks, tables, formulas and pictures as well."
    )
    text_layer: Literal["auto", "never", "only"] = Field(
        "auto", description="Use a PDF page's own text: where it is sound (auto), never, or nothing else (only)."
    )
    dpi: int | None = Field(None, ge=36, le=600, description="Rendering resolution. PADDLEOCR_PDF_DPI when left out.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="PADDLEOCR_MIN_CONFIDENCE when left out.")
    doc_orientation: bool = Field(False, description="Find out how a page image is turned, and read it upright.")
    doc_unwarping: bool = Field(False, description="Flatten the image of a bent page before it is read.")
    textline_orientation: bool = Field(False, description="Find lines that are upside down, and read them upright.")

    @field_validator("pages")
    @classmethod
    def _pages_can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_page_ranges(value)
            except InvalidPayload as error:
                raise ValueError(error.message) from None
        return value

    @model_validator(mode="after")
    def _structure_is_in_the_pixels(self) -> Self:
        if self.mode == "structure" and self.text_layer == "only":
            raise ValueError("mode structure looks at a page's pixels: leave text_layer out, or ask for mode text")
        return self

    def digest(self) -> str:
        """SHA-256 of the options in canonical form, as hex: equal for equal options."""
        # These came later: left out where they are off, digests of documents from before stay what they are.
        off = {name for name in ("doc_orientation", "doc_unwarping", "textline_orientation") if not getattr(self, name)}
        return _digest(self, off)


def _digest(options: BaseModel, left_out: set[str] | None = None) -> str:
    canonical = json.dumps(options.model_dump(mode="json", exclude=left_out), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class StudyOptions(Contract):
    """What every study aid may be asked for."""

    language: str | None = Field(
        None,
        max_length=40,
        pattern=r"^[^\W\d_]+(?:[ -][^\W\d_]+)*$",
        description='Language of the aid, such as "German". The document\'s own when left out.',
    )

    def digest(self) -> str:
        """SHA-256 of the options in canonical form, as hex: equal for equal options."""
        return _digest(self)


class SummaryOptions(StudyOptions):
    """A few sentences, bullet points, or bullet points for each section."""

    style: Literal["short", "bullets", "sections"] = "bullets"


class FlashcardOptions(StudyOptions):
    """Cards with a question and its answer, at most `count`."""

    count: int = Field(20, ge=1, le=200)
    difficulty: Literal["easy", "medium", "hard", "mixed"] = "mixed"


QuestionKind = Literal["single_choice", "multiple_choice", "true_false", "short_answer"]


class QuizOptions(StudyOptions):
    """Questions of these kinds, at most `count`."""

    count: int = Field(10, ge=1, le=100)
    kinds: tuple[QuestionKind, ...] = Field(("single_choice",), min_length=1, max_length=4)

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, value: tuple[QuestionKind, ...]) -> tuple[QuestionKind, ...]:
        return tuple(sorted(set(value)))


StudyKind = Literal["summary", "flashcards", "quiz"]


class SummaryRequest(Contract):
    """A summary to be made of a document."""

    kind: Literal["summary"] = "summary"
    options: SummaryOptions = SummaryOptions()


class FlashcardsRequest(Contract):
    """Flashcards to be made of a document."""

    kind: Literal["flashcards"] = "flashcards"
    options: FlashcardOptions = FlashcardOptions()


class QuizRequest(Contract):
    """A quiz to be made of a document."""

    kind: Literal["quiz"] = "quiz"
    options: QuizOptions = QuizOptions()


StudyRequest = Annotated[SummaryRequest | FlashcardsRequest | QuizRequest, Field(discriminator="kind")]
FollowUps = Annotated[
    tuple[StudyRequest, ...],
    Field(max_length=8, description="Study aids to make when the document has been read."),
]


class OcrPayload(OcrOptions):
    """Payload of `tasks.ocr_document` and `tasks.ocr_pdf_document`.

    `key` names the object to read. With a database `document_id` alone is enough: the document's row knows the rest.
    For a source of one image, `page_number` is the number its result carries; otherwise it selects that page.
    """

    key: ObjectKey | None = None
    bucket: BucketName | None = None
    document_id: UUID | None = None
    page_number: int | None = Field(None, ge=1)
    follow_ups: FollowUps = ()

    @model_validator(mode="after")
    def _names_a_document(self) -> OcrPayload:
        if self.key is None and self.document_id is None:
            raise ValueError("key is required (or document_id, of a document that is in the database)")
        return self

    def options(self) -> OcrOptions:
        """The part of the payload that is stored and hashed with a document."""
        return OcrOptions(**{name: getattr(self, name) for name in OcrOptions.model_fields})


class OcrPagePayload(OcrPayload):
    """Payload of `tasks.ocr_page`: one page, named by its number."""

    page_number: int = Field(ge=1)


class EchoPayload(Contract):
    """Payload of `tasks.echo`: anything that is JSON."""

    payload: JsonValue = None


class NoPayload(Contract):
    """For tasks that take nothing."""


class Detection(Contract):
    """One line of text on a page."""

    text: str
    box: Box
    confidence: float = Field(ge=0, le=1)
    page_number: int = Field(ge=1)


class Word(Contract):
    """One word of a line. `line` is the index of that line in `PageText.detections`, from 0."""

    text: str
    box: Box
    confidence: float = Field(ge=0, le=1)
    line: int = Field(ge=0)


BlockType = Literal[
    "title", "heading", "paragraph", "abstract", "contents", "reference", "list", "table", "formula", "formula_number",
    "figure", "chart", "seal", "caption", "code", "header", "footer", "footnote", "page_number", "aside", "other",
]  # fmt: skip


class TableCell(Contract):
    """A cell of a table. Rows and columns count from 0; `box` is on the page, None where it is not known."""

    row: int = Field(ge=0)
    column: int = Field(ge=0)
    row_span: int = Field(1, ge=1)
    column_span: int = Field(1, ge=1)
    text: str
    is_header: bool = False
    box: Box | None = None


class Table(Contract):
    """A table of `rows` × `columns`; `cells` by row, then column, no two on the same place. `html` is made of them."""

    rows: int = Field(ge=0)
    columns: int = Field(ge=0)
    cells: tuple[TableCell, ...]
    html: str


class Block(Contract):
    """A part of a page that belongs together, such as a paragraph or a table.

    `label` is the layout model's own word for `type`. `order` is its place in the order of reading, from 0; None for
    what stands beside the text, such as page numbers. `lines` are indices of `PageText.detections`.
    """

    type: BlockType
    label: str
    polygon: tuple[Point, ...] = Field(description="At least three points in pixels of the page image, clockwise.")
    order: int | None = Field(None, ge=0)
    text: str = ""
    confidence: float | None = Field(None, ge=0, le=1)
    lines: tuple[int, ...] = ()
    table: Table | None = None
    latex: str | None = Field(None, description="Of a formula, without delimiters.")
    formulas: tuple[str, ...] = Field(
        (), description="LaTeX of formulas within the text, where each stands between two dollar signs."
    )
    picture: str | None = Field(None, description="Key of the cut-out picture in the default bucket.")


class PageTransform(Contract):
    """What was done to a page image before it was read; boxes are those on the page image all the same.

    `turned` is the counterclockwise turn in degrees that made it upright, `turn_confidence` the classifier's. `grid`
    says how it was flattened, None if it was not: for points spread evenly over the flattened image from corner to
    corner, in rows, where each was on the turned page image, in pixels.
    """

    turned: Literal[0, 90, 180, 270] = 0
    turn_confidence: float | None = Field(None, ge=0, le=1)
    grid: tuple[tuple[Point, ...], ...] | None = None


class PageText(Contract):
    """Everything known about one page.

    `width` and `height` are the pixels of the page image that boxes refer to. A PDF page is that image scaled by
    72 / `dpi` points a pixel; `dpi` is None for an image. `rotation` is the clockwise turn in degrees that was applied
    to the stored page to get the image the reader sees.
    """

    page_number: int = Field(ge=1)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    dpi: float | None = None
    rotation: Literal[0, 90, 180, 270]
    source: PageSourceKind
    engine: str
    text: str
    detections: tuple[Detection, ...]
    words: tuple[Word, ...] = Field((), description="Words in the order of the text; empty where they are not known.")
    blocks: tuple[Block, ...] = Field((), description="In the order of the page; empty where it was read as lines.")
    markdown: str | None = Field(None, description="The page as Markdown, where more is known of it than lines.")
    transform: PageTransform | None = Field(None, description="How the image was turned and flattened to be read.")
    confidence: float | None = Field(None, description="Mean over the characters read; None for a page without text.")
    timings: dict[str, float] = Field(default_factory=dict, description="Milliseconds by stage.")


class PageError(Contract):
    """Why one page has no text."""

    page_number: int = Field(ge=1)
    code: str
    message: str


class OcrResult(Contract):
    """Result of the OCR tasks.

    With a database: ids and counts; the text is in Postgres (`quire.job.Job.get` adds it). Without one: also `pages`,
    `detections` and `text`, or, where these are larger than `QUIRE_MAX_INLINE_RESULT_BYTES`, the `result_bucket` and
    `result_key` of a JSON object of this same shape.
    """

    status: DocumentStatus
    document_id: UUID | None = None
    page_count: int | None = None
    pages_done: int = 0
    pages_failed: int = 0
    errors: tuple[PageError, ...] = ()
    text: str | None = None
    detections: tuple[Detection, ...] | None = None
    pages: tuple[PageText, ...] | None = None
    result_bucket: str | None = None
    result_key: str | None = None


class ReconcileResult(Contract):
    """What one run of `tasks.reconcile` did."""

    pages_failed: int = 0
    tickets_issued: int = 0


class PurgeResult(Contract):
    """What one run of `tasks.purge_expired` did."""

    documents_deleted: int = 0


class WebhookPayload(Contract):
    """Payload of `tasks.deliver_webhook`: a message, and how many attempts were made before this one."""

    delivery_id: UUID
    attempt: int = Field(ge=0)


class WebhookResult(Contract):
    """What came of an attempt; `skipped` if it had been made before."""

    outcome: Literal["delivered", "put_off", "failed", "skipped"]


class SummaryPayload(SummaryOptions):
    """Payload of `tasks.summarize_document`: a document that is in the database, and the options."""

    document_id: UUID


class FlashcardsPayload(FlashcardOptions):
    """Payload of `tasks.generate_flashcards`: a document that is in the database, and the options."""

    document_id: UUID


class QuizPayload(QuizOptions):
    """Payload of `tasks.generate_quiz`: a document that is in the database, and the options."""

    document_id: UUID


StudyAidStatus = Literal["waiting", "queued", "running", "completed", "failed", "unavailable"]


class StudyAidResult(Contract):
    """What a task made of a study aid's turn. The aid itself is in Postgres, under `artifact_id`."""

    artifact_id: UUID
    status: StudyAidStatus


class DiagnosticsResult(Contract):
    """The report of `tasks.diagnostics`: no secrets, one JSON object."""

    versions: dict[str, str | None]
    services: dict[str, Any]
    settings: dict[str, Any]
    gpu: dict[str, Any]
    models: dict[str, Any]
