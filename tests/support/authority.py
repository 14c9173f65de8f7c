"""Certificates for the receivers, created with openssl and signed by a test authority."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
NEW_P521_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp521r1", "-nodes")
# Made beforehand: to find its primes takes a minute.
RSA_8192_KEY = Path(__file__).parents[2] / "crates" / "core" / "src" / "client" / "tests" / "keys" / "rsa_8192.pem"


class Authority:
    """Signs certificates for the address of the receivers."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl(
            *("req", "-x509", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"),
            *("-keyout", self._key, "-out", self.certificate, *NEW_KEY),
        )

    def own(self, address: str) -> tuple[Path, Path]:
        """A certificate that signs itself, and its key. A second call returns the same."""
        certificate, key = self._folder / f"own {address}.pem", self._folder / f"own {address}.key"
        if not certificate.exists():
            names = ("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}")
            self._openssl("req", "-x509", *names, "-keyout", key, "-out", certificate, *NEW_KEY)
        return certificate, key

    def sign(
        self,
        name: str,
        new_key: tuple[str, ...] = NEW_KEY,
        key: Path | None = None,
        extensions: str = "subjectAltName=IP:127.0.0.1,DNS:localhost",
        days: int = 2,
    ) -> tuple[Path, Path]:
        """A certificate and its key, which is new unless it is given. Without extensions it is of version 1."""
        request, certificate, made = (self._folder / f"{name}.{end}" for end in ("csr", "pem", "key"))
        key_arguments = ("-new", "-key", key) if key else ("-keyout", made, *new_key)
        self._openssl("req", "-subj", f"/CN={name}", "-out", request, *key_arguments)
        file = self._folder / "extensions"
        file.write_text(f"{extensions}\n")
        self._openssl(
            *("x509", "-req", "-in", request, "-out", certificate, "-days", days),
            *(("-extfile", file) if extensions else ()),
            *("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
        )
        return certificate, key or made

    def _openssl(self, *arguments: Any) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
