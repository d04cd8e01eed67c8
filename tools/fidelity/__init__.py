"""How near to real TCP the testbed's packet-level TCP comes: what judges it, and the table of that."""
