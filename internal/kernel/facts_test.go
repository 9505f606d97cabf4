package kernel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root makes a directory with the given files, to stand in for "/".
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLockdown(t *testing.T) {
	const file = "sys/kernel/security/lockdown"
	for name, tc := range map[string]struct {
		files map[string]string
		want  LockdownMode
	}{
		"none":            {map[string]string{file: "[none] integrity confidentiality\n"}, LockdownNone},
		"integrity":       {map[string]string{file: "none [integrity] confidentiality\n"}, LockdownIntegrity},
		"confidentiality": {map[string]string{file: "none integrity [confidentiality]\n"}, LockdownConfidentiality},
		"no securityfs":   {nil, LockdownUnknown},
		"empty":           {map[string]string{file: ""}, LockdownUnknown},
		"nothing marked":  {map[string]string{file: "none integrity\n"}, LockdownUnknown},
		"not closed":      {map[string]string{file: "none [integrity"}, LockdownUnknown},
		"a new mode":      {map[string]string{file: "[everything]"}, LockdownUnknown},
		"far too long":    {map[string]string{file: "[none]" + string(make([]byte, 1<<16))}, LockdownUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lockdown(root(t, tc.files)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestActiveLSMs(t *testing.T) {
	const file = "sys/kernel/security/lsm"
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"Debian 12":     {map[string]string{file: "lockdown,capability,landlock,yama,apparmor,tomoyo,bpf"}, []string{"lockdown", "capability", "landlock", "yama", "apparmor", "tomoyo", "bpf"}},
		"newline":       {map[string]string{file: "capability,bpf\n"}, []string{"capability", "bpf"}},
		"empty":         {map[string]string{file: ""}, []string{}},
		"no securityfs": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, activeLSMs(root(t, tc.files))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSysctl(t *testing.T) {
	dir := root(t, map[string]string{
		"proc/sys/kernel/perf_event_paranoid": "-1\n",
		"proc/sys/kernel/odd":                 "two\n",
		"proc/sys/kernel/long":                string(make([]byte, 100)),
	})
	if n, err := sysctl(dir, "kernel/perf_event_paranoid"); n != -1 || err != nil {
		t.Errorf("got %d, %v; want -1", n, err)
	}
	if _, err := sysctl(dir, "kernel/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"kernel/odd", "kernel/long"} {
		if n, err := sysctl(dir, name); err == nil {
			t.Errorf("%s: got %d, want an error", name, n)
		}
	}
}

func TestPerfEventType(t *testing.T) {
	dir := root(t, map[string]string{
		"sys/bus/event_source/devices/kprobe/type": "8\n",
		"sys/bus/event_source/devices/uprobe/type": "nine\n",
	})
	if n, err := perfEventType(dir, "kprobe"); n != 8 || err != nil {
		t.Errorf("kprobe: got %d, %v; want 8", n, err)
	}
	if n, err := perfEventType(dir, "uprobe"); err == nil {
		t.Errorf("uprobe: got %d, want an error", n)
	}
	if _, err := perfEventType(dir, "nprobe"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nprobe: got %v, want fs.ErrNotExist", err)
	}
}

func TestCheckBTF(t *testing.T) {
	header := "\x9f\xeb\x01\x00\x18\x00\x00\x00" // little-endian, as on both machines sonde is built for
	dir := root(t, map[string]string{
		"good":    header + string(make([]byte, 100)),
		"short":   header,
		"empty":   "",
		"version": "\x9f\xeb\x02\x00\x18\x00\x00\x00" + string(make([]byte, 100)),
		"elf":     "\x7fELF" + string(make([]byte, 100)),
	})
	for name, want := range map[string]error{
		"good": nil, "short": errNotBTF, "empty": errNotBTF, "version": errNotBTF, "elf": errNotBTF, "missing": fs.ErrNotExist,
	} {
		if err := checkBTF(filepath.Join(dir, name)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	need := []Capability{CapBPF, CapPerfmon, CapDACReadSearch}
	for name, tc := range map[string]struct {
		held Capabilities
		want []Capability
	}{
		"none":                    {0, need},
		"all three":               {CapabilitySet(need...), nil},
		"one of them":             {CapabilitySet(CapPerfmon), []Capability{CapBPF, CapDACReadSearch}},
		"sys_admin stands in":     {CapabilitySet(CapSysAdmin), []Capability{CapDACReadSearch}},
		"dac_override stands in":  {CapabilitySet(CapDACOverride), []Capability{CapBPF, CapPerfmon}},
		"others are of no use":    {CapabilitySet(CapSysPtrace, CapSysResource), need},
		"all that the kernel has": {^Capabilities(0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.held.Missing(need...)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if CapabilitySet(CapSysAdmin).Has(CapBPF) {
		t.Error("CAP_SYS_ADMIN is not CAP_BPF, it only stands in for it")
	}
}

func TestCapabilityList(t *testing.T) {
	for want, list := range map[string][]Capability{
		"":                                       nil,
		"CAP_BPF":                                {CapBPF},
		"CAP_BPF and CAP_PERFMON":                {CapBPF, CapPerfmon},
		"CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN": {CapBPF, CapPerfmon, CapSysAdmin},
		"capability 63":                          {63},
	} {
		if got := CapabilityList(list); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestKernelCapabilities compares capget(2) with what the kernel says in /proc.
func TestKernelCapabilities(t *testing.T) {
	status, err := readSmall("/proc/thread-self/status", 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := EffectiveCapabilities(), statusCapEff(t, status); got != want {
		t.Errorf("got %#x, /proc says %#x", got, want)
	}
}

func TestSeccompMode(t *testing.T) {
	for text, want := range map[string]string{
		"Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n": "2",
		"Name:\tx\nSeccomp:\t0\n":                      "0",
		"Name:\tSeccomp: 2\n":                          "0",
		"":                                             "0",
	} {
		if got := seccompMode(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
