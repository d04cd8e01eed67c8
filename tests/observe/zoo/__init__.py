"""A zoo: small real systems, stalled on purpose or busy and well, to try the diagnosis on.

| module | what is in it |
| --- | --- |
| `keeper` | runs a system in a thread, looks at it from outside and from within, and asks who holds it up |
| `stalls` | systems in which somebody holds up the others, and who that is |
| `healthy` | systems that are busy, or idle, and well |
| `parts` | what runs in worker processes |
"""
