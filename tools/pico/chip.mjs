// A SPI chip that is modelled in another process, joined to the pins of an emulated RP2040.
//
// Bytes go to the model as late as possible and come from it as early: the first `head` bytes of a
// chip select say whether the chip is read or written, so a chip that is written gets everything at
// once when it is deselected, and of one that is read so many bytes are asked for as the FIFO and
// DMA have set out to fetch.  Every exchange tells the model the time, and brings back the level of
// its interrupt line and the moment when it wants to be asked again.
import { GPIOPinState } from './library.mjs';

const READ = 0, WRITE = 1;
const DREQ_RX = [17, 19];

export class Chip {
  /** `ask(kind, data, wanted)` is an exchange with the model; it answers `{int, next, mode, data}`. */
  constructor(machine, ask, { bus, cs, reset, int, head }) {
    const { mcu } = machine, { clock } = mcu;
    Object.assign(this, { machine, mcu, ask, head, spi: mcu.spi[bus], dreq: DREQ_RX[bus] });
    this.selected = false;
    this.out = Buffer.alloc(1 << 17);
    this.count = 0;                             // bytes of `out` not yet told
    this.got = null;                            // bytes that the model answered
    this.pin = mcu.gpio[int];
    this.level = null;
    this.alarm = clock.createAlarm(() => this.tell('t'));
    let answer = 0;
    const done = clock.createAlarm(() => this.spi.completeTransmit(answer));
    this.spi.onTransmit = (byte) => {
      answer = this.selected ? this.exchange(byte) : 0xff;
      done.schedule((this.spi.dataBits * 1e9) / this.spi.clockFrequency);
    };
    mcu.gpio[cs].addListener((state) => {
      const selected = state === GPIOPinState.Low;
      if (selected === this.selected) return;
      this.selected = selected;
      if (selected) this.begin(); else this.end();
    });
    mcu.gpio[reset].addListener((state) => {
      if (state === GPIOPinState.Low || state === GPIOPinState.High) this.tell('r', state === GPIOPinState.High ? 1 : 0);
    });
  }

  tell(kind, wanted = 0) {
    const count = kind === 'x' || kind === 'd' ? this.count : 0;
    this.count -= count;
    const answer = this.ask(kind, this.out.subarray(0, count), wanted, this.spi.clockFrequency);
    this.follow(answer);
    return answer;
  }
  /** Set the interrupt pin (only changes: each setting latches an edge) and the alarm. */
  follow({ int, next }) {
    if (int !== this.level) { this.level = int; this.pin.setInputValue(!!int); }
    this.alarm.cancel();
    const now = this.machine.nanos();
    if (next < Infinity) this.alarm.schedule(Math.max(0, next - now));
  }

  begin() { this.position = 0; this.count = 0; this.mode = READ; this.got = null; this.at = 0; }
  exchange(byte) {
    let answer = 0;
    if (this.position >= this.head && this.mode === READ) {
      if (this.got === null || this.at >= this.got.length) {
        const reply = this.tell('x', this.ahead());
        this.mode = reply.mode; this.got = reply.data; this.at = 0;
      }
      if (this.mode === READ) answer = this.got[this.at++];
    }
    if (this.position < this.head || this.mode === WRITE) this.out[this.count++] = byte;
    this.position++;
    return answer;
  }
  /** How many bytes are on their way already, this one included: what DMA is still to receive. */
  ahead() {
    const { txFIFO, rxFIFO } = this.spi;
    const channel = this.mcu.dma.channels.find((c) => c.active && c.treq === this.dreq);
    return channel ? channel.transCount - rxFIFO.itemCount : 1 + txFIFO.itemCount;
  }
  end() { if (this.position) this.tell('d'); }
}
