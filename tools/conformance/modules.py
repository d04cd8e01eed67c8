"""Which modules of ``test.test_asyncio`` are run, and which are not."""

from __future__ import annotations

MODULES = {
    "test_base_events": "3.11",
    "test_buffered_proto": "3.11",
    "test_context": "3.11",
    "test_eager_task_factory": "3.12",
    "test_events": "3.11",
    "test_futures": "3.11",
    "test_futures2": "3.11",
    "test_locks": "3.11",
    "test_pep492": "3.11",
    "test_protocols": "3.11",
    "test_queues": "3.11",
    "test_runners": "3.11",
    "test_sendfile": "3.11",
    "test_server": "3.11",
    "test_sock_lowlevel": "3.11",
    "test_ssl": "3.11",
    "test_sslproto": "3.11",
    "test_staggered": "3.13",
    "test_streams": "3.11",
    "test_taskgroups": "3.11",
    "test_tasks": "3.11",
    "test_threads": "3.11",
    "test_timeouts": "3.11",
    "test_transports": "3.11",
    "test_waitfor": "3.11",
}
"""Each with the Python that has it first."""

NOT_RUN = {
    "test_proactor_events": "about the loop that asyncio has on Windows",
    "test_selector_events": "calls private methods of asyncio's selector loop, with mocks of sockets",
    "test_subprocess": "about programs, which a simulated host refuses",
    "test_unix_events": "about signals, programs, pipes, and how asyncio's own loop is made",
    "test_windows_events": "about Windows",
    "test_windows_utils": "about Windows",
}
"""Modules that are left out as a whole, and why."""
