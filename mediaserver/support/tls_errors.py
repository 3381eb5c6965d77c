"""Says in plain words why this server could not connect to another one by TLS."""

import re
import ssl

import aiohttp

# OpenSSL's names of what it meets where the peer sends something else than TLS, such as an answer in plain HTTP.
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
_NOISE = re.compile(r"^\[[^\]]*\] *| *\(_ssl\.c:\d+\)$")  # names of OpenSSL's, and the line of Python's source


def is_untrusted(error: aiohttp.ClientSSLError) -> bool:
    """Whether the peer's certificate is the reason."""
    return isinstance(error.os_error, ssl.SSLCertVerificationError)


def is_not_tls(error: aiohttp.ClientSSLError) -> bool:
    """Whether the peer does not speak TLS at all."""
    return getattr(error.os_error, "reason", None) in _NOT_TLS


def describe_tls_error(error: aiohttp.ClientSSLError) -> str:
    """The reason in a few words."""
    if is_untrusted(error):
        return f"the certificate is not trusted: {getattr(error.os_error, 'verify_message', 'verify failed')}"
    if is_not_tls(error):
        return "what listens there speaks no TLS"
    return _NOISE.sub("", error.os_error.strerror or str(error.os_error))
