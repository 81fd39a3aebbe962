"""Vendors' servers on loopback: their real wire, with the speech of this machine, and faults."""
