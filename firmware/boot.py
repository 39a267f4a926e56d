"""Runs first at every start, before main.py.

Keep it this small: a mistake here makes a board hard to reach.
"""
import gc

if hasattr(gc, "threshold"):
    # Collect before the heap is full, so that large buffers still find a gap.
    gc.threshold((gc.mem_free() + gc.mem_alloc()) // 8)
