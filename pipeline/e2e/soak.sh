#!/bin/sh
# Runs the long forms of the tests that kill, fill up and take away, one after the other, and sums up: all, or those that are named.
# For make soak; the logs are in .build/soak.
set -u
cd "$(dirname "$0")/../.."
mkdir -p .build/soak
summary=.build/soak/summary
: >$summary
parts=$*
trap 'kill -s TERM -- -$!; echo; cat $summary; echo "interrupted"; exit 130' INT TERM

# soak NAME TESTS PACKAGE ARGUMENTS...
soak() {
	name=$1 tests=$2 package=$3
	shift 3
	case " ${parts:-$name} " in *" $name "*) ;; *) return ;; esac
	log=.build/soak/$name.log
	echo "== $name ($(date '+%H:%M'))"
	begun=$(date +%s)
	: >"$log" # tail may be sooner than the test
	# In a process group of its own, so that all of it can be ended.
	setsid ${GO:-go} test -v -count=1 -parallel 1 -timeout 24h -run "$tests" "$package" "$@" >$log 2>&1 &
	tail -q -n +1 -f --pid=$! $log | grep --line-buffered -E '^ *(--- |[a-z_]+_test\.go:[0-9]+: )'
	wait $! && result=ok || result=FAILED
	printf '%-16s %-6s %5d s   %s\n' "$name" $result $(($(date +%s) - begun)) "$log" >>$summary
}

export BOUNCELINE_KILLS="${KILLS:-500}" BOUNCELINE_TEST_KILLS="${KILLS:-500}" BOUNCELINE_SHIM_ALL=1
export BOUNCELINE_MEMBER_KILLS="${KILLS:-500}" BOUNCELINE_SHIPPER_KILLS="${KILLS:-500}"
export BOUNCELINE_OUTAGE="${OUTAGE:-10m}" BOUNCELINE_SOAK="${SOAK:-10m}"
soak run-killed '^TestKilledAnywhere$' ./cmd/bounceline
soak member-killed '^TestMemberKilledAnywhere$' ./cmd/bounceline
soak shipper-killed '^TestShipperKilledAnywhere$' ./cmd/bounceline
soak engine-killed '^TestEngineKilled$' ./cmd/bounceline
soak file-operations '^TestEngineKilled(AtFileOperations|WhileItIsMended)$' ./cmd/bounceline
soak full-disk '^(TestRunOnAFullDisk|TestImportOnAFullDisk|TestDiskIsFullAgainAndAgain)$' ./cmd/bounceline
soak outage '^TestOutageAtFullInput$' ./cmd/bounceline
soak kafka '^TestMembersComeAndGo$' ./cmd/bounceline
soak schedules '^TestSchedules$' ./pipeline/e2e/model -first 1000 -schedules "${SCHEDULES:-1000}"
echo
cat $summary
if [ ! -s $summary ]; then
	echo "there is no such part: $parts" >&2
	exit 2
fi
! grep -q FAILED $summary
