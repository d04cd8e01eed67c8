"""A chat on a web page, and for those who come with ``nc``: two worlds, one room.

    each page:     WebSocket > the room > WebSocket
    each terminal: connection > lines > the room > lines > connection
    the room:      keeps the last ten lines

Type ``python examples/web_chat.py``, open http://127.0.0.1:8080/ in two windows, and in a terminal type
``nc 127.0.0.1 1500``. Everybody sees what anybody says; who comes late is told what was said before.
"""

import sys

from kamaelia import run
from kamaelia.chassis import Backplane, Join
from kamaelia.flow import Encode, Lines
from kamaelia.net import TCPServer
from kamaelia.protocol.http import HTTPServer
from kamaelia.protocol.websocket import WebSocket

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>A chat</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px sans-serif; max-width: 34em; margin: 2em auto; padding: 0 1em; background: #f4f1ea }
  #said { height: 14em; overflow: auto; padding: 1em; background: #fff; border-radius: 8px }
  #said p { margin: 0 0 .4em }
  form { display: flex; gap: .5em; margin-top: 1em }
  input, button { font: inherit; padding: .4em .6em; border: 1px solid #bbb; border-radius: 6px }
  #name { width: 7em }
  #text { flex: 1 }
</style>
<h1>A chat</h1>
<div id="said" role="log"></div>
<form>
  <input id="name" placeholder="Your name" required>
  <input id="text" placeholder="Say something" autocomplete="off" required>
  <button>Say it</button>
</form>
<script>
  const [said, name, text] = ["said", "name", "text"].map(id => document.getElementById(id))
  const room = new WebSocket(location.href.replace(/^http/, "ws") + "chat")
  function show(line) {
    const paragraph = document.createElement("p")
    paragraph.textContent = line
    said.append(paragraph)
    said.scrollTop = said.scrollHeight
  }
  room.onmessage = event => show(event.data)
  room.onclose = () => show("(The chat is over.)")
  document.forms[0].onsubmit = event => {
    event.preventDefault()
    room.send(`${name.value}: ${text.value}`)
    text.value = ""
  }
</script>
"""


def serve(web="8080", nc="1500"):
    talk = Join("room", when_full="drop-oldest")
    pages = HTTPServer({"/": PAGE, "/chat": WebSocket(talk)}, port=int(web))
    terminals = TCPServer(Lines() | talk | Encode(end="\n"), port=int(nc))
    run(Backplane("room", keep=10), pages, terminals)


if __name__ == "__main__":
    serve(*sys.argv[1:])
