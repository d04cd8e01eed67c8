"""A load balancer before three servers, each in a process of its own, which may be killed.

    each request: load balancer > [one | two | three], in turns > answer
    each of them: supervisor: [ process: [ server ] ]

Type ``python examples/load_balancer.py``, and ``curl http://127.0.0.1:8080/`` several times: one server after
the other answers, and says which process it is. Kill one, as in ``kill 4711``, and ask again: the others
answer in its place, and nobody who asks notices. Its supervisor starts another, and soon it is asked as well.
"""

import os
import sys

from kamaelia import run
from kamaelia.chassis import Supervisor
from kamaelia.process import Worker
from kamaelia.protocol.http import HTTPServer, ReverseProxy


def hello(request):
    return f"hello from process {os.getpid()}, behind {request.headers['Via']}\n"


def serve(front="8080", *behind):
    ports = [int(port) for port in behind] or [9001, 9002, 9003]
    servers = [Supervisor(Worker(HTTPServer({"/*": hello}, port=port))) for port in ports]
    balancer = ReverseProxy([f"127.0.0.1:{port}" for port in ports], left_out=1)
    run(*servers, HTTPServer({"/*": balancer}, port=int(front)))


if __name__ == "__main__":
    serve(*sys.argv[1:])
