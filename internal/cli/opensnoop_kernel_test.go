package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// opensnoopLine is a line of bcc's opensnoop as its printf formats make it: words in the order of the columns.
func opensnoopLine(flags string, w []string) string {
	var b strings.Builder
	next := func() string {
		s := w[0]
		w = w[1:]
		return s
	}
	if strings.Contains(flags, "T") {
		fmt.Fprintf(&b, "%-14s", next())
	}
	if strings.Contains(flags, "U") {
		fmt.Fprintf(&b, "%-6s", next())
	}
	fmt.Fprintf(&b, "%-6s %-16s %4s %3s ", next(), next(), next(), next())
	if strings.Contains(flags, "e") {
		fmt.Fprintf(&b, "%-8s %-4s ", next(), next())
	}
	return b.String() + next()
}

func TestKernelOpensnoopColumns(t *testing.T) {
	needOpen(t)
	heads := map[byte][]string{'T': {"TIME(s)"}, 'U': {"UID"}, 'e': {"FLAGS", "MODE"}}
	forms := map[string]string{
		"TIME(s)": `^\d+\.\d{9}$`, "UID": "^0$", "PID": `^\d+$`, "COMM": "^role-files$", "FD": `^(-1|\d+)$`, "ERR": `^(0|2|20)$`,
		"FLAGS": `^[0-7]{8}$`, "MODE": `^(n/a|0[0-7]{3})$`,
	}
	for _, flags := range []string{"", "T", "U", "e", "TU", "TUe"} {
		cmd := exec.Command(as(t, "opensnoop"))
		for i := range len(flags) {
			cmd.Args = append(cmd.Args, "-"+flags[i:i+1])
		}
		cmd.Args = append(cmd.Args, "-n", "ole-file", "--", as(t, "role-files"))
		cmd.Dir = openDir(t)
		got := runAll(t, cmd)
		if got.status != 0 || accounts(got.stderr) != 1 || !strings.HasPrefix(got.stderr, "opensnoop: ") {
			t.Errorf("-%s: status %d, stderr %q", flags, got.status, got.stderr)
		}
		var head []string
		for i := range len(flags) {
			if flags[i] != 'e' {
				head = append(head, heads[flags[i]]...)
			}
		}
		head = append(head, "PID", "COMM", "FD", "ERR")
		if strings.Contains(flags, "e") {
			head = append(head, heads['e']...)
		}
		head = append(head, "PATH")
		lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
		if lines[0] != opensnoopLine(flags, head) {
			t.Errorf("-%s: heading %q, want %q", flags, lines[0], opensnoopLine(flags, head))
		}
		if len(lines) < 12 {
			t.Errorf("-%s: %d lines", flags, len(lines))
		}
		for _, line := range lines[1:] {
			words := strings.Fields(line)
			if len(words) == len(head)-1 {
				words = append(words, "") // the empty path
			}
			if len(words) != len(head) {
				t.Errorf("-%s: %q", flags, line)
				continue
			}
			if want := opensnoopLine(flags, words); line != want {
				t.Errorf("-%s: %q, want %q", flags, line, want)
			}
			for at, h := range head[:len(head)-1] {
				if !regexp.MustCompile(forms[h]).MatchString(words[at]) {
					t.Errorf("-%s: %s is %q", flags, h, words[at])
				}
			}
			if fd, err := words[slices.Index(head, "FD")], words[slices.Index(head, "ERR")]; (fd == "-1") != (err != "0") {
				t.Errorf("-%s: descriptor %s, error %s", flags, fd, err)
			}
		}
	}
}

// The classic's -f and -n mean what they mean there, and its -f O_RDONLY, which shows nothing there, works.
func TestKernelOpensnoopFlags(t *testing.T) {
	needOpen(t)
	dir := openDir(t)
	for _, c := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"-x"}, []string{"missing", "plain/below", ""}},
		{[]string{"-f", "O_RDWR"}, []string{"made"}},
		{[]string{"-f", "O_APPEND", "-f", "O_EXCL"}, []string{"plain", "made"}},
		{[]string{"-x", "-f", "O_RDONLY"}, []string{"missing", "plain/below", ""}},
		{[]string{"--flag_filter", "O_EXCL"}, []string{"made"}},
		{[]string{"-F", "-f", "O_EXCL"}, []string{filepath.Join(dir, "made")}},
		{[]string{"-F", "-x"}, []string{filepath.Join(dir, "missing"), filepath.Join(dir, "plain/below"), dir}},
		{[]string{"-n", "role.files"}, nil}, // no expression there
	} {
		cmd := exec.Command(as(t, "opensnoop"), append(c.flags, "--", as(t, "role-files"))...)
		cmd.Dir = openDir(t)
		got := runAll(t, cmd)
		var list []string
		for _, line := range strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")[1:] {
			path := line[min(len(line), len("PID    COMM               FD ERR ")):]
			path = strings.ReplaceAll(path, cmd.Dir, dir)
			if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, dir) {
				list = append(list, path)
			}
		}
		if !slices.Equal(list, c.want) || got.status != 0 {
			t.Errorf("%q: status %d, %q, want %q; %s", c.flags, got.status, list, c.want, got.stderr)
		}
	}
}
