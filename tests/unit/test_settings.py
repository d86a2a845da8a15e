"""The environment: fall-backs, secrets, and messages that name the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from quire.errors import BucketNotAllowed, SettingsError
from quire.settings import Settings, get_settings, load_settings, set_default_environment

SECRET = "hunter2"
URL_VARIABLES = ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "DATABASE_URL")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of Quire's variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def read(environment: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        environment.setenv(name, value)
    return load_settings()


def test_an_empty_environment_is_enough():
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("variables", "broker", "backend"),
    [
        ({}, "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ({"REDIS_URL": "redis://r"}, "redis://r", "redis://r"),
        ({"CELERY_BROKER_URL": "redis://b"}, "redis://b", "redis://b"),
        ({"CELERY_BROKER_URL": "redis://b", "REDIS_URL": "redis://r"}, "redis://b", "redis://r"),
        ({"CELERY_RESULT_BACKEND": "redis://c"}, "redis://127.0.0.1:6379/0", "redis://c"),
        ({"CELERY_BROKER_URL": "redis://b", "CELERY_RESULT_BACKEND": "redis://c"}, "redis://b", "redis://c"),
        (
            {"REDIS_URL": "redis://r", "CELERY_BROKER_URL": "redis://b", "CELERY_RESULT_BACKEND": "redis://c"},
            "redis://b",
            "redis://c",
        ),
    ],
    ids=str,
)
def test_the_redis_urls_fall_back(environment, variables, broker, backend):
    settings = read(environment, **variables)
    assert (settings.broker_url, settings.result_backend_url) == (broker, backend)


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_an_empty_variable_counts_as_unset(environment, name):
    assert read(environment, **{name: ""}) == Settings()


@pytest.mark.parametrize(
    "url", ["postgres://u:p@h:5/d?x=1", "postgresql://u:p@h:5/d?x=1", "postgresql+psycopg2://u:p@h:5/d?x=1"]
)
def test_every_postgres_url_gets_the_one_driver(environment, url):
    assert read(environment, DATABASE_URL=url).sqlalchemy_url == "postgresql+psycopg://u:p@h:5/d?x=1"


def test_without_a_database_there_is_no_url():
    assert load_settings().sqlalchemy_url is None


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@h/d", f"u:{SECRET}@h/d", f"postgresqlx://u:{SECRET}@h/d"])
def test_another_database_is_refused_without_its_url(environment, url):
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        _ = read(environment, DATABASE_URL=url).sqlalchemy_url
    assert SECRET not in refused.value.message


def test_the_bucket_falls_back_to_a_folder(environment):
    assert load_settings().default_bucket == "quire"
    assert read(environment, S3_BUCKET="scans").default_bucket == "scans"


@pytest.mark.parametrize("show", [repr, str, lambda settings: str(settings.model_dump())])
@pytest.mark.parametrize("name", [*URL_VARIABLES, "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_a_secret_does_not_show(environment, name, show):
    assert SECRET not in show(read(environment, **{name: f"redis://:{SECRET}@host/0"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PADDLEOCR_PDF_DPI", SECRET),
        ("PADDLEOCR_MIN_CONFIDENCE", "1.75"),
        ("PADDLEOCR_USE_GPU", SECRET),
        ("PADDLEOCR_DEVICE", SECRET),
        ("PADDLEOCR_DEVICE", "gpu:0,1"),
        ("PADDLEOCR_DEVICE", "cpu:0"),
        ("PADDLEOCR_PAGE_BATCH", "-7777"),
        ("PADDLEOCR_REC_BATCH", "-7777"),
        ("PADDLEOCR_ENABLE_HPI", SECRET),
        ("QUIRE_MAX_BYTES", "-7777"),
        ("QUIRE_CPU_ENGINE", SECRET),
        ("QUIRE_LEASE_PAGES", "seven"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_without_its_value(environment, name, value):
    with pytest.raises(SettingsError, match=name) as refused:
        read(environment, **{name: value})
    assert value not in refused.value.message


def test_every_variable_that_cannot_be_used_is_named(environment):
    with pytest.raises(SettingsError, match=r"(?s)PADDLEOCR_PDF_DPI.*QUIRE_MAX_PAGES"):
        read(environment, PADDLEOCR_PDF_DPI="x", QUIRE_MAX_PAGES="x")


def test_a_settings_error_has_no_cause_that_would_show_the_value(environment):
    with pytest.raises(SettingsError) as refused:
        read(environment, PADDLEOCR_PDF_DPI=SECRET)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_switch_is_written_in_the_usual_ways(environment, value, meant):
    assert read(environment, PADDLEOCR_USE_GPU=value).paddleocr_use_gpu is meant


@pytest.mark.parametrize(
    ("variables", "device"),
    [
        ({}, "cpu"),
        ({"PADDLEOCR_USE_GPU": "1"}, "gpu:0"),
        ({"PADDLEOCR_DEVICE": "gpu"}, "gpu:0"),
        ({"PADDLEOCR_DEVICE": "gpu:1"}, "gpu:1"),
        ({"PADDLEOCR_DEVICE": "gpu:12", "PADDLEOCR_USE_GPU": "1"}, "gpu:12"),
        ({"PADDLEOCR_DEVICE": "cpu", "PADDLEOCR_USE_GPU": "1"}, "cpu"),
    ],
    ids=str,
)
def test_a_device_is_the_one_named_or_the_first_gpu_or_the_cpu(environment, variables, device):
    settings = read(environment, **variables)
    assert (settings.ocr_device, settings.uses_gpu) == (device, device != "cpu")


def test_a_folder_is_a_path(environment):
    assert read(environment, QUIRE_OBJECT_DIR="/data/objects").quire_object_dir == Path("/data/objects")


def test_the_variables_of_others_are_no_error(environment):
    assert read(environment, QUIRE_OF_TOMORROW="1") == Settings()


def test_the_settings_of_a_process_are_read_once(environment):
    get_settings.cache_clear()
    try:
        before = get_settings()
        environment.setenv("PADDLEOCR_LANG", "fr")
        assert get_settings() is before
    finally:
        get_settings.cache_clear()


def test_a_library_variable_that_the_operator_has_set_stays(environment):
    environment.setenv("QUIRE_TEST_VARIABLE", "theirs")
    set_default_environment(QUIRE_TEST_VARIABLE="ours")
    import os

    assert os.environ["QUIRE_TEST_VARIABLE"] == "theirs"


@pytest.mark.parametrize(
    ("allowed", "named", "bucket"),
    [
        ("", None, "scans"),
        ("", "scans", "scans"),
        ("in, out", "out", "out"),
        ("in", None, "scans"),
        ("*", "anything", "anything"),
    ],
)
def test_buckets_that_may_be_read(allowed, named, bucket):
    assert Settings(s3_bucket="scans", quire_buckets=allowed).readable_bucket(named) == bucket


@pytest.mark.parametrize(("allowed", "named"), [("", "other"), ("in,out", "other"), ("in", "i"), ("", "")])
def test_a_bucket_that_is_not_named_in_the_settings_is_refused(allowed, named):
    with pytest.raises(BucketNotAllowed, match="QUIRE_BUCKETS"):
        Settings(s3_bucket="scans", quire_buckets=allowed).readable_bucket(named)
