# Targets for people; .ci/run calls test. All that is made lies in bin, .engine and .build, which Git ignores.

GO ?= go
NPM ?= npm
MVN ?= mvn
PACKAGES ?= ./...

ENGINE = .engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
BROKER = .build/kafka/libs/complete
DEMO_STATE = .build/demo
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD = $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)'

export KILLS OUTAGE SOAK SCHEDULES GO

.PHONY: all build engine broker demo test vet lint bench measure fuzz soak soak-kafka clean

all: build

## build: bin/bounceline, with the local engine beside it
build: $(ENGINE)
	@mkdir -p bin
	$(BUILD) -o bin/bounceline ./cmd/bounceline
	@ln -f $(ENGINE) bin/libchdb.so 2>/dev/null || cp $(ENGINE) bin/libchdb.so

## engine: the ClickHouse library that the local engine loads, pinned and checked against configs/engine/package-lock.json
engine: $(ENGINE)

$(ENGINE): configs/engine/package.json configs/engine/package-lock.json
	@command -v $(NPM) >/dev/null || { echo 'npm is needed to install the local engine (Debian: apt-get install npm)' >&2; exit 1; }
	@mkdir -p .engine
	cp configs/engine/package.json configs/engine/package-lock.json .engine/
	$(NPM) ci --prefix .engine --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $(ENGINE)

## broker: the Apache Kafka that the tests run, from Maven's central repository, in the versions of its pom.xml
broker: $(BROKER)

$(BROKER): pipeline/e2e/broker/pom.xml
	@command -v $(MVN) >/dev/null || { echo 'Maven is needed to fetch the Kafka broker of the tests (Debian: apt-get install maven)' >&2; exit 1; }
	@rm -rf .build/kafka/libs
	@mkdir -p .build/kafka/libs
	$(MVN) -q -B -f pipeline/e2e/broker/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/.build/kafka/libs
	@touch $(BROKER)

## demo: import the Postfix and Exim logs of testdata/demo into a fresh state directory and print the report
demo: build
	@rm -rf $(DEMO_STATE)
	@mkdir -p .build
	@env -u BOUNCELINE_CLICKHOUSE bin/bounceline import --state-dir $(DEMO_STATE) --log-zone UTC --log-host mx2 testdata/demo/postfix.log.zst testdata/demo/exim.log.zst
	@env -u BOUNCELINE_CLICKHOUSE bin/bounceline report --state-dir $(DEMO_STATE) --zone UTC

## test: everything, with the race detector
test: $(ENGINE) $(BROKER) vet
	$(GO) test -run Allocate ./pipeline/classify
	$(GO) test -race -timeout 15m $(PACKAGES)

vet:
	$(GO) vet $(PACKAGES)

## lint: what golangci-lint has to say, where it is installed
lint: vet
	golangci-lint run

## bench: the benchmarks, each for a second
bench:
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

## measure: parse and import of a generated log of LINES lines against a bare line splitter, pflogsumm and grep
LINES ?= 4000000
RUNS ?= 7
measure: build
	@command -v pflogsumm >/dev/null || { echo 'pflogsumm is needed (Debian: apt-get install pflogsumm)' >&2; exit 1; }
	@mkdir -p .build
	env -u BOUNCELINE_CLICKHOUSE $(GO) run ./pipeline/e2e/measure -lines $(LINES) -runs $(RUNS) -dir .build

## soak: hours of kills (KILLS each of run, of members of a consumer group, of a shipper, of the engine, and one at each of the
## engine's file operations), full disks, an outage of OUTAGE at full input, a consumer group that comes and goes for SOAK, and
## SCHEDULES random schedules, with progress and a summary; or the PARTS of it that are named
soak: $(ENGINE) $(BROKER)
	pipeline/e2e/soak.sh $(PARTS)

## soak-kafka: members of a consumer group killed at random for SOAK
SOAK ?= 10m
soak-kafka: $(ENGINE) $(BROKER)
	BOUNCELINE_SOAK=$(SOAK) $(GO) test -run TestMembersComeAndGo -v -timeout 2h ./cmd/bounceline

## fuzz: every fuzz target for FUZZTIME
FUZZTIME ?= 10s
fuzz:
	@for p in $$($(GO) list $(PACKAGES)); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; \
	done

clean:
	rm -rf bin .build .engine
