"""Strangers' programs beside ours: whether those who have written neither can talk to us.

| module | what is in it |
| --- | --- |
| `judge` | `Judge` and `Case`: who judges, what is tried, and what must be seen |
| `workshop` | where one case is tried: a folder, programs, servers of ours, all gone at its end |
| `site` | what our servers have to show |
| `judges/` | a module for each judge |
| `report` | what came of it, for people and for programs |
| `__main__` | the command: ``python -m tools.interop`` |

The quickest cases are run by `tests/interop` as well, with every `make test`.
"""
