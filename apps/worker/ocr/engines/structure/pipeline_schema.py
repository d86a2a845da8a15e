"""What a configuration of PP-StructureV3 may say: every key that PaddleX reads, and the type of its value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

Count = Annotated[int, Field(ge=1, le=100_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0, le=100)]
Ratios = Ratio | Annotated[list[Ratio], Field(min_length=2, max_length=2)]
Merging = Literal["large", "small", "union"]
Runtime = Literal["paddle", "paddle_static", "paddle_dynamic", "onnxruntime", "hpi", "transformers"]


class _Part(BaseModel):
    """Both models and pipelines may say what they run on."""

    # A switch is not a number, and no number is a text.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    batch_size: Count | None = None
    engine: Runtime | None = None
    engine_config: dict[str, JsonValue] | None = None
    use_hpip: bool | None = None
    hpi_config: dict[str, JsonValue] | None = None


class Model(_Part):
    """One model. `model_dir` is relative to the file; without it the model is found by its name."""

    module_name: str | None = None
    model_name: str
    model_dir: str | None = None


class LayoutModel(Model):
    """A detector of parts. Thresholds, ratios and ways of merging are for all classes, or by the number of a class."""

    threshold: Share | dict[int, Share] | None = None
    layout_nms: bool | None = None
    layout_unclip_ratio: Ratios | dict[int, Ratios] | None = None
    layout_merge_bboxes_mode: Merging | dict[int, Merging] | None = None


class DetectionModel(Model):
    """A detector of lines of text."""

    limit_side_len: Count | None = None
    limit_type: Literal["min", "max"] | None = None
    max_side_limit: Count | None = None
    thresh: Share | None = None
    box_thresh: Share | None = None
    unclip_ratio: Ratio | None = None
    input_shape: list[Count] | None = None


class RecognitionModel(Model):
    """A recogniser of lines of text."""

    score_thresh: Share | None = None
    return_word_box: bool | None = None
    input_shape: list[Count] | None = None


class ChartModel(Model):
    """A reader of charts, which may be a server's."""

    genai_config: dict[str, JsonValue] | None = None


class _Pipeline(_Part):
    pipeline_name: str | None = None
    use_doc_preprocessor: bool | None = None
    use_layout_detection: bool | None = None


class _OcrModels(BaseModel):
    model_config = _Part.model_config

    TextDetection: DetectionModel
    TextRecognition: RecognitionModel
    TextLineOrientation: Model | None = None


class OcrPipeline(_Pipeline):
    """Lines of text, of pages or of seals."""

    text_type: Literal["general", "seal"]
    use_textline_orientation: bool | None = None
    # PaddleX's own file has it here for tables, where nothing reads it.
    score_thresh: Share | None = None
    SubModules: _OcrModels


class _PreprocessorModels(BaseModel):
    model_config = _Part.model_config

    DocOrientationClassify: Model | None = None
    DocUnwarping: Model | None = None


class PreprocessorPipeline(_Pipeline):
    """Pages turned upright and flattened."""

    use_doc_orientation_classify: bool | None = None
    use_doc_unwarping: bool | None = None
    SubModules: _PreprocessorModels | None = None


class _TableModels(BaseModel):
    model_config = _Part.model_config

    LayoutDetection: LayoutModel | None = None
    TableClassification: Model | None = None
    TableOrientationClassify: Model | None = None
    WiredTableStructureRecognition: Model | None = None
    WirelessTableStructureRecognition: Model | None = None
    WiredTableCellsDetection: LayoutModel | None = None
    WirelessTableCellsDetection: LayoutModel | None = None


class _TablePipelines(BaseModel):
    model_config = _Part.model_config

    GeneralOCR: OcrPipeline | None = None
    DocPreprocessor: PreprocessorPipeline | None = None


class TablePipeline(_Pipeline):
    """Tables: their kind, cells and structure; and the text of those that lie on their side."""

    use_ocr_model: bool | None = None
    SubModules: _TableModels | None = None
    SubPipelines: _TablePipelines | None = None


class _SealModels(BaseModel):
    model_config = _Part.model_config

    LayoutDetection: LayoutModel | None = None


class _SealPipelines(BaseModel):
    model_config = _Part.model_config

    SealOCR: OcrPipeline | None = None
    DocPreprocessor: PreprocessorPipeline | None = None


class SealPipeline(_Pipeline):
    """Seals."""

    SubModules: _SealModels | None = None
    SubPipelines: _SealPipelines | None = None


class _FormulaModels(BaseModel):
    model_config = _Part.model_config

    LayoutDetection: LayoutModel | None = None
    FormulaRecognition: Model | None = None


class _FormulaPipelines(BaseModel):
    model_config = _Part.model_config

    DocPreprocessor: PreprocessorPipeline | None = None


class FormulaPipeline(_Pipeline):
    """Formulas."""

    SubModules: _FormulaModels | None = None
    SubPipelines: _FormulaPipelines | None = None


class _PageModels(BaseModel):
    model_config = _Part.model_config

    LayoutDetection: LayoutModel
    RegionDetection: LayoutModel | None = None
    ChartRecognition: ChartModel | None = None


class _PagePipelines(BaseModel):
    model_config = _Part.model_config

    GeneralOCR: OcrPipeline
    DocPreprocessor: PreprocessorPipeline | None = None
    TableRecognition: TablePipeline | None = None
    SealRecognition: SealPipeline | None = None
    FormulaRecognition: FormulaPipeline | None = None


class StructureConfig(_Part):
    """A whole file."""

    pipeline_name: Literal["PP-StructureV3"]
    use_doc_preprocessor: bool | None = None
    use_doc_orientation_classify: bool | None = None
    use_doc_unwarping: bool | None = None
    use_seal_recognition: bool | None = None
    use_table_recognition: bool | None = None
    use_formula_recognition: bool | None = None
    use_chart_recognition: bool | None = None
    use_region_detection: bool | None = None
    format_block_content: bool | None = None
    markdown_ignore_labels: list[str] | None = None
    SubModules: _PageModels
    SubPipelines: _PagePipelines


def objection(config: Any) -> str | None:
    """What is wrong with a file's content, and where in it; None if nothing is."""
    try:
        StructureConfig.model_validate(config)
    except ValidationError as error:
        # Of a value that may be of several types, the first complaint is the one of the simplest.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, _keys(first["loc"]))) or "the file"
        if first["type"] == "extra_forbidden":
            return f"{place} is not a key of such a file"
        if first["type"] == "missing":
            return f"{place} is missing"
        if first["type"] == "model_type":
            return f"{place} is to have keys with values"
        return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return None


def _keys(location: tuple[int | str, ...]) -> list[int | str]:
    """The keys within the file, without what pydantic adds for values of several types."""
    return [key for key in location if isinstance(key, int) or key.isidentifier()]
