"""Policy: bands, hedges as one convex programme, and margin ahead of the event."""
