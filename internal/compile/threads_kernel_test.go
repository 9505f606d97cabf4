package compile_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// ownScript has each thread of one process put a value of its own under its number, read it, add to it and delete it, and
// counts what it found. The number of threads that are in between is not known to the map.
const ownScript = `
	tracepoint:syscalls:sys_enter_getppid /pid == %[1]d/ { @s[tid] = tid * 1000003; @s[tid] += 5; }
	tracepoint:syscalls:sys_exit_getppid /pid == %[1]d/ {
		@seen[0] = count();
		if (@s[tid] != tid * 1000003 + 5) { @seen[1] = count(); }
		if (!has_key(@s, tid)) { @seen[2] = count(); }
		if (!delete(@s, tid)) { @seen[3] = count(); }
		if (has_key(@s, tid)) { @seen[4] = count(); }
		if (delete(@s, tid)) { @seen[5] = count(); }
	}
	tracepoint:syscalls:sys_enter_getuid /pid == %[1]d/ { @s[tid] = tid; }`

// TestKernelOwnElements has threads crowd in a table by thread of one set, and of more sets than there are threads.
func TestKernelOwnElements(t *testing.T) {
	vmtest.Need(t, kernel.Tracepoint, kernel.FetchAtomics)
	const threads = 7
	rounds := 200_000
	if vmtest.Guest() != "" {
		rounds = 2000
	}
	for _, sets := range []int{1, 0} {
		t.Run(fmt.Sprintf("%d sets", sets), func(t *testing.T) {
			p, diags := compile.Compile(fmt.Appendf(nil, ownScript, os.Getpid()), "test", live, compile.Options{ThreadSets: sets})
			if p.Spec == nil {
				t.Fatal(diags)
			}
			m := mapNamed(t, p, "@s")
			if runtime.GOARCH == "amd64" && m.Sets == 0 {
				t.Fatal("the map has no table by thread")
			}
			s, err := attach.Open(p.Spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Attach(); err != nil {
				t.Fatal(err)
			}
			left := crowd(threads, rounds)
			if err := s.Detach(); err != nil {
				t.Fatal(err)
			}
			cost, err := s.Cost()
			if err != nil {
				t.Fatal(err)
			}
			// Where programs are preempted the kernel leaves out runs of those that are busy, and counts them: an entry that was
			// left out is an exit without an element.
			missed := uint64(0)
			for _, c := range cost.Missed {
				missed += c.N
			}
			if missed > 0 && !live.Has(kernel.PreemptsRawTracepoints) {
				t.Errorf("%d runs left out", missed)
			}
			got, calls := seen(t, s, mapNamed(t, p, "@seen")), uint64(threads*rounds)
			if got[0] > calls || got[0]+missed < calls || max(got[1], got[2], got[3]) > missed || got[4]+got[5] > 0 {
				t.Errorf("of %d calls, %d runs left out: %d seen, %d with another's value, %d with no key, %d not deleted, %d there after that, %d deleted twice",
					calls, missed, got[0], got[1], got[2], got[3], got[4], got[5])
			}
			if diff := cmp.Diff(left, ownLeft(t, s, m)); diff != "" && !live.Has(kernel.PreemptsRawTracepoints) {
				t.Errorf("left in the map (-want +got):\n%s", diff)
			}
		})
	}
}

// crowd has so many threads of this process call getppid so often, all at once, and then getuid. It returns their numbers.
func crowd(threads, rounds int) map[uint32]uint64 {
	left := map[uint32]uint64{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range rounds {
				unix.Getppid()
			}
			unix.Getuid()
			lock.Lock()
			defer lock.Unlock()
			left[uint32(unix.Gettid())] = uint64(unix.Gettid())
		})
	}
	all.Wait()
	return left
}

func seen(t *testing.T, s *attach.Session, m compile.Map) (counts [6]uint64) {
	t.Helper()
	var key []byte
	var each []uint64
	all := s.Map(m.BPF).Iterate()
	for all.Next(&key, &each) {
		for _, n := range each {
			counts[key[0]] += n
		}
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

// ownLeft is what is left in a map, both in its table and in its hash.
func ownLeft(t *testing.T, s *attach.Session, m compile.Map) map[uint32]uint64 {
	t.Helper()
	left := map[uint32]uint64{}
	var key []byte
	var value uint64
	for all := s.Map(m.BPF).Iterate(); all.Next(&key, &value); {
		left[binary.NativeEndian.Uint32(key)] = value
	}
	if m.Sets == 0 {
		return left
	}
	memory, err := s.Map(compile.Threads).Memory()
	if err != nil {
		t.Fatal(err)
	}
	table := make([]byte, m.TableSize())
	if _, err := memory.ReadAt(table, int64(m.Offset)); err != nil {
		t.Fatal(err)
	}
	m.Threads(table, func(tid uint32, value []byte) {
		if _, twice := left[tid]; twice {
			t.Errorf("thread %d is in the table and in the hash, or twice in the table", tid)
		}
		left[tid] = binary.NativeEndian.Uint64(value)
	})
	return left
}
