// The instructions of the Cortex-M0+ as data, and the loop that runs them.
//
// rp2040js executes about 40 million instructions a second, one method call and a search through
// all encodings each.  Here every encoding is a line of a table; from it one function is made whose
// locals hold the flags, which reads and writes RAM and flash itself, and which looks at clock,
// alarms and interrupts only when they are due.  Whatever is rare goes to rp2040js.  State and
// cycle counts are the same as those of its own loop; host_tests/pico holds both side by side.
//
// In a pattern 0 and 1 are the encoding, letters are fields: `$d` in the action is field d.
// `nz` is a value whose sign is N and which is 0 when Z; `c` and `v` are 0 or 1.

const RAM = 0x20000000, RAM_SIZE = 264 * 1024;

const logical = (what) => `R[$d] = nz = ${what};`;
const add = (x, y, to, carry = 0) => `{
  const x = ${x}, y = ${y}, sum = (x >>> 0) + (y >>> 0) + ${carry};
  nz = sum | 0; c = sum > 0xffffffff ? 1 : 0; v = ((x ^ nz) & (y ^ nz)) >>> 31; ${to} }`;
const subtract = (x, y, to) => `{
  const x = ${x}, y = ${y};
  nz = (x - y) | 0; c = (x >>> 0) >= (y >>> 0) ? 1 : 0; v = ((x ^ y) & (x ^ nz)) >>> 31; ${to} }`;
const high = '(($D << 3) | $d)';                // a register's number in two pieces
const operand = '($m === 15 ? pc + 2 : R[$m])';
const jump = (to) => `pc = (${to}) & ~1; cycles = 2;`;
const returning = (to, cost) => `{                // to an address, or from an exception
  const to = ${to}; cycles ${cost};
  if (to >>> 28 === 15) { LEAVE core.BXWritePC(to >>> 0); ENTER } else pc = to & ~1; }`;

const load = (bits, address, to) => `{
  const a = (${address}) | 0, i = (a - ${RAM}) >>> 0; let value;
  if (i < ${RAM_SIZE} ${aligned(bits)}) { value = ram${bits}[i${index(bits)}]; cycles = 2; }
  else if (a >>> 24 === 0x10 ${aligned(bits)}) { value = flash${bits}[(a & 0xffffff)${index(bits)}]; cycles = 2; }
  else {
    ${bits > 8 ? `if (a & ${bits / 8 - 1}) machine.fault('unaligned load', a, pc - 2);` : ''}
    cycles = COST(a, 4); SYNC value = mcu.readUint${bits}(a >>> 0) | 0; PLAN
  }
  R[${to}] = value; }`;
const signed = (bits, address) => load(bits, address, '$d') + `R[$d] = R[$d] << ${32 - bits} >> ${32 - bits};`;
const store = (bits, address, from) => `{
  const a = (${address}) | 0, i = (a - ${RAM}) >>> 0;
  if (i < ${RAM_SIZE} ${aligned(bits)}) { ram${bits}[i${index(bits)}] = R[${from}]; cycles = 2; }
  else {
    ${bits > 8 ? `if (a & ${bits / 8 - 1}) machine.fault('unaligned store', a, pc - 2);` : ''}
    cycles = COST(a, 5); SYNC mcu.writeUint${bits}(a >>> 0, ${mask(bits, `R[${from}]`)}); PLAN
  } }`;
const aligned = (bits) => (bits > 8 ? `&& (a & ${bits / 8 - 1}) === 0` : '');
const index = (bits) => ({ 8: '', 16: ' >>> 1', 32: ' >>> 2' })[bits];
const mask = (bits, what) => (bits === 32 ? `${what} >>> 0` : `${what} & ${2 ** bits - 1}`);

// Several registers, in RAM; elsewhere rp2040js does it.
const several = (first, size, body) => `{
  const first = ${first}, at = (first - ${RAM}) >>> 0;
  if (at + ${size} <= ${RAM_SIZE} && (at & 3) === 0) { let i = at >>> 2; ${body} } else RARE }`;
const each = (what) => `for (let r = 0; r < 8; r++) if ($l & (1 << r)) { ${what} cycles++; }`;
const back = `if (!($l & (1 << $n))) R[$n] = ${RAM} + (i << 2);`;

