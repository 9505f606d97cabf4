package compile_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// helperText is the environment variable by which the test binary becomes a process that calls probed with that text.
const helperText = "SONDE_PROBED_TEXT"

// TestProbedHelper is no test: it is what the processes of TestKernelPreemption do, until their standard input ends.
func TestProbedHelper(t *testing.T) {
	text := os.Getenv(helperText)
	if text == "" {
		return
	}
	runtime.LockOSThread()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	data := append([]byte(text), 0)
	fmt.Println("ready")
	for i := 0; ; i++ {
		probed(&data[0])
		if i%8 == 0 {
			unix.Nanosleep(&unix.Timespec{Nsec: 1000}, nil) // who wakes up preempts who runs
		}
	}
}

// withoutExchange is a kernel that is taken for one on which memory cannot be claimed: programs then use one scratch
// memory for each CPU, as if nothing could preempt them.
type withoutExchange struct{ kernel.Target }

func (k withoutExchange) Has(f kernel.Feature) bool {
	return f != kernel.FetchAtomics && k.Target.Has(f)
}

// TestKernelPreemption has two processes on one CPU run into the same uprobe, again and again, in the middle of whose
// program each may be preempted by the other: what each has read must be its own.
func TestKernelPreemption(t *testing.T) {
	vmtest.Need(t, kernel.Uprobe)
	preempts := vmtest.Guest() != "" && preemptFully(t) // elsewhere that is not ours to change
	helpers := startProbed(t)
	t.Run("claimed memory", func(t *testing.T) {
		if runs, mixed := preempted(t, live, helpers, false); runs < 100 || mixed > 0 {
			t.Errorf("%d of %d runs had the other process's text", mixed, runs)
		}
	})
	if !preempts {
		return
	}
	// This is what the test is worth: it notices when the memory is not claimed. Kernels that know no uprobe_multi links
	// hold a lock of the CPU while the program of a uprobe runs.
	t.Run("one memory for all", func(t *testing.T) {
		vmtest.Need(t, kernel.UprobeMulti)
		if runs, mixed := preempted(t, withoutExchange{live}, helpers, true); mixed == 0 {
			t.Errorf("no run of %d had the other process's text", runs)
		}
	})
}

// preemptFully has the kernel preempt wherever it can, until the test ends. It says whether this kernel can be told so.
func preemptFully(t *testing.T) bool {
	const file = "/sys/kernel/debug/sched/preempt"
	modes, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	_, old, _ := strings.Cut(string(modes), "(")
	old, _, _ = strings.Cut(old, ")")
	if err := os.WriteFile(file, []byte("full"), 0); err != nil {
		return false
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, []byte(old), 0); err != nil {
			t.Error(err)
		}
	})
	return true
}

// startProbed starts the two processes; it returns their texts by process.
func startProbed(t *testing.T) map[uint32]string {
	helpers := map[uint32]string{}
	for _, letter := range []string{"a", "b"} {
		text := strings.Repeat(letter, 300)
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestProbedHelper$")
		cmd.Env = append(os.Environ(), helperText+"="+text, "GOMAXPROCS=1")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stdin.Close(); cmd.Wait() })
		if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
			t.Fatal(line, err)
		}
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		var first unix.CPUSet
		first.Set(0)
		for _, task := range tasks {
			var tid int
			fmt.Sscan(task.Name(), &tid)
			if err := unix.SchedSetaffinity(tid, &first); err != nil {
				t.Fatal(err)
			}
		}
		helpers[uint32(cmd.Process.Pid)] = text
	}
	return helpers
}

// preempted attaches the script for a while and counts its runs, and those that had the text of another process. The
// script reads the text, is busy for some time, and takes note of what it has read.
func preempted(t *testing.T, k kernel.Target, helpers map[uint32]string, untilMixed bool) (runs, mixed uint64) {
	register := map[string]string{"amd64": "ax", "arm64": "r0"}[runtime.GOARCH] // of Go's own calling convention
	script := fmt.Sprintf(`uprobe:%s:clock_gettime {
		$s = str(reg(%q));
		$i = 0;
		while ($i < 500) { $i++; @clock = nsecs; }
		@runs[pid, $s] = count();
	}`, vdso(t), register)
	p, diags := compile.Compile([]byte(script), "test", k, compile.Options{})
	if p.Spec == nil {
		t.Fatal(diags)
	}
	for i := range p.Spec.Probes {
		p.Spec.Probes[i].Path, p.Spec.Probes[i].Addresses = "/proc/self/exe", []uint64{fileOffset(t, probed)}
	}
	s, err := attach.Open(p.Spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Attach(); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(2 * time.Second)
	if untilMixed {
		limit = time.Now().Add(60 * time.Second)
	}
	m := mapNamed(t, p, "@runs")
	pid, text := m.Key.Fields[0].Offset, m.Key.Fields[1].Offset
	for {
		time.Sleep(200 * time.Millisecond)
		runs, mixed = 0, 0
		var key []byte
		var counts []uint64
		for all := s.Map(m.BPF).Iterate(); all.Next(&key, &counts); {
			read, _, _ := bytes.Cut(key[text:], []byte{0})
			own := helpers[binary.NativeEndian.Uint32(key[pid:])]
			for _, n := range counts {
				runs += n
				if string(read) != own {
					mixed += n
				}
			}
		}
		if time.Now().After(limit) || untilMixed && mixed > 0 && runs >= 100 {
			return runs, mixed
		}
	}
}

func mapNamed(t *testing.T, p *compile.Program, name string) compile.Map {
	for _, m := range p.Maps {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no map %s", name)
	return compile.Map{}
}
