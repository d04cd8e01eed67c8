"""Python's own tests of asyncio, on the event loop of a simulated host."""
