"""Which provider sends: the one that the settings name."""

from leadnurture.mail.provider import Provider
from leadnurture.settings import Settings


def make_provider(settings: Settings) -> Provider:
    """The provider that the settings name."""
    if settings.provider == "sendgrid" and settings.sendgrid_key is not None:
        from leadnurture.mail.sendgrid import SendGrid  # noqa: PLC0415 - a quarter of a second that `local` need not pay

        return SendGrid(settings.sendgrid_key.get_secret_value(), settings.sendgrid_url)
    from leadnurture.mail.local import LocalOutbox  # noqa: PLC0415 - as above

    return LocalOutbox(settings.outbox)
