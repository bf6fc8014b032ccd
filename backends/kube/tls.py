"""The TLS side of a connection: trust as kubectl has it, client keys that stay in memory where that can be had."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from backends.credentials.connection import ClusterEntry, Credential
from mesh.facts import Reason
from mesh.reading import NotRead


def context_for(cluster: ClusterEntry, credential: Credential) -> ssl.SSLContext:
    """The context for one API server; the system's roots where the kubeconfig names no CA. Raises ``NotRead``."""
    context = ssl.create_default_context() if cluster.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Go's verifier, which kubectl uses, wants no key usages and trusts no common name.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with contextlib.suppress(AttributeError):
        context.hostname_checks_common_name = False
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cluster.ca is not None:
        try:
            context.load_verify_locations(cadata=cluster.ca.decode("ascii", errors="ignore"))
        except (ssl.SSLError, ValueError) as error:
            raise NotRead(
                Reason.INVALID, "certificate-authority holds no certificate", "Write the cluster entry again."
            ) from error
    if credential.certificate is not None:
        _present(context, credential)
    return context


def _present(context: ssl.SSLContext, credential: Credential) -> None:
    key = credential.key.reveal().encode() if credential.key else b""
    try:
        with _readable(b"\n".join((credential.certificate or b"", key))) as path:
            # An encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(path, password=str)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise NotRead(
            Reason.INVALID,
            f"the client certificate and its key cannot be used: {getattr(error, 'reason', None) or 'not PEM'}",
            "Write the user entry again; an encrypted key cannot be used by kubectl either.",
        ) from error


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A path to these bytes for a library that reads keys from paths only: in memory on Linux, else a 0600 file."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("credential", os.MFD_CLOEXEC)
        try:
            os.write(handle, content)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
