"""A caller of our own: dials a running server as its carrier would, talks, hears and measures."""
