"""What a capture writes to: frames wait here for the serial line, a few at most."""
import binascii
import json

ROOM = 16


class Tap:
    """Takes what `Pcap` writes: the file's header, then of each frame its head and itself.

    `frames` are pairs (head, frame); `lost` counts those for which there was no room.
    """

    def __init__(self):
        self.header = None
        self.frames = []
        self.lost = 0
        self._head = None

    def write(self, data):
        """A piece of the file."""
        if self.header is None:
            self.header = bytes(data)
        elif self._head is None:
            self._head = bytes(data)
        else:
            head = self._head
            self._head = None
            if len(self.frames) >= ROOM:
                self.lost += 1
                return
            try:
                self.frames.append((head, bytes(data)))
            except MemoryError:
                self.lost += 1

    @staticmethod
    def framed(data):
        """A line with a piece of the file and its CRC-32."""
        text = binascii.b2a_base64(data).decode().strip()
        return json.dumps({"pcap": text, "crc": binascii.crc32(data)}) + "\r\n"
