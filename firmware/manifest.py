"""What is frozen into an image: spinet as tools/mpy.py prepares it, and the firmware's program.

For MicroPython's build; `make firmware` uses it, and a manifest of your own can:

    include("/path/to/spinet/firmware/manifest.py", parts="w5500 dns sntp")

`parts` names what there is beside the stack, see `PARTS`; without it everything is taken.  What no
part names is always there.  With "app" the image is a board that works when it is switched on: it
runs the flash's own boot.py and main.py, if there are any, else those of spinet.
"""
import os
import sys

# As `import` finds things here only while it runs; the manifest's directory is the current one.
sys.path.insert(0, os.path.abspath("../tools"))
import frozen  # noqa: E402

options.defaults(parts="", modules="", to="")    # noqa: F821 - MicroPython's, as all that follows
words = options.parts.split(), options.modules.split()      # noqa: F821
for directory, file in frozen.stage(options.to, *words):    # noqa: F821
    freeze(directory, file)     # noqa: F821
