"""TLS of the public listener, 1.2 and up. A new certificate is taken in while calls go on."""

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from mediaserver.config.listener_settings import TlsSettings
from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError, plainly

_ENCRYPTED = "the key is encrypted: give one without a passphrase"

log = structlog.get_logger()


class Tls:
    """A server's certificate. ConfigError, with `where` in front, where the files hold none with its key."""

    def __init__(self, settings: TlsSettings, where: str) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.expires = 0.0  # Unix seconds
        self.renew(settings, where)

    def renew(self, settings: TlsSettings, where: str) -> None:
        """Use what the files hold now, for connections to come; ConfigError where it is of no use."""
        problems: list[str] = []  # OpenSSL would not say which of the files it is
        certificate_pem = _read(settings.certificate, f"{where}: tls.certificate", problems)
        _read(settings.key, f"{where}: tls.key", problems)
        if problems:
            raise ConfigError(problems)
        try:
            self.context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError([f"{where}: tls: {_why(error, settings)}"]) from error
        self.expires = certificate.not_valid_after_utc.timestamp()

    def tell(self) -> None:
        """Log until when it is good."""
        tell = log.info if self.expires > time.time() else log.error
        tell("certificate in use", expires=datetime.fromtimestamp(self.expires, UTC).isoformat())


def load(settings: Settings, where: str) -> tuple[Tls | None, list[str]]:
    """A server's TLS, None where there is to be none, and what is wrong with its files."""
    if not settings.tls.certificate:
        return None, []
    try:
        return Tls(settings.tls, settings.source(where, ("tls", "certificate"))), []
    except ConfigError as error:
        return None, error.problems


def _read(file: str, key: str, problems: list[str]) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        problems.append(f"{key}: {file} cannot be read: {plainly(error)}")
        return b""


def _no_password() -> str:
    """Nobody is there to be asked."""
    raise ValueError(_ENCRYPTED)


def _why(error: Exception, settings: TlsSettings) -> str:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"{settings.key} is not the key of {settings.certificate}"
    if str(error) == _ENCRYPTED:
        return _ENCRYPTED
    return f"{settings.certificate} and {settings.key} are not a certificate and its key in PEM"
