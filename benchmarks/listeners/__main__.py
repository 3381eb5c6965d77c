"""Listens to a server, and prints what was received as a line of JSON (see report.py).

    python -m benchmarks.listeners PORT PATH PID [--tls] [--answer [--certificate PEM --key PEM]] ...

The other options are those of Plan in measure.py, such as --streams 1000. Once all listeners are connected and the
warm-up is over, a line `measuring` is printed, and the window of measurement begins. Newcomers dial during the
window, and have figures of their own in the report. PID is the server's process, whose CPU time and memory are
measured. With --answer, the listeners do not dial: they listen on the port, print a line `listening`, and wait
until the server has dialled all of them. They answer by TLS if there is a certificate.
"""

import argparse
import contextlib
import dataclasses
import json
import socket
import ssl

from .dialling import Target
from .handshake import DialError
from .measure import Plan, measure

_BACKLOG = 4096  # connections that may wait to be accepted


def unverified() -> ssl.SSLContext:
    """A TLS context that accepts any certificate, because the measured server has a self-signed one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def main() -> None:
    """Parse the command line, measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("pid", type=int)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--answer", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    for field in dataclasses.fields(Plan):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=field.default)
    options = vars(parser.parse_args())
    port, path, pid, tls, answer = (options.pop(name) for name in ("port", "path", "pid", "tls", "answer"))
    certificate, key = options.pop("certificate"), options.pop("key")
    context = unverified() if tls else None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    target = Target(port, path, tls=context)
    with contextlib.ExitStack() as stack:
        address = "127.0.0.1", port
        server = stack.enter_context(socket.create_server(address, backlog=_BACKLOG)) if answer else None
        try:
            report = measure(target, pid, Plan(**options), lambda word: print(word, flush=True), server)
        except DialError as error:
            raise SystemExit(str(error)) from error
    print(json.dumps(report.as_dict()))


if __name__ == "__main__":
    main()
