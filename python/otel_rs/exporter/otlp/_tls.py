"""What stands in for grpcio's credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class TlsCredentials:
    """The files that a connection with TLS uses; ``credentials`` of the gRPC exporters.

    grpcio's ``ssl_channel_credentials`` does not tell what it was made of, so that only the stock exporter can use it.
    With this class the native one sends. What is not given here is by the variables, as without credentials.

    Args:
        certificate_file: PEM, the certificates to trust in place of the system's. Default:
            ``OTEL_EXPORTER_OTLP_[SIGNAL_]CERTIFICATE``, then ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH``, then
            ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
        client_key_file: PEM, the key of the client's certificate. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]CLIENT_KEY``.
        client_certificate_file: PEM, the client's certificate and its chain. Default:
            ``OTEL_EXPORTER_OTLP_[SIGNAL_]CLIENT_CERTIFICATE``.
    """

    certificate_file: str | os.PathLike[str] | None = None
    client_key_file: str | os.PathLike[str] | None = None
    client_certificate_file: str | os.PathLike[str] | None = None
