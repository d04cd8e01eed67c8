"""TLS: what connections are protected with.

| module | what is in it |
| --- | --- |
| `settings` | `ServerTLS`, `ClientTLS`: certificates, names, who is believed |
| `machine` | `TLSMachine`: bytes of the wire in, bytes of the application out; no socket |
| `transport` | what stands between a transport and a stream |

The cryptography is OpenSSL's, by way of the standard library's `ssl`.
"""

from .machine import TLSInfo, TLSMachine
from .settings import ClientTLS, ServerTLS
from .transport import TLSTransport

__all__ = ["ClientTLS", "ServerTLS", "TLSInfo", "TLSMachine", "TLSTransport"]
