package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestSplitGuardArgs(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want guardArgs
		fail string
	}{
		{name: "nothing"},
		{name: "one-liner", args: []string{"deny", "/etc/shadow"}, want: guardArgs{rules: []string{"deny", "/etc/shadow"}}},
		{
			name: "a rule's flag stays in its place", args: []string{"deny", "--write", "/etc", "--", "./installer", "-f"},
			want: guardArgs{rules: []string{"deny", "--write", "/etc"}, command: []string{"./installer", "-f"}},
		},
		{
			name: "flags of the run anywhere", args: []string{"--dry-run", "deny", "-p", "12", "/a", "--for=10m", "-fjson", "kill", "b", "-o", "out"},
			want: guardArgs{
				flags: []string{"--dry-run", "-p", "12", "--for=10m", "-fjson", "-o", "out"},
				rules: []string{"deny", "/a", "kill", "b"},
			},
		},
		{
			name: "a value that looks like a flag", args: []string{"-u", "-1", "log", "-"},
			want: guardArgs{flags: []string{"-u", "-1"}, rules: []string{"log", "-"}},
		},
		{
			name: "persist with a name", args: []string{"--persist", "web", "deny", "/a"},
			want: guardArgs{flags: []string{"--persist=web"}, rules: []string{"deny", "/a"}},
		},
		{
			name: "persist without one", args: []string{"--persist", "deny", "/a"},
			want: guardArgs{flags: []string{"--persist"}, rules: []string{"deny", "/a"}},
		},
		{
			name: "persist behind the rules, and one more", args: []string{"deny", "a", "--persist", "b.c", "kill", "d", "--persist", "log", "e"},
			want: guardArgs{flags: []string{"--persist", "--persist"}, rules: []string{"deny", "a", "b.c", "kill", "d", "log", "e"}},
		},
		{
			name: "persist, and a path that is no name", args: []string{"--persist", "./web"},
			want: guardArgs{flags: []string{"--persist"}, rules: []string{"./web"}},
		},
		{
			name: "unknown flags are for the rules to refuse", args: []string{"deny", "--wirte", "-zz", "/etc"},
			want: guardArgs{rules: []string{"deny", "--wirte", "-zz", "/etc"}},
		},
		{
			name: "a flag that both know", args: []string{"--uid", "1", "deny", "--uid", "2", "--name=x", "--exe", "--", "/a", "-u", "3"},
			want: guardArgs{flags: []string{"--uid", "1", "-u", "3"}, rules: []string{"deny", "--uid", "2", "--name=x", "--exe", "--", "/a"}},
		},
		{name: "a name behind the rules", args: []string{"deny", "a", "--persist", "b"}, fail: "write --persist=b, or ./b"},
		{name: "a value is missing", args: []string{"deny", "/a", "--for"}, fail: "--for"},
		{name: "COMMAND is missing", args: []string{"deny", "/a", "--"}, fail: "no COMMAND after --"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var x guardFlags
			f := pflag.NewFlagSet("guard", pflag.ContinueOnError)
			x.add(f)
			got, err := splitGuardArgs(f, tt.args)
			if !says(err, tt.fail) {
				t.Fatalf("error %v, want %q", err, tt.fail)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(guardArgs{}), cmp.Transformer("empty", func(s []string) []string {
				return append([]string{}, s...)
			})); diff != "" {
				t.Error(diff)
			}
			if err := f.Parse(got.flags); err != nil {
				t.Errorf("the flags %q: %v", got.flags, err)
			}
		})
	}
}

func FuzzSplitGuardArgs(f *testing.F) {
	f.Add("deny", "--write", "/etc")
	f.Add("--persist", "web", "-fjson")
	f.Add("-", "--", "-p")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var x guardFlags
		set := pflag.NewFlagSet("guard", pflag.ContinueOnError)
		set.SetOutput(nil)
		x.add(set)
		got, err := splitGuardArgs(set, []string{a, b, c})
		if n := len(got.flags) + len(got.rules) + len(got.command); err == nil && n < 2 {
			t.Errorf("%q: words got lost: %+v", []string{a, b, c}, got)
		}
	})
}

func TestSplitFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		values []string
		make   string
		files  []string
		format string
		fail   string
	}{
		{values: nil},
		{values: []string{"rules.yaml"}, files: []string{"rules.yaml"}},
		{values: []string{"json"}, format: "json"},
		{values: []string{"json", "json"}, format: "json"},
		{values: []string{"./json"}, files: []string{"./json"}},
		{values: []string{"rules.yaml", "text"}, files: []string{"rules.yaml"}, format: "text"},
		{values: []string{"json"}, make: "json", files: []string{"json"}},
		{values: []string{"a", "b"}, fail: "one rule file only"},
		{values: []string{"text", "json"}, fail: "one format only"},
	} {
		if tt.make != "" {
			if err := os.WriteFile(filepath.Join(".", tt.make), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		files, format, err := splitFiles(tt.values)
		if !says(err, tt.fail) || err == nil && (!cmp.Equal(files, tt.files) || format != tt.format) {
			t.Errorf("%q: %q, %q, %v", tt.values, files, format, err)
		}
		if tt.make != "" {
			os.Remove(tt.make)
		}
	}
}

func TestGuardValues(t *testing.T) {
	for s, want := range map[string]string{"10m": "10m0s", "90": "1m30s", "1.5s": "1.5s", "1ms": "1ms", "8784h": "8784h0m0s"} {
		if d, err := parseFor(s); err != nil || d.String() != want {
			t.Errorf("--for %s: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"0", "-1", "x", "1h1", "8785h", "NaN", "1us", "1e300", "inf"} {
		if d, err := parseFor(s); err == nil {
			t.Errorf("--for %s: %v", s, d)
		}
	}
	for s, want := range map[string]uint64{"1": 1, "100/s": 100, "4294967295/s": 1<<32 - 1} {
		if n, err := parseRate(s); err != nil || n != want {
			t.Errorf("--max-denies %s: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"0", "0/s", "-1/s", "/s", "1/m", "1.5/s", "4294967296"} {
		if n, err := parseRate(s); err == nil {
			t.Errorf("--max-denies %s: %d", s, n)
		}
	}
	for name, want := range map[string]bool{
		"default": true, "a-b_C9": true, "": false, "-a": false, "a.b": false, "a/b": false, "..": false, "a b": false, "é": false,
	} {
		if validGuardName(name) != want {
			t.Errorf("name %q: %v", name, !want)
		}
	}
}

// says tells whether an error says what is wanted; there must be none where nothing is.
func says(err error, want string) bool {
	return err == nil && want == "" || err != nil && want != "" && strings.Contains(err.Error(), want)
}
