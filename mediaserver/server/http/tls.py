"""TLS of the media listener, version 1.2 and up. A new certificate is loaded while calls go on."""

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from mediaserver.config.listener_settings import TlsSettings
from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError, unreadable

_ENCRYPTED = "the key is encrypted: give one without a passphrase"

log = structlog.get_logger()


class Tls:
    """The TLS context of a server. ConfigError, beginning with `where`, if the certificate or key is invalid."""

    def __init__(self, settings: TlsSettings, where: str) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_RENEGOTIATION
        self.expires = 0.0  # when the certificate expires, in Unix seconds
        self.load_certificate(settings, where)

    def load_certificate(self, settings: TlsSettings, where: str) -> None:
        """Load the certificate and key from their files, for connections to come; ConfigError if that fails."""
        problems: list[str] = []  # problems of reading the files; OpenSSL would not say which file it cannot read
        certificate_pem = _read(settings.certificate, f"{where}: tls.certificate", problems)
        if settings.key:  # without a key, the settings are told to be incomplete
            _read(settings.key, f"{where}: tls.key", problems)
        if problems or not settings.key:
            raise ConfigError(problems)
        try:
            self.context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (OSError, ValueError) as error:  # OSError includes ssl.SSLError, for an invalid certificate or key
            raise ConfigError([f"{where}: tls: {_explain(error, settings)}"]) from error
        self.expires = certificate.not_valid_after_utc.timestamp()

    def log_expiry(self) -> None:
        """Log when the certificate expires, as an error if it has expired already."""
        write = log.info if self.expires > time.time() else log.error
        write("certificate in use", expires=datetime.fromtimestamp(self.expires, UTC).isoformat())


def load(settings: Settings, where: str) -> tuple[Tls | None, list[str]]:
    """Make the TLS context that the settings ask for, or None. Also return a line for each problem with files."""
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
        problems.append(f"{key}: {unreadable(file, error)}")
        return b""


def _no_password() -> str:
    """OpenSSL calls this for the passphrase of an encrypted key. ValueError, since no user can type one."""
    raise ValueError(_ENCRYPTED)


def _explain(error: Exception, settings: TlsSettings) -> str:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"{settings.key} is not the key of {settings.certificate}"
    if str(error) == _ENCRYPTED:
        return _ENCRYPTED
    return f"{settings.certificate} and {settings.key} are not a certificate and its key in PEM"
