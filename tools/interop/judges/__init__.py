"""A module for each judge, which has a `Judge` with its cases."""
