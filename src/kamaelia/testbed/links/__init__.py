"""What links do to packets: queueing, losing, delaying, pacing, doubling, reordering, corrupting them.

These are models. None knows of packets, hosts or clocks: each is told the time, in whole nanoseconds of the
simulation, and draws its chance from a stream that it is given. Read in this order; each opens with its
theory:

| module | what is in it |
| --- | --- |
| `random_stream` | chance that has an owner (`elementary`: logarithms that are the same on every machine) |
| `loss` | which packets are lost; `gilbert_elliott`: losses in bursts |
| `variation` | jitter: how much longer than usual packets are under way |
| `rates` | how fast a link sends, and how that changes |
| `queues` | what waits where a link is too slow, and is dropped (`red`, `codel`, `fq_codel`) |
| `impairments` | packets that come twice, out of turn, or changed |

A **description**, such as ``UniformLoss("5 %")``, says what is to be; it never changes, can be compared,
pickled and shared by any number of links. Its ``begin`` makes what one direction of a link keeps while it
runs. Rates need no such thing. Times in descriptions are written as everywhere (`kamaelia.axon.units`) and
kept in nanoseconds (`quantities`).
"""

from .codel import CoDel
from .fq_codel import FQCoDel
from .gilbert_elliott import GilbertElliott, TimedGilbertElliott
from .impairments import Corruption, Corruptions, Duplicates, Duplication, Reordering, Reorders
from .loss import Losses, LossIntervals, LossList, LossModel, LossTrace, UniformLoss, loss_model
from .queues import DropTail, TokenBucket, queue_discipline
from .random_stream import RandomStream
from .rates import ConstantRate, RateFunction, RateModel, RateTrace, rate_model
from .red import RED
from .variation import (
    Distribution,
    Empirical,
    Exponential,
    Jitter,
    JitterModel,
    Normal,
    Pareto,
    Uniform,
    jitter_model,
)

__all__ = [
    "RED",
    "CoDel",
    "ConstantRate",
    "Corruption",
    "Corruptions",
    "Distribution",
    "DropTail",
    "Duplicates",
    "Duplication",
    "Empirical",
    "Exponential",
    "FQCoDel",
    "GilbertElliott",
    "Jitter",
    "JitterModel",
    "LossIntervals",
    "LossList",
    "LossModel",
    "LossTrace",
    "Losses",
    "Normal",
    "Pareto",
    "RandomStream",
    "RateFunction",
    "RateModel",
    "RateTrace",
    "Reordering",
    "Reorders",
    "TimedGilbertElliott",
    "TokenBucket",
    "Uniform",
    "UniformLoss",
    "jitter_model",
    "loss_model",
    "queue_discipline",
    "rate_model",
]