const ENCODINGS = {
  // shifts
  '00000iiiiimmmddd': `{ const x = R[$m], s = $i; R[$d] = nz = x << s; if (s) c = (x >>> (32 - s)) & 1; }`,
  '00001iiiiimmmddd': `{ const x = R[$m], s = $i; nz = s ? (x >>> s) | 0 : 0; c = (x >>> (s ? s - 1 : 31)) & 1; R[$d] = nz; }`,
  '00010iiiiimmmddd': `{ const x = R[$m], s = $i; R[$d] = nz = x >> (s || 31); c = (x >> (s ? s - 1 : 31)) & 1; }`,
  '0100000010mmmddd': `{ const x = R[$d], s = R[$m] & 0xff; R[$d] = nz = s > 31 ? 0 : x << s; if (s) c = s > 32 ? 0 : (x >>> (32 - s)) & 1; }`,
  '0100000011mmmddd': `{ const x = R[$d], s = R[$m] & 0xff; nz = s > 31 ? 0 : (x >>> s) | 0; if (s) c = s > 32 ? 0 : (x >>> (s - 1)) & 1; R[$d] = nz; }`,
  '0100000100mmmddd': `{ const x = R[$d], s = R[$m] & 0xff; R[$d] = nz = x >> (s > 31 ? 31 : s); if (s) c = (x >> (s > 31 ? 31 : s - 1)) & 1; }`,
  '0100000111mmmddd': `{ const s = R[$m] & 0xff, x = R[$d]; R[$d] = nz = (x >>> (s & 31)) | (x << (-s & 31)); if (s) c = nz >>> 31; }`,
  // sums
  '0001100mmmnnnddd': add('R[$n]', 'R[$m]', 'R[$d] = nz;'),
  '0001101mmmnnnddd': subtract('R[$n]', 'R[$m]', 'R[$d] = nz;'),
  '0001110iiinnnddd': add('R[$n]', '$i', 'R[$d] = nz;'),
  '0001111iiinnnddd': subtract('R[$n]', '$i', 'R[$d] = nz;'),
  '00110dddiiiiiiii': add('R[$d]', '$i', 'R[$d] = nz;'),
  '00111dddiiiiiiii': subtract('R[$d]', '$i', 'R[$d] = nz;'),
  '0100000101mmmddd': add('R[$d]', 'R[$m]', 'R[$d] = nz;', 'c'),
  '0100000110mmmddd': add('R[$d]', '~R[$m]', 'R[$d] = nz;', 'c'),
  '0100001001mmmddd': subtract('0', 'R[$m]', 'R[$d] = nz;'),
  '00101dddiiiiiiii': subtract('R[$d]', '$i', ''),
  '0100001010mmmddd': subtract('R[$d]', 'R[$m]', ''),
  '01000101Dmmmmddd': subtract(`R[${high}]`, operand, ''),
  '0100001011mmmddd': add('R[$d]', 'R[$m]', ''),
  '01000100Dmmmmddd': `{ const d = ${high}, y = ${operand};
    if (d === 15) { ${jump('pc + 2 + y')} } else R[d] = d === 13 ? (R[13] + y) & ~3 : R[d] + y; }`,
  '101100000iiiiiii': 'R[13] += $i << 2;',
  '101100001iiiiiii': 'R[13] -= $i << 2;',
  '10100dddiiiiiiii': 'R[$d] = ((pc + 2) & ~3) + ($i << 2);',
  '10101dddiiiiiiii': 'R[$d] = R[13] + ($i << 2);',
  '0100001101mmmddd': logical('Math.imul(R[$d], R[$m])'),
  // bits, moves
  '00100dddiiiiiiii': 'R[$d] = nz = $i;',
  '01000110Dmmmmddd': `{ const d = ${high}, y = ${operand};
    if (d === 15) { ${jump('y')} } else R[d] = d === 13 ? y & ~3 : y; }`,
  '0100000000mmmddd': logical('R[$d] & R[$m]'),
  '0100000001mmmddd': logical('R[$d] ^ R[$m]'),
  '0100001100mmmddd': logical('R[$d] | R[$m]'),
  '0100001110mmmddd': logical('R[$d] & ~R[$m]'),
  '0100001111mmmddd': logical('~R[$m]'),
  '0100001000mmmddd': 'nz = R[$d] & R[$m];',
  '1011001000mmmddd': 'R[$d] = R[$m] << 16 >> 16;',
  '1011001001mmmddd': 'R[$d] = R[$m] << 24 >> 24;',
  '1011001010mmmddd': 'R[$d] = R[$m] & 0xffff;',
  '1011001011mmmddd': 'R[$d] = R[$m] & 0xff;',
  // loads and stores
  '01001dddiiiiiiii': load(32, '((pc + 2) & ~3) + ($i << 2)', '$d'),
  '0101000mmmnnnddd': store(32, 'R[$n] + R[$m]', '$d'),
  '0101001mmmnnnddd': store(16, 'R[$n] + R[$m]', '$d'),
  '0101010mmmnnnddd': store(8, 'R[$n] + R[$m]', '$d'),
  '0101011mmmnnnddd': signed(8, 'R[$n] + R[$m]'),
  '0101100mmmnnnddd': load(32, 'R[$n] + R[$m]', '$d'),
  '0101101mmmnnnddd': load(16, 'R[$n] + R[$m]', '$d'),
  '0101110mmmnnnddd': load(8, 'R[$n] + R[$m]', '$d'),
  '0101111mmmnnnddd': signed(16, 'R[$n] + R[$m]'),
  '01100iiiiinnnddd': store(32, 'R[$n] + ($i << 2)', '$d'),
  '01101iiiiinnnddd': load(32, 'R[$n] + ($i << 2)', '$d'),
  '01110iiiiinnnddd': store(8, 'R[$n] + $i', '$d'),
  '01111iiiiinnnddd': load(8, 'R[$n] + $i', '$d'),
  '10000iiiiinnnddd': store(16, 'R[$n] + ($i << 1)', '$d'),
  '10001iiiiinnnddd': load(16, 'R[$n] + ($i << 1)', '$d'),
  '10010dddiiiiiiii': store(32, 'R[13] + ($i << 2)', '$d'),
  '10011dddiiiiiiii': load(32, 'R[13] + ($i << 2)', '$d'),
  '1011010lllllllll': `{ let count = 0; for (let bits = $l; bits; bits &= bits - 1) count++;
    ${several('(R[13] - 4 * count) | 0', 36,
    `${each('ram32[i++] = R[r];')} if ($l & 0x100) ram32[i] = R[14]; R[13] = first;`)} }`,
  '1011110lllllllll': several('R[13]', 36, `${each('R[r] = ram32[i++];')}
    if ($l & 0x100) { R[13] = ${RAM} + ((i + 1) << 2); ${returning('ram32[i]', '+= 2')} }
    else R[13] = ${RAM} + (i << 2);`),
  '11001nnnllllllll': several('R[$n]', 32, each('R[r] = ram32[i++];') + back),
  '11000nnnllllllll': several('R[$n]', 32, each('ram32[i++] = R[r];') + back),
  // branches
  '010001110mmmm000': returning(operand, '= 2'),
  '010001111mmmm000': `{ const to = R[$m]; R[14] = pc | 1; ${jump('to')} }`,
  '11100iiiiiiiiiii': jump('pc + 2 + ($i << 21 >> 20)'),
  '11110iiiiiiiiiii': `{ const low = FETCH(pc);
    if ((low & 0xd000) === 0xd000) {
      const s = ($i << 21) >> 31, i1 = ~((low >> 13) ^ s) & 1, i2 = ~((low >> 11) ^ s) & 1;
      R[14] = (pc + 2) | 1; cycles = 3;
      pc = (pc + 2 + ((s << 24) | (i1 << 23) | (i2 << 22) | (($i & 0x3ff) << 12) | ((low & 0x7ff) << 1))) | 0;
    } else RARE }`,
};
const CONDITIONS = ['nz === 0', 'nz !== 0', 'c', '!c', 'nz < 0', 'nz >= 0', 'v', '!v', 'c && nz !== 0',
  '!c || nz === 0', '(nz < 0) === !!v', '(nz < 0) !== !!v', 'nz > 0 && !v || nz < 0 && v',
  'nz === 0 || (nz < 0) !== !!v'];
