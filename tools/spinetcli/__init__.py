"""`spinet`, the program on the host for boards on a serial line."""
