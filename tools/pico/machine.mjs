// An RP2040 with its flash, boot ROM and serial lines, on rp2040js, whose time is made of executed
// cycles alone: what comes in at the same moments gives the same cycles, whatever the host does.
//
// What rp2040js 1.4.1 lacks and firmware needs is added here: erasing and programming the flash
// (the boot ROM's functions do it directly), a UART whose transmit interrupt ends, a ring
// oscillator whose random bit comes from a seed, a watchdog that resets, and a counter of cycles
// for programs, at 0x400f0000 (two words, read the low one first), where no RP2040 has anything.
import { BasePeripheral, ConsoleLogger, LogLevel, RP2040, USBCDC } from './library.mjs';
import { compile } from './thumb.mjs';

export const FLASH_SIZE = 2 * 1024 * 1024;
const SECTOR_NS = 45e6, PAGE_NS = 400e3;        // typical of the Pico's W25Q16JV
const SLICE = 1 << 30;                          // instructions; a run ends by an alarm
const SAMPLE = 499;                             // instructions between samples

class Counter extends BasePeripheral {
  constructor(machine) { super(machine.mcu, 'COUNTER'); this.machine = machine; this.high = 0; }
  readUint32(offset) {
    if (offset === 4) return this.high;
    const cycles = this.machine.cycles();
    this.high = Math.floor(cycles / 2 ** 32);
    return cycles >>> 0;
  }
}

class RingOscillator extends BasePeripheral {
  constructor(mcu, seed) { super(mcu, 'ROSC'); this.state = seed | 0 || 1; this.written = {}; }
  readUint32(offset) {
    if (offset === 0x18) return 0x80001000;     // enabled and stable
    if (offset !== 0x1c) return this.written[offset] ?? 0;
    this.state = (Math.imul(this.state, 1664525) + 1013904223) | 0;
    return this.state >>> 31;
  }
  writeUint32(offset, value) { this.written[offset] = value; }
}

/** The receiving end of a UART: bytes arrive one by one, as fast as `baud` lets them. */
class Line {
  constructor(machine, uart, baud) {
    this.uart = uart; this.waiting = []; this.at = 0; this.byteNs = 10e9 / baud;
    this.alarm = machine.mcu.clock.createAlarm(() => this.next());
    this.busy = false;
    // The transmitter is always empty here, which is not to be said again and again.
    uart.checkInterrupts = function () { this.rp2040.setInterrupt(this.irq, !!(this.interruptStatus & this.interruptMask)); };
  }
  feed(bytes) {
    for (const byte of bytes) this.waiting.push(byte);
    if (!this.busy) { this.busy = true; this.alarm.schedule(this.byteNs); }
  }
  next() {
    if (!this.uart.rxFIFO.full) this.uart.feedByte(this.waiting[this.at++]);
    this.busy = this.at < this.waiting.length;
    if (this.busy) this.alarm.schedule(this.byteNs);
    else { this.waiting.length = 0; this.at = 0; }
  }
}

/** A computer on the USB that has opened the serial line: its bytes come when there is room. */
class UsbHost {
  constructor(machine, onByte) {
    this.usb = machine.mcu.usbCtrl; this.waiting = []; this.room = 0;
    this.cdc = new USBCDC(this.usb);
    this.cdc.onSerialData = (bytes) => bytes.forEach(onByte);
    // With nothing to say it stays silent, where the library's would send empty packets for ever.
    this.usb.onEndpointRead = (endpoint, size) => {
      if (endpoint === this.cdc.outEndpoint) { this.room = size; this.next(); }
    };
  }
  feed(bytes) { for (const byte of bytes) this.waiting.push(byte); this.next(); }
  next() {
    if (!this.room || !this.waiting.length) return;
    const packet = Uint8Array.from(this.waiting.splice(0, this.room));
    this.room = 0;
    this.usb.endpointReadDone(this.cdc.outEndpoint, packet);
  }
}

