# Each target is a list of commands that also work by themselves.

# The race detector needs cgo, and that more than a compiler: Debian's gcc without libc6-dev builds nothing. So it is tried.
race = $(if $(shell go build -race runtime/cgo 2>&1),,-race)

.PHONY: test demo unit docs chaos canary peers image contents bench herd fuzz

test: unit demo peers image

unit:
	test/install strace util-linux mount
	odd=$$("$$(go env GOROOT)/bin/gofmt" -l pipe internal test) && test -z "$$odd" || { echo "not as gofmt writes it: $$odd"; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./...
	go mod tidy -diff
	test/vuln
	@test -n "$(race)" || echo "SKIP the race detector: no C compiler with which cgo builds"
	go test $(race) -shuffle=on -timeout 30m ./...
	go run ./test/bench -quick >/dev/null

# What is generated: the tables of variables, pipe.yml, the output of commands, and the pages of rules.
docs:
	go test -count=1 ./test -run TestStale -generate

demo:
	go run ./test/demo

# Every fault at every request, every disk and every signal. It writes docs/evidence/chaos.md and takes some minutes; unit plays a part.
chaos:
	test/install strace util-linux mount
	go test -count=1 -timeout 30m ./test/chaos -full -write ../../docs/evidence/chaos.md

# Every story, searched for every secret. It writes docs/evidence/secrets.md.
canary:
	go test -count=1 ./test -run 'TestScripts|TestRecording|TestCrash|Print' -secrets ../docs/evidence/secrets.md

# Real servers and clients that others wrote. What cannot be installed is skipped by name.
peers:
	test/peers/install
	cd test/peers && go vet ./... && go test -count=1 -timeout 20m

# The very Dockerfile, run with Bitbucket's flags.
image:
	test/image/run

# What the image is made of. It writes docs/evidence/contents.md.
contents:
	go test ./test -run TestContents -contents ../docs/evidence/contents.md

# What a login costs beside what would be run in its place. It writes docs/evidence/performance.md; a quiet machine tells more.
bench:
	go run ./test/bench -write docs/evidence

# 500 logins at once at an STS that throttles, simulated. It writes docs/evidence/herd.md.
herd:
	go test ./internal/transport -run TestHerd -write ../../docs/evidence/herd.md

# A minute for each fuzz target.
fuzz:
	for target in access:FuzzParse audit:FuzzFile aws:FuzzFiles collect:FuzzFiles config:FuzzParseDuration config:FuzzSplit evidence:FuzzLine guard/rules:FuzzRead judge:FuzzJudge oidc:FuzzParse report:FuzzBeside script:FuzzParse shell:FuzzWord trust/iam:FuzzAWSRoles trust/iam:FuzzPatternMatches trust/vaultrole:FuzzVaultRole trust/wif:FuzzGCP; do \
		go test ./internal/$${target%:*} -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime 60s -fuzzminimizetime 1s || exit 1; \
	done
