// rp2040js, from build/node, where tools/env.py puts it.
const at = new URL('../../build/node/node_modules/rp2040js/dist/esm/index.js', import.meta.url);
export const { BasePeripheral, ConsoleLogger, GPIOPinState, LogLevel, RP2040, USBCDC } = await import(at);
