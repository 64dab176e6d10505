"""Which provider sends: the one that the settings name."""

from leadnurture.mail.provider import Provider
from leadnurture.settings import Settings


def make_provider(settings: Settings) -> Provider:
    """The provider that the settings name."""
    if settings.provider == "sendgrid" and settings.sendgrid_key is not None:
        from leadnurture.mail.sendgrid import SendGrid  # noqa: PLC0415 - a quarter of a second that `local` need not pay

        return SendGrid(settings.sendgrid_key.get_secret_value(), settings.sendgrid_url)
    if settings.provider == "smtp":
        from leadnurture.mail.smtp import Server, Smtp  # noqa: PLC0415 - as above

        password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
        return Smtp(
            Server(settings.smtp_host, settings.smtp_port, settings.smtp_tls, settings.smtp_user, password)
        )
    from leadnurture.mail.local import LocalOutbox  # noqa: PLC0415 - as above

    return LocalOutbox(settings.outbox)
