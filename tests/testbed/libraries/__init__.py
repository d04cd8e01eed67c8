"""Other people's libraries, unmodified, on simulated hosts; see `cases`."""
