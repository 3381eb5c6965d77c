"""TLS of the public listener, 1.2 and up. A new certificate is taken in while calls go on."""

import ssl
from pathlib import Path

from mediaserver.errors import ConfigError, plainly
from mediaserver.settings import TlsSettings


def context(settings: TlsSettings, where: str) -> tuple[ssl.SSLContext | None, list[str]]:
    """A server's TLS, None where there is to be none, and what is wrong with its files."""
    if not settings.certificate:
        return None, []
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        renew(made, settings, where)
    except ConfigError as error:
        return None, error.problems
    return made, []


def renew(used: ssl.SSLContext, settings: TlsSettings, where: str) -> None:
    """Use the certificate that the files hold now, for connections to come; ConfigError where they hold none."""
    for key, file in (("tls.certificate", settings.certificate), ("tls.key", settings.key)):
        try:
            Path(file).read_bytes()
        except (OSError, ValueError) as error:
            raise ConfigError([f"{where}: {key}: {file} cannot be read: {plainly(error)}"]) from error
    try:
        used.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError([f"{where}: tls: {_why(error, settings)}"]) from error


def _no_password() -> str:
    """Nobody is there to be asked."""
    raise ValueError("the key is encrypted: give one without a passphrase")


def _why(error: Exception, settings: TlsSettings) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"{settings.key} is not the key of {settings.certificate}"
    if not isinstance(error, ssl.SSLError):
        return str(error)
    return f"{settings.certificate} and {settings.key} are not a certificate and its key in PEM"
