"""The settings of one installation: environment, `.env` of the project, files of secrets, generated secrets.

One idea to hold: whatever is wrong is one `SettingError` that names the setting and says what to do, in time.
Every setting is described in docs/settings.md; a test compares both.
"""

import base64
import binascii
import difflib
import ipaddress
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from leadnurture.errors import SettingError

PREFIX: Final = "LEADNURTURE_"
DATA_FOLDER: Final = ".leadnurture"
# Read by the tests and by the container, never by the product.
FOREIGN: Final = (f"{PREFIX}TEST_", f"{PREFIX}SECRETS_DIR")
# What is signed comes behind a plus, and all of it must fit into 64 characters.
MAILBOX: Final = re.compile(r"[A-Za-z0-9._-]{1,20}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
PLATFORM: Final = re.compile(r"[a-z0-9-]{1,50}")
SHORTEST_SECRET: Final = 24
"""Bytes, as Standard Webhooks ask for."""
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What a machine decides; what the company decides stands in `config/leadnurture.yaml`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    project: Path
    """The project's folder; given by `--project`, not by the environment."""
    database_url: str = ""
    """Empty means SQLite in the data folder."""
    url: str = ""
    """The address of the links in mails. Empty: this machine for `local`, else the company's url."""
    host: str = "127.0.0.1"
    port: Port = 8080
    prefect_port: Port = 4200
    prefect_url: str = ""
    """The API of a Prefect server elsewhere. Empty means our own on this machine."""
    prefect_retention_days: int = Field(default=30, ge=1)
    provider: Literal["local", "sendgrid", "smtp"] = "local"
    sendgrid_key: SecretStr | None = None
    sendgrid_url: str = "https://api.sendgrid.com"
    sendgrid_webhook_key: str | None = None
    """The public key with which SendGrid's event webhook is verified."""
    smtp_host: str = ""
    smtp_port: Port = 587
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    inbound_address: str = ""
    """Where answers to mails arrive: `reply@in.example.com`, whose mails the provider posts to us."""
    inbound_key: SecretStr | None = None
    """The password with which the provider shows that it is he who posts them."""
    webinar_secrets: SecretStr | None = None
    """Of webinar platforms: `zoom=whsec_… other=whsec_…`, the same name twice while a secret is changed."""
    mail_parallel: int = Field(default=32, ge=1, le=256)
    secret: SecretStr = SecretStr("")
    """Signs the links. Generated in the data folder."""
    api_key: SecretStr = SecretStr("")
    """The first key of the API. Generated in the data folder."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @property
    def data(self) -> Path:
        """The data folder: database, outbox, Prefect's home, secrets."""
        return self.project / DATA_FOLDER

    @property
    def outbox(self) -> Path:
        """Where the local provider puts its mails."""
        return self.data / "outbox"

    @property
    def local_url(self) -> str:
        """Where this machine's web server answers."""
        return f"http://{self.host}:{self.port}"

    @property
    def public_host(self) -> str | None:
        """The host, with its port if that is written, under which the pages may be opened from elsewhere."""
        parts = urlsplit(self.url)
        return parts.netloc.lower() if parts.scheme == "https" else None

    @property
    def prefect_api(self) -> str:
        """The API of the Prefect server that the flows report to."""
        return self.prefect_url or f"http://127.0.0.1:{self.prefect_port}/api"

    def secrets_of(self, platform: str) -> tuple[bytes, ...]:
        """The secrets with which a webinar platform may sign; none for one that is not named."""
        told = self.webinar_secrets.get_secret_value() if self.webinar_secrets else ""
        return tuple(secret for name, secret in _webinar_secrets(told) if name == platform)

    @field_validator("webinar_secrets")
    @classmethod
    def _are_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _webinar_secrets(value.get_secret_value())
        return value

    @field_validator("url", "sendgrid_url", "prefect_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("must be an address like https://news.example.com")
        return value.rstrip("/")

    @field_validator("inbound_address")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        if value and MAILBOX.fullmatch(value) is None:
            raise ValueError("must be an address like reply@in.example.com, with a short name and no plus")
        return value

    @model_validator(mode="after")
    def _has_its_keys(self) -> "Settings":
        if self.provider == "sendgrid" and not (self.sendgrid_key and self.sendgrid_key.get_secret_value()):
            raise ValueError(
                f"{PREFIX}SENDGRID_KEY is missing: set it to an API key that may send mail, "
                f"or set {PREFIX}PROVIDER=local to write mails into the outbox."
            )
        if self.provider == "smtp" and not self.smtp_host:
            raise ValueError(
                f"{PREFIX}SMTP_HOST is missing: set it to the name of your mail server, "
                f"or set {PREFIX}PROVIDER=local to write mails into the outbox."
            )
        if self.smtp_user and not (self.smtp_password and self.smtp_tls != "none"):
            raise ValueError(
                f"{PREFIX}SMTP_USER needs {PREFIX}SMTP_PASSWORD, and {PREFIX}SMTP_TLS, "
                "so that nobody on the way reads the password."
            )
        if self.inbound_address and not (self.inbound_key and self.inbound_key.get_secret_value()):
            raise ValueError(
                f"{PREFIX}INBOUND_KEY is missing: without it no answer that arrives at "
                f"{PREFIX}INBOUND_ADDRESS is accepted."
            )
        if not is_loopback(self.host) and self.public_host is None:
            raise ValueError(
                f"{PREFIX}HOST is {self.host}, beyond this machine: set {PREFIX}URL to the https address "
                "under which people reach it, or leave the host at 127.0.0.1."
            )
        if self.port == self.prefect_port:
            raise ValueError(
                f"{PREFIX}PORT and {PREFIX}PREFECT_PORT are both {self.port}; give each its own."
            )
        return self


def _webinar_secrets(told: str) -> list[tuple[str, bytes]]:
    """Names and secrets. ValueError, which repeats no secret, for what is none."""
    found = []
    for pair in filter(None, re.split(r"[\s,]+", told)):
        name, _, secret = pair.partition("=")
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if PLATFORM.fullmatch(name) is None or len(key) < SHORTEST_SECRET:
            raise ValueError("must be names and secrets, like zoom=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        found.append((name, key))
    return found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as this machine alone can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(root: Path, **overrides: object) -> Settings:
    """The settings of the project at `root`. Writes only the data folder with its two generated secrets."""
    root = root.resolve()
    _refuse_unknown([*os.environ, *_names_in(root / ".env")])
    try:
        settings = Settings(
            _env_file=root / ".env",
            _secrets_dir=_secrets_folder(),
            **{"project": root, **overrides},  # type: ignore[arg-type] # checked by pydantic
        )
    except ValidationError as error:
        raise SettingError(_sentence(error)) from error
    return settings.model_copy(update=_generated(settings))


def _generated(settings: Settings) -> dict[str, object]:
    found: dict[str, object] = {}
    if not settings.database_url:
        found["database_url"] = f"sqlite:///{settings.data / 'leadnurture.db'}"
    for name in ("secret", "api_key"):
        if not getattr(settings, name).get_secret_value():
            found[name] = SecretStr(_kept_secret(settings.data / name))
    return found


def _kept_secret(path: Path) -> str:
    """The secret in a file; a new one where there is none. Two processes that start at once agree on one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        if not path.exists():
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(32) + "\n")
            _publish(draft, path)
        return path.read_text().strip()
    except OSError as error:
        raise SettingError(f"{path} cannot be used ({error.strerror}); make the folder writable.") from error


def _publish(draft: Path, path: Path) -> None:
    """Gives a complete file its name unless another process was first."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _secrets_folder() -> Path | None:
    folder = Path(os.environ.get(f"{PREFIX}SECRETS_DIR", "/run/secrets"))
    return folder if folder.is_dir() else None


def _names_in(env_file: Path) -> list[str]:
    if not env_file.is_file():
        return []
    return [name.upper() for name in DotEnvSettingsSource(Settings, env_file=env_file).env_vars]


def _refuse_unknown(names: Sequence[str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields if name != "project"}
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known and not name.startswith(FOREIGN):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "see docs/settings.md."
            raise SettingError(f"{name} is no setting; {hint}")


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    said = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return said
    return f"{PREFIX}{str(first['loc'][0]).upper()}: {said[0].lower()}{said[1:]}; see docs/settings.md."
