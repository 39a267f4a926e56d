// The emulator as a process that does as it is told: commands come on standard input, what happens
// goes out on standard output, and while the core runs it asks there for what the chip answers.
// tools/pico/emulator.py is the other end, and has the messages.
//
//   node main.mjs ROM SETTINGS          SETTINGS: JSON, see emulator.py
import { readFileSync, readSync, writeSync } from 'node:fs';
import { Chip } from './chip.mjs';
import { FLASH_SIZE, Machine } from './machine.mjs';

const [romFile, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const rom = readFileSync(romFile);

function read(count) {
  const data = Buffer.allocUnsafe(count);
  for (let have = 0; have < count;) {
    const n = readSync(0, data, have, count - have);
    if (n === 0) process.exit(0);               // who gave the commands is gone
    have += n;
  }
  return data;
}
let waiting = [];
function send(...pieces) { waiting.push(...pieces); }
function flush() {
  const data = Buffer.concat(waiting);
  waiting = [];
  for (let done = 0; done < data.length;) done += writeSync(1, data, done);
}
function header(kind, ...numbers) {
  const data = Buffer.alloc(1 + 8 * numbers.length);
  data.write(kind, 'latin1');
  numbers.forEach((number, i) => data.writeDoubleLE(number, 1 + 8 * i));
  return data;
}

let said = [[], [], []];
function saySerial() {
  said.forEach((bytes, line) => {
    if (bytes.length) send(header('o', line, bytes.length), Buffer.from(bytes));
  });
  said = [[], [], []];
}

let machine, chip, before = { nanos: 0, cycles: 0, asleep: 0 };
function ask(kind, data, wanted, hertz) {
  saySerial();
  send(header(kind, before.nanos + machine.nanos(), hertz, wanted, data.length), Buffer.from(data));
  flush();
  return answer(kind === 'x');
}
function answer(withData) {
  const head = read(17);                        // interrupt level, next event, bytes (-1: it is written)
  const count = head.readDoubleLE(9);
  return { int: head[0], next: head.readDoubleLE(1) - before.nanos, mode: count < 0 ? 1 : 0,
    data: withData && count > 0 ? read(count) : null };
}
function power(flash) {
  machine = new Machine({ rom, flash, seed: settings.seed, baud: settings.baud, strict: settings.strict,
    onByte: (line, byte) => said[line].push(byte) });
  chip = new Chip(machine, ask, settings);
}
function ended(why) {
  saySerial();
  if (why === 'reset') reset();
  if (why === 'fault') send(header('f', machine.faultText.length), Buffer.from(machine.faultText, 'latin1'));
  send(header('e', ['limit', 'reset', 'fault'].indexOf(why), before.nanos + machine.nanos(),
    before.cycles + machine.cycles(), before.asleep + machine.asleep));
  flush();
}
function reset() {
  before = { nanos: before.nanos + machine.nanos(), cycles: before.cycles + machine.cycles(),
    asleep: before.asleep + machine.asleep };
  power(machine.flash);
  chip.tell('p');                               // the chip's pins float
}

power(new Uint8Array(FLASH_SIZE).fill(255));
const commands = {
  R() {                                         // run until, with the chip's line and next event as of now
    const limit = read(8).readDoubleLE(0);
    chip.follow(answer(false));
    ended(machine.run(limit - before.nanos));
  },
  U() { const head = read(3); machine.lines[head[0]].feed(read(head.readUInt16LE(1))); },
  P() { const head = read(2); machine.mcu.gpio[head[0]].setInputValue(!!head[1]); },
  X() { ended('reset'); },
  L() {                                         // bytes into the flash, then power
    const head = read(8), flash = machine.flash;
    flash.set(read(head.readUInt32LE(4)), head.readUInt32LE(0));
    power(flash);
  },
  S() {                                         // samples so far, from now on
    const found = Buffer.from(JSON.stringify([...(machine.samples ?? [])]));
    machine.samples = new Map();
    send(header('F', found.length), found); flush();
  },
  F() { send(header('F', FLASH_SIZE), Buffer.from(machine.flash)); flush(); },
};
for (;;) commands[read(1).toString('latin1')]();
