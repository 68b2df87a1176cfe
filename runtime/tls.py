"""Files of TLS, checked before a client is made: a wrong one is a sentence, not a traceback."""

import ssl
from typing import NamedTuple


class WrongTlsFile(ValueError):
    """A CA file, a certificate or a key cannot be used; a sentence that names the file."""


class TlsFiles(NamedTuple):
    """Paths of PEM files; an empty CA file means the system's CAs."""

    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = ""

    def load_into(self, context: ssl.SSLContext) -> None:
        """Trust the CA and present the certificate. Raises WrongTlsFile."""
        if bool(self.certificate_file) != bool(self.key_file):
            raise WrongTlsFile(
                "has a certificate file without a key file, or the other way round. Set both."
            )
        if self.ca_file:
            self._load_ca(context)
        if self.certificate_file:
            self._load_certificate(context)

    def _load_ca(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(self.ca_file)
        except OSError as error:  # an ssl.SSLError is one too
            raise WrongTlsFile(
                f"names the CA file {self.ca_file}, which cannot be used: {error}."
                " Give a PEM file that this process may read."
            ) from error

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        try:
            # A function: without one, OpenSSL asks the terminal for a missing password.
            context.load_cert_chain(self.certificate_file, self.key_file, lambda: self.key_password)
        except OSError as error:
            raise WrongTlsFile(
                f"names the certificate {self.certificate_file} with the key {self.key_file},"
                f" which cannot be used: {error}. Check both files and the key's password."
            ) from error
