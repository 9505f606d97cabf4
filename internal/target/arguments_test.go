package target

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	dir := t.TempDir()
	for pid, cmdline := range map[string]string{
		"1": "init\x00", "2": "", "3": "a\x00\x00b c\x00", "4": strings.Repeat("x", maxArguments+1), "self": "no process\x00",
	} {
		if err := os.MkdirAll(dir+"/proc/"+pid, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/proc/"+pid+"/cmdline", []byte(cmdline), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := host{root: dir}
	for _, c := range []struct {
		pid, args string
		cut, ok   bool
	}{
		{"1", "init\x00", false, true},
		{"2", "", false, false},
		{"3", "a\x00\x00b c\x00", false, true},
		{"4", strings.Repeat("x", maxArguments), true, true},
		{"5", "", false, false},
	} {
		if args, cut, ok := h.arguments(c.pid); string(args) != c.args || cut != c.cut || ok != c.ok {
			t.Errorf("process %s: %d bytes, cut %v, known %v", c.pid, len(args), cut, ok)
		}
	}
}

// The real /proc has this very process.
func TestEachArguments(t *testing.T) {
	want, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	if err := EachArguments(func(pid uint32, args []byte, _ bool) {
		if strconv.Itoa(int(pid)) == strconv.Itoa(os.Getpid()) {
			found = bytes.Equal(args, want[:min(len(want), maxArguments)])
		}
	}); err != nil || !found {
		t.Errorf("this process is not there as it is (%v)", err)
	}
	if args, _, ok := Arguments(uint32(os.Getpid())); !ok || !bytes.HasPrefix(want, args) {
		t.Errorf("asked for alone it has %q", args)
	}
}
