"""Real queue disciplines of Linux beside the links of the testbed: the same packets go through both.

| module | what is in it |
| --- | --- |
| `streams` | the packets that are sent: when, how large, of which flow |
| `real` | sends them through a qdisc of the kernel, between two network namespaces |
| `ours` | sends them through a simulated link |
| `uml` | boots a kernel that has netem, fq_codel and others, where the running one has only tbf |
| `compare` | the statistics |
| `scenarios` | what is compared: a qdisc, what should be the same of ours, and what must agree |
| `__main__` | does all of it, and writes `results.json` and `results.md` |
"""
