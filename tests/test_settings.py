from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from leadnurture.errors import SettingError
from leadnurture.settings import PREFIX, Settings, load_settings

SECRET_OF_24 = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_the_data_folder_and_its_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.data.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in settings.data.iterdir()} == {
        "secret": 0o600,
        "api_key": 0o600,
    }


def test_generated_secrets_stay_and_differ(tmp_path: Path) -> None:
    first, second = load_settings(tmp_path), load_settings(tmp_path)
    assert first.secret == second.secret
    assert first.secret.get_secret_value() != first.api_key.get_secret_value()


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.secret.get_secret_value() not in repr(settings)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LEADNURTURE_PORT=8181\nLEADNURTURE_HOST=127.0.0.2\nOTHER_PROGRAM=1\n")
    monkeypatch.setenv("LEADNURTURE_PORT", "8282")
    settings = load_settings(tmp_path)
    assert (settings.port, settings.host) == (8282, "127.0.0.2")


def test_a_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "leadnurture_sendgrid_key").write_text("SG.abc\n")
    monkeypatch.setenv("LEADNURTURE_SECRETS_DIR", str(folder))
    monkeypatch.setenv("LEADNURTURE_PROVIDER", "sendgrid")
    key = load_settings(tmp_path).sendgrid_key
    assert key is not None
    assert key.get_secret_value() == "SG.abc"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PROVIDER", "sendgrid", "LEADNURTURE_SENDGRID_KEY is missing: set it"),
        ("PROVIDER", "pigeon", "LEADNURTURE_PROVIDER: input should be 'local', 'sendgrid' or 'smtp'"),
        ("PROVIDER", "smtp", "LEADNURTURE_SMTP_HOST is missing: set it"),
        ("SMTP_USER", "news", "LEADNURTURE_SMTP_USER needs LEADNURTURE_SMTP_PASSWORD"),
        ("INBOUND_ADDRESS", "reply+x@in.example.com", "LEADNURTURE_INBOUND_ADDRESS: must be an address"),
        ("INBOUND_ADDRESS", "reply@in.example.com", "LEADNURTURE_INBOUND_KEY is missing"),
        ("PROVIDR", "local", "LEADNURTURE_PROVIDR is no setting; did you mean LEADNURTURE_PROVIDER"),
        ("PORT", "http", "LEADNURTURE_PORT: input should be a valid integer"),
        ("PORT", "4200", "LEADNURTURE_PORT and LEADNURTURE_PREFECT_PORT are both 4200"),
        ("HOST", "0.0.0.0", "LEADNURTURE_HOST is 0.0.0.0, beyond this machine: set LEADNURTURE_URL"),  # noqa: S104 - what the test is about
        ("URL", "news.example.com", "LEADNURTURE_URL: must be an address like https"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingError) as raised:
        load_settings(tmp_path)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "url", "is_let"),
    [
        ("0.0.0.0", "https://news.example.com", True),  # noqa: S104 - what the test is about
        ("0.0.0.0", "http://news.example.com", False),  # noqa: S104 - as above
        ("192.0.2.1", "", False),
        ("web", "", False),
        ("::1", "", True),
        ("localhost", "", True),
    ],
)
def test_beyond_the_machine_the_pages_need_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, url: str, *, is_let: bool
) -> None:
    monkeypatch.setenv("LEADNURTURE_HOST", host)
    monkeypatch.setenv("LEADNURTURE_URL", url)
    with nullcontext() if is_let else pytest.raises(SettingError, match="LEADNURTURE_HOST"):
        assert load_settings(tmp_path).host == host


def test_a_misspelt_setting_in_the_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LEADNURTURE_PRT=8181\n")
    with pytest.raises(SettingError, match="LEADNURTURE_PRT is no setting"):
        load_settings(tmp_path)


def _documented() -> Iterator[str]:
    text = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    yield from (line.split("`")[1] for line in text.splitlines() if line.startswith("| `"))


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    settings = {PREFIX + name.upper() for name in Settings.model_fields if name != "project"}
    assert set(_documented()) == settings | {"LEADNURTURE_SECRETS_DIR"}


@pytest.mark.parametrize(
    "told", ["zoom", "zoom=", "zoom=whsec_abc", "Zoom=" + SECRET_OF_24, "zoom=" + SECRET_OF_24 + " x"]
)
def test_a_secret_of_a_platform_that_is_none_is_refused_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("LEADNURTURE_WEBINAR_SECRETS", told)
    with pytest.raises(
        SettingError, match="LEADNURTURE_WEBINAR_SECRETS: must be names and secrets"
    ) as refused:
        load_settings(tmp_path)
    assert SECRET_OF_24 not in str(refused.value)


def test_a_platform_may_have_two_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "LEADNURTURE_WEBINAR_SECRETS", f"zoom={SECRET_OF_24}, zoom={SECRET_OF_24[6:]} b={SECRET_OF_24}"
    )
    settings = load_settings(tmp_path)
    assert settings.secrets_of("zoom") == (b"x" * 24, b"x" * 24)
    assert settings.secrets_of("c") == ()