export class Machine {
  /**
   * `rom` and `flash` are bytes; `flash` is kept and changed. `onByte(line, byte)` hears the serial
   * lines: UART 0, UART 1, and USB. A write to flash is ignored; if `strict`, it is a fault.
   */
  constructor({ rom, flash, seed = 1, baud = 921600, strict = false, onByte }) {
    const mcu = (this.mcu = new RP2040());
    mcu.logger = new ConsoleLogger(LogLevel.Error, false);
    mcu.logger.error = (part, text) => { if (/not 32 bit aligned/.test(text)) this.fault(text, 0, mcu.core.PC); };
    // The mailbox between the cores, in which a reset waits for a word of the other one.
    const sio = mcu.sio.readUint32.bind(mcu.sio);
    mcu.sio.readUint32 = (offset) => (offset === 0x50 ? 3 : offset === 0x58 ? 0 : sio(offset));
    mcu.loadBootrom(new Uint32Array(rom.buffer.slice(rom.byteOffset, rom.byteOffset + rom.length)));
    this.flash = flash;
    mcu.flash.set(flash);
    this.cycleNanos = 1e9 / mcu.clkSys;
    mcu.addClockListener((hz) => { this.cycleNanos = 1e9 / hz; });
    this.asleep = 0;                            // cycles slept
    this.stopped = null;                        // why the core stands still, see `run`
    this.faultText = '';
    this.samples = null;                        // how often the core was where, once asked for
    mcu.peripherals[0x40060] = new RingOscillator(mcu, seed);
    mcu.peripherals[0x400f0] = new Counter(this);
    mcu.peripherals[0x40058].onWatchdogTrigger = () => { this.stopped = 'reset'; };
    this.lines = mcu.uart.map((uart) => new Line(this, uart, baud));
    mcu.uart.forEach((uart, i) => { uart.onByte = (byte) => onByte(i, byte); });
    this.lines.push(new UsbHost(this, (byte) => onByte(2, byte)));
    this.hookFlash();
    mcu.core.PC = 0x10000000;                   // where the boot ROM starts the second stage
    this.guardFlash(strict);
    this.execute = compile(this);
  }

  guardFlash(strict) {
    const { mcu } = this;
    for (const name of ['writeUint8', 'writeUint16', 'writeUint32']) {
      const write = mcu[name].bind(mcu);
      mcu[name] = (address, value) => {
        if (address >>> 24 !== 0x10) write(address, value);
        else if (strict) this.fault('write to flash', address, mcu.core.PC);
      };
    }
  }

  /** The boot ROM's flash functions become breakpoints, behind which the flash is changed. */
  hookFlash() {
    const { mcu } = this, rom = new DataView(mcu.bootrom.buffer);
    const acts = {
      IF: () => {}, EX: () => {}, FC: () => {}, CX: () => {},
      RE: ([offset, count]) => { mcu.flash.fill(0xff, offset, offset + count); this.wrote(offset, count, (count / 4096) * SECTOR_NS); },
      RP: ([offset, from, count]) => {
        for (let i = 0; i < count; i++) mcu.flash[offset + i] &= mcu.readUint8(from + i);
        this.wrote(offset, count, (count / 256) * PAGE_NS);
      },
    };
    const names = Object.keys(acts);
    for (let entry = rom.getUint16(0x14, true); rom.getUint16(entry, true); entry += 4) {
      const number = names.indexOf(String.fromCharCode(rom.getUint8(entry), rom.getUint8(entry + 1)));
      if (number < 0) continue;
      const code = rom.getUint16(entry + 2, true) & ~1;
      rom.setUint16(code, 0xbe00 | number, true);               // BKPT #number
      rom.setUint16(code + 2, 0x4770, true);                    // BX LR
    }
    mcu.onBreak = (number) => {
      if (number < names.length && mcu.core.PC < 0x4000) acts[names[number]](mcu.core.registers);
      else this.fault(`breakpoint ${number}`, 0, mcu.core.PC);
    };
  }
  wrote(offset, count, ns) {
    this.flash.set(this.mcu.flash.subarray(offset, offset + count), offset);
    this.mcu.clock.tick(ns);
  }

  /** What stops a Cortex-M0+ for good, and rp2040js lets pass. */
  fault(what, address, pc) {
    this.faultText ||= `${what}, address 0x${(address >>> 0).toString(16)}, at 0x${(pc >>> 0).toString(16)}`;
    this.stopped = 'fault';
  }

  cycles() { return this.mcu.core.cycles + this.asleep; }
  nanos() { return this.mcu.clock.nanosCounter; }

  /** Runs until `limit` nanoseconds, or until something stops it; why: "limit", "reset", "fault". */
  run(limit) {
    const { core, clock } = this.mcu;
    const end = clock.createAlarm(() => { this.stopped ??= 'limit'; });
    if (this.stopped === 'limit') this.stopped = null;
    end.schedule(Math.max(0, limit - clock.nanosCounter));
    while (!this.stopped) {
      if (core.waiting) {
        const ns = Math.max(0, clock.nextAlarm.nanos - clock.nanosCounter);
        this.asleep += ns / this.cycleNanos;
        clock.tick(ns);
      } else if (this.samples) {
        this.execute(SAMPLE);
        this.samples.set(core.PC, (this.samples.get(core.PC) ?? 0) + 1);
      } else this.execute(SLICE);
    }
    end.cancel();
    return this.stopped;
  }
}
