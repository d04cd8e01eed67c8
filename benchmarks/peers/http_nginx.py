"""nginx, one process: a fixed answer, and the files of a FOLDER; its own files go into that folder as well.

It says its port, and becomes nginx, which gets the socket that listens already.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.stopwatch import report

CONFIGURATION = """
daemon off;
user {user} {group};
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type text/plain;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = / {{ return 200 "Hello, world!\\n"; }}
        location / {{ root {folder}; }}
    }}
}}
"""

if __name__ == "__main__":
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("no program nginx: `make bench-deps` installs nginx")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    said = subprocess.run([program, "-v"], capture_output=True, text=True).stderr
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, user=user, group=group))
    report("nginx " + re.findall(r"[\d.]+", said)[0], port=port)
    listener.set_inheritable(True)
    os.environ["NGINX"] = f"{listener.fileno()};"  # sockets that it finds open, as at its own upgrades
    os.execv(program, [program, "-c", str(configuration), "-e", "stderr"])
