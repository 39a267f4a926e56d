# spinet's front door.  `make` lists what there is; each target makes the environment it needs.
PYTHON ?= python3
PY = build/venv/bin/python
# More workers than most machines here have cores: many tests wait for the other end.
PYTEST = $(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder

export RUNTIME TAP PORT CHIP BOARDS PCAP FORWARDS BOARD PARTS MICROPY_DIR

.PHONY: bench bench-aio bench-http bench-loss bench-pico chips clean differential dist env faults firmware goodput
.PHONY: help hil lint mpy pico plot run serial sim size test test-core test-fast test-libraries test-pico

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: env ## a virtual board with a web page, no root, no hardware (RUNTIME=cpython, CHIP=enc28j60, BOARDS=3, PCAP=file, FORWARDS=file, TAP=name, PORT=n)
	@$(PY) tools/run.py

serial: env ## a virtual board as a serial device, build/ttyBOARD, for its console and mpremote (CHIP=, RUNTIME=)
	@$(PY) tools/board/device.py build/board --link build/ttyBOARD \
		--chip $(or $(CHIP),w5500) --runtime $(or $(RUNTIME),micropython)

pico: env ## an emulated Pico with real firmware in place of the virtual board (CHIP=, CONSOLE=usb, TAP=, PORT=)
	@$(PY) tools/run.py --runtime pico --flash build/pico

firmware: env ## an image with spinet frozen in (BOARD=pico, PARTS="w5500 dhcp", MICROPY_DIR=tree, MANIFEST=yours)
	@$(PY) tools/image.py $(or $(BOARD),pico) --parts "$(PARTS)" \
		$(if $(MICROPY_DIR),--micropython $(MICROPY_DIR)) $(if $(MANIFEST),--manifest $(MANIFEST))

test-libraries: ## libraries that no index has, from LIBRARIES=DIR (root): what must be there is said
	@$(PYTHON) tools/env.py --tests
	-@$(PY) tools/pico/device.py --build
	LIBRARIES="$(LIBRARIES)" $(PY) -m pytest -rs host_tests/kernel/test_given_libraries.py \
		host_tests/pico/test_given_webrepl.py $(ARGS)

test-pico: ## only the tests on the emulated Pico; builds its firmware
	@$(PYTHON) tools/env.py --tests
	@$(PY) tools/pico/device.py --build
	$(PY) -m pytest host_tests/pico $(ARGS)

hil: ## the acceptance tests on a real board (PORT=/dev/ttyACM0, IFACE=eth1: the way to it)
	@$(PYTHON) tools/env.py --tests
	HIL_PORT="$(PORT)" HIL_IFACE="$(IFACE)" $(PY) -m pytest host_tests/pico/test_acceptance.py $(ARGS)

test: ## all tests, on CPython, both MicroPythons and the emulated Pico (ARGS="-k arp" for pytest)
	@$(PYTHON) tools/env.py --tests
	-@$(PY) tools/pico/device.py --build
	$(PYTEST) $(ARGS)

test-core: env ## only the core tests, on the three runtimes
	$(PYTEST) host_tests/core $(ARGS)

test-fast: ## all tests but the slow ones
	@$(PYTHON) tools/env.py --tests
	$(PYTEST) -m "not slow" $(ARGS)

sim: env ## random networks in virtual time, all invariants checked (SEEDS=n, FIRST=seed)
	@$(PY) tools/campaign.py --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0) $(ARGS)

plot: env ## a picture of a simulated or captured transfer (ARGS="--loss 1 cubic+rack", ARGS=x.pcap)
	@$(PY) tools/plot.py $(ARGS)

goodput: env ## what of a lossy link TCP fills, in virtual time (ARGS="--kernel", "--fair", "--board")
	@$(PY) tools/goodput.py $(ARGS)

differential: env ## random conversations with the kernel, both ways (root; ARGS="FIRST LAST")
	@$(PY) host_tests/kernel/differential.py $(ARGS)

bench: env ## rates and throughput against the kernel (root); a table and build/bench.json
	@$(PY) tools/bench.py $(ARGS)

bench-http: env ## microdot's requests per second over spinet, beside the runtime's own sockets (root)
	@$(PY) host_tests/kernel/bench_http.py

bench-loss: env ## TCP with frames lost, the kernel on both ends beside it (root); build/bench-loss.json
	@$(PY) tools/bench_loss.py $(ARGS)

bench-pico: env ## cycles, KB/s and RAM of an emulated Pico, both chips; build/bench-pico.json (ARGS="--chip w5500 --profile")
	@$(PY) tools/bench_pico.py $(ARGS)

bench-aio: env ## asyncio streams over a stack, beside asyncio's own (root for the kernel's part)
	@$(PY) tools/bench_aio.py $(ARGS)

mpy: env ## spinet as .mpy files for a board (ARGS="--arch armv7emsp --to DIRECTORY")
	@$(PY) tools/mpy.py $(ARGS)

dist: env ## archives of compiled spinet for each kind of processor, in build/dist
	@$(PY) tools/dist.py $(ARGS)

size: env ## bytes of each module, RAM on a 32-bit MicroPython; a table and build/size.json
	@$(PY) tools/size.py

faults: env ## hours of faults on a modelled chip (CHIP=w5500, SEEDS=100, MINUTES=120, FIRST=0, LOG=1)
	@$(PY) tools/faults.py --chip $(or $(CHIP),w5500) --seeds $(or $(SEEDS),100) \
		--minutes $(or $(MINUTES),120) --first $(or $(FIRST),0) $(if $(LOG),--log)

chips: env ## bytes, chip selects and throughput of the drivers at each SPI clock (CHIP=name for one)
	@$(PY) tools/chip_table.py $(CHIP)

lint: env ## ruff
	@$(PY) -m ruff check .

clean: ## remove what was made, except the environment (build/venv, build/node)
	@find build -mindepth 1 -maxdepth 1 ! -name venv ! -name node -exec rm -rf {} + 2>/dev/null; true
	@rm -rf dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -path ./build -prune -o -name __pycache__ -type d -exec rm -rf {} +

env:
	@$(PYTHON) tools/env.py
