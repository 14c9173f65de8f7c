"""Certificates for the receivers, created with openssl and signed by a test authority."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates for the address of the receivers."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl(
            *("req", "-x509", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-keyout", self._key, "-out", self.certificate, *NEW_KEY),
        )

    def sign(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        request, certificate, key = (self._folder / f"{name}.{end}" for end in ("csr", "pem", "key"))
        self._openssl("req", "-subj", f"/CN={name}", "-keyout", key, "-out", request, *NEW_KEY)
        names = self._folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self._openssl(
            *("x509", "-req", "-in", request, "-out", certificate, "-days", "2", "-extfile", names),
            *("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
        )
        return certificate, key

    def _openssl(self, *arguments: Any) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
