"""A dashboard on a web page, live: how busy the server is that shows it.

    every second > look at the server > the room "figures", which keeps the last minute
    each page:     the room > JSON > server-sent events > page

Type ``python examples/dashboard.py``, open http://127.0.0.1:8080/, and then in another window, or reload it
some times. Who comes sees the last minute at once, and then a figure each second. ``curl -N
http://127.0.0.1:8080/figures`` shows what the page gets. When the server is gone, the page says so, and comes
back by itself.
"""

import json
import sys
from datetime import datetime

from kamaelia import run
from kamaelia.chassis import Backplane, PublishTo, SubscribeTo
from kamaelia.flow import Interval, Map
from kamaelia.protocol.http import HTTPServer, ServerSentEvents

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Dashboard</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }
  svg { width: 100%; height: 10em; background: #f4f1ea; border-radius: 8px }
  polyline { fill: none; stroke: #b3541e; stroke-width: 2; vector-effect: non-scaling-stroke }
</style>
<h1>How busy this server is</h1>
<p><b id="answered">?</b> requests answered, <b id="open">?</b> connections open; <span id="at">?</span></p>
<svg viewBox="0 0 59 10" preserveAspectRatio="none"><polyline id="line"></polyline></svg>
<p>Connections of the last minute. <span id="state"></span></p>
<script>
  const element = id => document.getElementById(id)
  const last = []
  const figures = new EventSource("figures")
  figures.onopen = () => { last.length = 0; element("state").textContent = "" }
  figures.onerror = () => { element("state").textContent = "The server is gone." }
  figures.onmessage = event => {
    const figure = JSON.parse(event.data)
    for (const id in figure) element(id).textContent = figure[id]
    last.push(figure.open)
    if (last.length > 60) last.shift()
    const most = Math.max(5, ...last)
    element("line").setAttribute("points", last.map((open, n) => `${n},${9.5 - 9 * open / most}`).join(" "))
  }
</script>
"""


def serve(port="8080", seconds="1"):
    def look(_):
        now = datetime.now().strftime("%H:%M:%S")
        return {"at": now, "open": server.statistics().open, "answered": server.requests().answered}

    figures = SubscribeTo("figures", when_full="drop-oldest") | Map(json.dumps) | ServerSentEvents()
    server = HTTPServer({"/": PAGE, "/figures": figures}, port=int(port))
    run(Backplane("figures", keep=60), Interval(float(seconds)) | Map(look) | PublishTo("figures"), server)


if __name__ == "__main__":
    serve(*sys.argv[1:])
