"""From a run that fails to the smallest one that fails in the same way.

Theory
------
A failure is found in a large run: fifty hosts, a dozen things that go wrong, a minute. Most of that has
nothing to do with it. `shrink` leaves out one thing after the other, and looks each time whether it still
fails; what remains is left as a file that can be run, and a file of packets (`Shrunk.write`).

**What is a smaller run?** The scenario is called as before; then everything is taken away from the network
that it has described but what is kept (`plan`, `keep`). A host that is taken away leaves its name and address
behind, as one that is switched off. All streams of random numbers have names, so those of what is left do not
change: the link that has lost the third packet still does.

**Which faults?** A first run writes down what really happens, at which moment (`acts`): each fault that
`Network.disturb` has drawn or a script has made is one by itself then, with its end, and can be left out.
Where the run does not fail any more with these in the place of the scenario's own steps, the steps are kept
or left out as wholes. So is what waits for a condition (`Network.when`).

**Which search?** Delta debugging for sets, bisection for numbers (`minimising`); in which order, says
`search`. It is deterministic; what was tried once is not tried again; it is bounded in runs and in time, and
a Ctrl-C ends it with what was found so far.

**Is it the same failure?** The type of the error, the line of code, and the role of the component have to be
the same (`failure`), or a function of yours says so. That is not enough: a test that "all ten answers have
come" fails as well when the server was taken away. So there is a *control*: a candidate has to pass when
nothing goes wrong in it. That means without its faults; if the whole run needs none of these to fail, without
loss, jitter, and the like as well; if it fails even then, with another seed. What fails all the same is no
smaller form of the failure, but another one. If the whole run has no such control, a candidate has to fail
with just the same words. For the same reason a fault keeps its end, and the run as much time after the last
fault as it had.

| module | what is in it |
| --- | --- |
| `shrunk` | `shrink`, and what comes of it |
| `search` | what is tried, in which order |
| `minimising` | delta debugging and bisection |
| `plan` | what is kept of a network |
| `acts` | faults as data, and the journal of a run |
| `running` | one run of a candidate |
| `failure` | whether it is the same failure |
| `writing` | the file; `leaving`: for tests and commands |
"""

from .acts import Act, Fault, find_link
from .failure import Failure
from .plan import Plan, keep
from .running import altered
from .search import Stage
from .shrunk import NotShrunk, Shrunk, shrink

__all__ = [
    "Act",
    "Failure",
    "Fault",
    "NotShrunk",
    "Plan",
    "Shrunk",
    "Stage",
    "altered",
    "find_link",
    "keep",
    "shrink",
]