CONDITIONS.forEach((holds, i) => {
  const code = i.toString(2).padStart(4, '0');
  ENCODINGS[`1101${code}iiiiiiii`] = `if (${holds}) { ${jump('pc + 2 + ($i << 24 >> 23)')} }`;
});

const MACROS = {
  // rp2040js's own state <-> the locals
  LEAVE: `core.N = nz < 0; core.Z = nz === 0; core.C = !!c; core.V = !!v; R[15] = pc; SYNC`,
  ENTER: `nz = core.Z ? 0 : core.N ? -1 : 1; c = +core.C; v = +core.V; pc = R[15] & ~1; PLAN`,
  RARE: `{ LEAVE R[15] = pc - 2; cycles = core.executeInstruction(); core.cycles -= cycles; ENTER }`,
  // the clock catches up; when is it to be looked at again?
  SYNC: `clock.nanosCounter += spent * machine.cycleNanos; core.cycles += spent; spent = 0;`,
  PLAN: `alarm = clock.nextAlarm; spendable = alarm === null ? 1e15
    : (alarm.nanos - clock.nanosCounter) / machine.cycleNanos - 1e-6;`,
};

/** Field `name` of `pattern` as an expression of `op`. */
function field(pattern, name) {
  const first = pattern.indexOf(name), last = pattern.lastIndexOf(name), shift = 15 - last;
  const bits = 2 ** (last - first + 1) - 1;
  return shift ? `((op >> ${shift}) & ${bits})` : `(op & ${bits})`;
}

