"""The virtual board: a stand-in for `machine`, and what starts it."""
