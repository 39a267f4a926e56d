// Runs MicroPython's 32-bit WebAssembly build: mp_node.mjs RUNTIME HEAP_BYTES CODE DIR...
// The Python files of each DIR are copied to the same place below / in the runtime's own file
// system, and each is on sys.path.  Output goes out at once, as it comes.  Form feeds cut CODE into
// parts: this runtime collects garbage only when none of its code is running.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [runtime, heap, code, ...dirs] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(path.resolve(runtime)));
const mp = await loadMicroPython({
    heapsize: Number(heap),
    pystack: 8192,      // words; a chip model on top of a stack nests deeper than a board does
    linebuffer: false,
    stdout: (bytes) => fs.writeSync(1, bytes),
});

function copy(from, to) {
    mp.FS.mkdirTree(to);
    for (const name of fs.readdirSync(from)) {
        const source = path.join(from, name);
        if (fs.statSync(source).isDirectory()) {
            if (name !== "__pycache__") copy(source, `${to}/${name}`);
        } else if (name.endsWith(".py") || name.endsWith(".mpy")) {
            mp.FS.writeFile(`${to}/${name}`, fs.readFileSync(source));
        }
    }
}

for (const dir of dirs) copy(dir, `/${dir}`);
mp.runPython(`import sys\nsys.path[:] = ${JSON.stringify(dirs.map((dir) => `/${dir}`))}\n`);
try {
    for (const part of code.split("\f")) mp.runPython(part);
} catch (error) {
    fs.writeSync(1, `${error}\n`);
    process.exit(1);
}
