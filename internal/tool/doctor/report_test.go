package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
)

var sample = Report{
	Release: "6.1.0-50-cloud-amd64", Arch: "x86_64", UID: 1000,
	Capabilities: []string{"CAP_BPF", "CAP_PERFMON"}, Missing: []string{"CAP_SYS_ADMIN"},
	Lockdown: kernel.LockdownIntegrity, LSMs: []string{"capability", "bpf"},
	Tracefs: "/sys/kernel/tracing", UnprivilegedBPF: new(2),
	Features: []kernel.Finding{
		{Feature: kernel.BTF, State: kernel.Present},
		{Feature: kernel.KprobeMulti, State: kernel.Absent, Reason: "this kernel cannot put one program on many functions at once", Remedy: "use a kernel from 5.18 on, built with CONFIG_FPROBE"},
		{Feature: kernel.Stats, State: kernel.Untried, Reason: "CAP_SYS_ADMIN is missing"},
	},
	Commands: []Command{
		{Command: "exec", State: Part, Reason: "the accounting at the end has no kernel cost, because CAP_SYS_ADMIN is missing", Remedy: "run as root, or with CAP_SYS_ADMIN"},
		{Command: "doctor", State: Full},
	},
}

const sampleText = `kernel      6.1.0-50-cloud-amd64 x86_64
user        uid 1000 with CAP_BPF CAP_PERFMON; without CAP_SYS_ADMIN
lockdown    integrity
lsm         capability bpf
tracefs     /sys/kernel/tracing
sysctl      unprivileged_bpf_disabled 2, perf_event_paranoid unknown

FEATURE       STATE    WHY
btf           present
kprobe_multi  absent   this kernel cannot put one program on many
                       functions at once
                       -> use a kernel from 5.18 on, built with
                          CONFIG_FPROBE
bpf_stats     untried  CAP_SYS_ADMIN is missing

COMMAND       WORKS    WHY
exec          part     the accounting at the end has no kernel cost,
                       because CAP_SYS_ADMIN is missing
                       -> run as root, or with CAP_SYS_ADMIN
doctor        full
`

func TestWriteText(t *testing.T) {
	var b bytes.Buffer
	if err := sample.WriteText(&b, TextOptions{Width: 70}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleText, b.String()); diff != "" {
		t.Error(diff)
	}
	for _, width := range []int{0, -1, 1, 20} {
		b.Reset()
		if err := sample.WriteText(&b, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), "\n"); n != 17 {
			t.Errorf("width %d: %d lines, want 17: nothing is to be wrapped", width, n)
		}
	}
}