function expand(pattern, action) {
  let text = action.replace(/\$(\w)/g, (_, name) => field(pattern, name));
  for (let before; before !== text;) {
    before = text;
    for (const [name, macro] of Object.entries(MACROS)) text = text.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), macro);
  }
  return text.replaceAll(/COST\((\w+), (\d)\)/g, '($1 >>> 28 === 13 ? 1 : $1 >>> 28 === 4 ? $2 : 2)')
    .replaceAll(/FETCH\((\w+)\)/g, `($1 >>> 24 === 0x10 ? flash16[($1 & 0xffffff) >>> 1]
      : $1 >>> 0 < 0x4000 ? rom16[$1 >>> 1] : ram16[(($1 - ${RAM}) >>> 0) >>> 1])`);
}

const patterns = Object.keys(ENCODINGS);
/** Which encoding an opcode has, by its upper ten bits; 255: none of the table. */
const KIND = new Uint8Array(1024).fill(255);
patterns.forEach((pattern, kind) => {
  const head = pattern.slice(0, 10);
  const fixed = parseInt(head.replace(/\D/g, '0'), 2), care = parseInt(head.replace(/[01]/g, '1').replace(/\D/g, '0'), 2);
  for (let i = 0; i < 1024; i++) if ((i & care) === fixed) KIND[i] = kind;
});

const SOURCE = `
const { mcu } = machine, { core, clock } = mcu;
const R = new Int32Array(core.registers.buffer);
const flash8 = mcu.flash, flash16 = new Uint16Array(flash8.buffer), flash32 = new Int32Array(flash8.buffer);
const ram8 = mcu.sram, ram16 = new Uint16Array(ram8.buffer), ram32 = new Int32Array(ram8.buffer);
const rom16 = new Uint16Array(mcu.bootrom.buffer);
return function run(left) {
  let nz = 0, c = 0, v = 0, pc = 0, op = 0, cycles = 1, spent = 0, alarm = null, spendable = 0;
  ${expand('', 'ENTER')}
  do {
    if (core.interruptsUpdated) { ${expand('', 'LEAVE')} if (core.checkForInterrupts()) core.waiting = false; ${expand('', 'ENTER')} }
    op = ${expand('', 'FETCH(pc)')};
    pc = (pc + 2) | 0;
    cycles = 1;
    switch (KIND[op >>> 6]) {
${patterns.map((pattern, kind) => `    case ${kind}: ${expand(pattern, ENCODINGS[pattern])} break;`).join('\n')}
    default: ${expand('', 'RARE')}
    }
    spent += cycles;
    if (spent >= spendable) {
      ${expand('', 'SYNC')} R[15] = pc;
      if (alarm !== null && alarm.nanos <= clock.nanosCounter) { ${expand('', 'LEAVE')} clock.tick(0); ${expand('', 'ENTER')} }
      ${expand('', 'PLAN')}
    }
  } while (--left > 0 && !core.waiting && !machine.stopped);
  ${expand('', 'LEAVE')}
  return left;
};`;

/** A function that runs up to so many instructions on `machine`; it returns how many it did not. */
export const compile = (machine) => new Function('machine', 'KIND', SOURCE)(machine, KIND);
