"""The program of a spinet board: configuration, services, status page."""