func TestWriteTextWithoutFacts(t *testing.T) {
	r := Report{Release: "r", Arch: "a", Lockdown: kernel.LockdownUnknown, Tracefs: TracefsPrivate, UserNamespace: true, Missing: []string{"CAP_BPF"}}
	const want = `kernel      r a
user        uid 0 with no capability that matters here; all of them only inside a user namespace, where they do not count for BPF
lockdown    unknown (there is no readable /sys/kernel/security/lockdown)
lsm         unknown (there is no readable /sys/kernel/security/lsm)
tracefs     not mounted; sonde mounts it for itself, where nobody else sees it
sysctl      unprivileged_bpf_disabled unknown, perf_event_paranoid unknown
`
	var b bytes.Buffer
	if err := r.WriteText(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	facts, _, _ := strings.Cut(b.String(), "\n\n")
	if diff := cmp.Diff(want, facts+"\n"); diff != "" {
		t.Error(diff)
	}
}

const sampleJSON = `{"type":"doctor","release":"6.1.0-50-cloud-amd64","arch":"x86_64","uid":1000,` +
	`"capabilities":["CAP_BPF","CAP_PERFMON"],"capabilities_missing":["CAP_SYS_ADMIN"],"user_namespace":false,` +
	`"lockdown":"integrity","lsm":["capability","bpf"],"tracefs":"/sys/kernel/tracing",` +
	`"unprivileged_bpf_disabled":2,"perf_event_paranoid":null,"features":[` +
	`{"feature":"btf","state":"present","reason":"","remedy":""},` +
	`{"feature":"kprobe_multi","state":"absent","reason":"this kernel cannot put one program on many functions at once","remedy":"use a kernel from 5.18 on, built with CONFIG_FPROBE"},` +
	`{"feature":"bpf_stats","state":"untried","reason":"CAP_SYS_ADMIN is missing","remedy":""}],"commands":[` +
	`{"command":"exec","state":"part","reason":"the accounting at the end has no kernel cost, because CAP_SYS_ADMIN is missing","remedy":"run as root, or with CAP_SYS_ADMIN"},` +
	`{"command":"doctor","state":"full","reason":"","remedy":""}]}` + "\n"

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sample.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleJSON, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestWriteJSONEmpty checks that lists are never null and that an unknown tracefs is.
func TestWriteJSONEmpty(t *testing.T) {
	var b bytes.Buffer
	if err := (Report{}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"doctor","release":"","arch":"","uid":0,"capabilities":[],"capabilities_missing":[],"user_namespace":false,` +
		`"lockdown":"","lsm":[],"tracefs":null,"unprivileged_bpf_disabled":null,"perf_event_paranoid":null,"features":[],"commands":[]}` + "\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// brokenWriter refuses everything.
type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrors(t *testing.T) {
	if err := sample.WriteText(brokenWriter{}, TextOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("text: got %v", err)
	}
	if err := sample.WriteJSON(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("JSON: got %v", err)
	}
}

var dirty = map[string]string{
	"6.1.0-50-cloud-amd64": "6.1.0-50-cloud-amd64",
	"a\x1b[2Jb":            "a?[2Jb",
	"a\nb\tc\rd\x00e\x7f":  "a?b?c?d?e?",
	"bytes \xff\xfe":       "bytes ??",
	"\u202egnp.exe":        "?gnp.exe",
	"ümläut":               "ümläut",
	"":                     "",
}

func TestClean(t *testing.T) {
	for in, want := range dirty {
		if got := clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for in := range dirty {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		if !utf8.ValidString(got) || clean(got) != got || strings.ContainsAny(got, "\x1b\n\r\t\x00") {
			t.Errorf("%q became %q", in, got)
		}
	})
}

// TestKernelCollect makes a whole report of the running kernel and looks whether its parts agree.
func TestKernelCollect(t *testing.T) {
	r := Collect()
	if release, arch := kernel.Release(); r.Release != release || r.Arch != arch || release == "unknown" {
		t.Errorf("release %q %q, want %q %q", r.Release, r.Arch, release, arch)
	}
	if len(r.Capabilities)+len(r.Missing) != len(kernel.RelevantCapabilities()) {
		t.Errorf("a capability is neither held nor missing: %v, %v", r.Capabilities, r.Missing)
	}
	if len(r.Commands) != len(commands) || len(r.Features) == 0 {
		t.Fatalf("%d commands, %d features", len(r.Commands), len(r.Features))
	}
	for _, c := range r.Commands {
		if (c.State == Full) != (c.Reason == "" && c.Remedy == "") || c.State != Full && c.Remedy == "" {
			t.Errorf("reason and remedy belong to what does not fully work: %+v", c)
		}
		if os.Geteuid() == 0 && len(r.Missing) == 0 && !r.UserNamespace && r.Lockdown != kernel.LockdownConfidentiality && c.State != Full {
			t.Errorf("root can do everything on a kernel that sonde supports: %+v", c)
		}
	}
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Errorf("%v in %s", err, b.Bytes())
	}
	b.Reset()
	if err := r.WriteText(&b, TextOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", b.Bytes())
	for line := range strings.Lines(b.String()) {
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("blanks at the end of %q", line)
		}
	}
}
