"""Our routes as an application of ASGI, for other people's servers."""

from __future__ import annotations

import os
from pathlib import Path

from kamaelia.protocol.http import asgi_application

from ..site import make_site

app = asgi_application(make_site(Path(os.environ["INTEROP_FILES"])))
