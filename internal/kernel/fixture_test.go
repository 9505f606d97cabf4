package kernel

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestFixtureAnswers(t *testing.T) {
	f := NewFixture()
	for _, tt := range []struct{ kind, pattern, want string }{
		{"kprobe", "vfs_read*", "vfs_read vfs_readv"},
		{"kprobe", "xfs:xfs_file_open", "xfs:xfs_file_open"},
		{"kprobe", "xfs_file_o*", "xfs_file_open"},
		{"kprobe", "none", ""},
		{"fentry", "vfs_read", "vmlinux:vfs_read"},
		{"fentry", "vmlinux:tcp_con*", "vmlinux:tcp_connect"},
		{"tracepoint", "sched:sched_process_e*", "sched:sched_process_exec sched:sched_process_exit"},
		{"tracepoint", "syscalls:sys_enter_openat", "syscalls:sys_enter_openat"},
		{"rawtracepoint", "sched_switch", "vmlinux:sched_switch"},
		{"iter", "*", "task task_file task_vma"},
		{"software", "cs", "cs"},
		{"hardware", "cache-*", "cache-misses cache-references"},
	} {
		got, err := f.Match(tt.kind, tt.pattern)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s %s: got %v, %v; want %s", tt.kind, tt.pattern, got, err, tt.want)
		}
	}
	if !f.Has(RingBuffer) || !f.Helper(6, 113) || f.Machine() != "amd64" || f.PossibleCPUs() != 4 || f.OnlineCPUs() != 4 {
		t.Error("it is not the kernel it is said to be")
	}
	if nr, ok := f.Syscall("openat"); nr != 257 || !ok {
		t.Errorf("openat: %d, %v", nr, ok)
	}
	if _, ok := f.Kfunc("bpf_rdonly_cast"); !ok {
		t.Error("no bpf_rdonly_cast")
	}
	if got, err := f.Functions("/usr/lib/libc.so.6", "gethostbyname*"); err != nil || len(got) != 4 {
		t.Errorf("%v, %v", got, err)
	}
	for _, err := range []error{
		second(f.Tracepoint("none", "none")), second(f.CgroupID("none")), second(f.File("none", 0)), second(f.Functions("none", "*")),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestFixturesAreApart changes one and looks at another.
func TestFixturesAreApart(t *testing.T) {
	f := NewFixture().Without(BTF, RingBuffer)
	delete(f.Formats, "sched:sched_switch")
	f.Lists["iter"] = []string{"mine"}
	f.Refused = map[uint32]bool{7: true}
	if f.Has(RingBuffer) || f.Types() != nil || f.Helper(1, 7) {
		t.Error("what was taken away is there")
	}
	if got, err := f.Match("iter", "m*"); err != nil || !slices.Equal(got, []string{"mine"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f.Match("fentry", "*"); err != nil || len(got) != 0 {
		t.Errorf("functions without types: %v, %v", got, err)
	}
	other := NewFixture()
	if !other.Has(RingBuffer) || other.Types() == nil || other.Formats["sched:sched_switch"] == "" || len(other.Lists["iter"]) > 0 {
		t.Error("fixtures share what can be changed")
	}
}
