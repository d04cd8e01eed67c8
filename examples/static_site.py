"""The files of a folder as a web site; over TLS, if there is a certificate.

    each request: path > the file that is there > answer

Type ``python examples/static_site.py FOLDER``, and open http://127.0.0.1:8080/. A folder is answered with its
``index.html``, or with a list of what is in it. After the folder may come a port, and a file that has a
certificate and its key: then open https://127.0.0.1:8080/.
"""

import sys

from kamaelia import run
from kamaelia.net import ServerTLS
from kamaelia.protocol.http import HTTPServer, StaticFiles


def serve(folder=".", port="8080", certificate=None):
    files = StaticFiles(folder, listing=True, max_age=60)
    run(HTTPServer({"/*": files}, port=int(port), tls=certificate and ServerTLS(certificate)))


if __name__ == "__main__":
    serve(*sys.argv[1:])
