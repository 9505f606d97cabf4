package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// classicLine is a line of bcc's execsnoop as its own print statements make it.
func classicLine(flags string, w []string) string {
	var b strings.Builder
	next := func() string {
		s := w[0]
		w = w[1:]
		return s
	}
	if strings.Contains(flags, "T") {
		fmt.Fprintf(&b, "%-9s", next())
	}
	if strings.Contains(flags, "t") {
		fmt.Fprintf(&b, "%-8s", next())
	}
	if strings.Contains(flags, "U") {
		fmt.Fprintf(&b, "%-6s", next())
	}
	if strings.Contains(flags, "E") { // which bcc does not have
		fmt.Fprintf(&b, "%-16s %-7s %-7s %12s %3s %s", next(), next(), next(), next(), next(), next())
	} else {
		fmt.Fprintf(&b, "%-16s %-7s %-7s %3s %s", next(), next(), next(), next(), next())
	}
	return b.String()
}

// execsnoop runs the drop-in on a program with arguments and returns its lines, heading first.
func execsnoop(t *testing.T, flags []string, path string, args ...string) []string {
	t.Helper()
	got := runAll(t, exec.Command(as(t, "execsnoop"), slices.Concat(flags, []string{"--", path}, args)...))
	if got.status != 0 || accounts(got.stderr) != 1 || !strings.HasPrefix(got.stderr, "execsnoop: ") {
		t.Errorf("%q: status %d, stderr %q", flags, got.status, got.stderr)
	}
	return strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
}

func TestKernelClassicColumns(t *testing.T) {
	needExec(t)
	heads := map[byte]string{'T': "TIME", 't': "TIME(s)", 'U': "UID"}
	for _, flags := range []string{"", "T", "t", "U", "E", "Tt", "TtU", "TtUE"} {
		var args, head []string
		for i := range len(flags) {
			args = append(args, "-"+flags[i:i+1])
			if h := heads[flags[i]]; h != "" {
				head = append(head, h)
			}
		}
		head = append(head, "PCOMM", "PID", "PPID")
		if strings.Contains(flags, "E") {
			head = append(head, "EXECTIME(US)")
		}
		head = append(head, "RET", "ARGS")
		lines := execsnoop(t, args, truePath(t), "one", "two")
		if len(lines) != 2 || lines[0] != classicLine(flags, head) {
			t.Errorf("-%s: %q, want two lines and the heading %q", flags, lines, classicLine(flags, head))
			continue
		}
		words := strings.Fields(lines[1])
		tail := len(head) - 1
		if len(words) != tail+3 {
			t.Errorf("-%s: %q", flags, lines[1])
			continue
		}
		words = append(words[:tail], strings.Join(words[tail:], " "))
		if want := classicLine(flags, words); lines[1] != want {
			t.Errorf("-%s: %q, want %q", flags, lines[1], want)
		}
		for i, form := range map[string]string{
			"TIME": `^\d\d:\d\d:\d\d$`, "TIME(s)": `^\d\.\d\d\d$`, "UID": "^0$", "PCOMM": "^true$", "PID": `^\d+$`, "PPID": `^\d+$`,
			"EXECTIME(US)": `^\d+$`, "RET": "^0$", "ARGS": "^" + truePath(t) + " one two$",
		} {
			if at := slices.Index(head, i); at >= 0 && !regexp.MustCompile(form).MatchString(words[at]) {
				t.Errorf("-%s: %s is %q", flags, i, words[at])
			}
		}
	}
}

func TestKernelClassicArguments(t *testing.T) {
	needExec(t)
	path := truePath(t)
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprint("a", i))
	}
	short := many[:18]
	shown := func(path string, args []string) string { return strings.Join(append([]string{path}, args...), " ") }
	for _, c := range []struct {
		name  string
		flags []string
		args  []string
		want  string
	}{
		{"all", nil, short, shown(path, short)},
		{"exactly 20", nil, many[:19], shown(path, many[:19])},
		{"one more", nil, many[:20], shown(path, many[:19]) + " ..."},
		{"many more", nil, many, shown(path, many[:19]) + " ..."},
		{"fewer", []string{"--max-args", "3"}, many, shown(path, many[:2]) + " ..."},
		{"only the name", []string{"--max-args", "1"}, many, path + " ..."},
		{"more", []string{"--max-args", "100"}, many, shown(path, many)},
		{"quoted", []string{"-q"}, []string{"two words", `"`, `\`}, `"` + path + `" "two words" "\"" "\\"`},
		{"empty", nil, []string{"", "b", ""}, path + "  b "},
	} {
		lines := execsnoop(t, c.flags, path, c.args...)
		if len(lines) != 2 {
			t.Errorf("%s: %q", c.name, lines)
			continue
		}
		if _, got, _ := strings.Cut(lines[1], "   0 "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestKernelClassicFailures(t *testing.T) {
	needExec(t)
	script := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh -e\n:\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	lines := execsnoop(t, []string{"-x"}, "/bin/sh", "-c", `"$0" arg; /no/such/program x 2>/dev/null || true`, script)
	var tails []string
	for _, line := range lines[1:] {
		// 16, 7 and 7 columns, each with a space; RET is 3.
		tails = append(tails, strings.TrimSpace(line[:16])+"|"+line[33:])
	}
	for _, want := range []string{
		// The classic knows what the caller wrote, not the interpreter's line.
		"script.sh|  0 " + script + " arg",
		"sh| -2 /no/such/program x",
	} {
		if !slices.Contains(tails, want) {
			t.Errorf("no %q in %q", want, tails)
		}
	}
}

// openPTY returns both ends of a terminal of that width.
func openPTY(t *testing.T, width uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

// onTerminal runs a program whose standard output is a terminal and returns its lines there.
func onTerminal(t *testing.T, width uint16, env string, argv ...string) []string {
	t.Helper()
	master, terminal := openPTY(t, width)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", env}
	cmd.Stdout = terminal
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	// What it wrote is in the terminal's queue, less than that holds.
	if err := master.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Log(err)
	}
	terminal.Close()
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			break // EIO: nobody has the terminal open any more
		}
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestKernelTerminal(t *testing.T) {
	needExec(t)
	sonde, exit := as(t, "sonde"), as(t, "role-exit")
	narrow := onTerminal(t, 60, "A=", sonde, "exec", "-x", "--", "/bin/sh", "-c", `"$0" 0; /no/such/program || :`, exit)
	if len(narrow) != 4 || !strings.HasPrefix(narrow[0], "\x1b[1m") {
		t.Errorf("want a bold heading and three records: %q", narrow)
	}
	red := false
	for _, line := range narrow {
		plain := colours.ReplaceAllString(line, "")
		if strings.Contains(plain, "\x1b") {
			t.Errorf("more than colour: %q", line)
		}
		// All but the arguments fit, with some room for those.
		if at := strings.LastIndex(colours.ReplaceAllString(narrow[0], ""), "ARGS"); at > 60-16 || len(plain) <= at || plain[at-1] != ' ' || plain[at] == ' ' {
			t.Errorf("the arguments begin in column %d of 60: %q", at, plain)
		}
		red = red || strings.Contains(line, "\x1b[31m-2\x1b[0m")
	}
	if !red {
		t.Errorf("the failure is not red: %q", narrow)
	}
	for name, lines := range map[string][]string{
		"NO_COLOR": onTerminal(t, 60, "NO_COLOR=1", sonde, "exec", "--", exit, "0"),
		"classic":  onTerminal(t, 60, "A=", as(t, "execsnoop"), "--", exit, "0"),
		"json":     onTerminal(t, 60, "A=", sonde, "exec", "-f", "json", "--", exit, "0"),
		"a pipe":   strings.Split(runAll(t, exec.Command(sonde, "exec", "--", exit, "0")).stdout, "\n"),
	} {
		if all := strings.Join(lines, "\n"); strings.Contains(all, "\x1b") || !strings.Contains(all, exit) {
			t.Errorf("%s: want no colour: %q", name, all)
		}
	}
	// The classic is as wide as ever: programs read it.
	for _, line := range onTerminal(t, 30, "A=", as(t, "execsnoop"), "--", exit, "0")[1:] {
		if strings.Index(line, exit) != 16+1+7+1+7+1+3+1 {
			t.Errorf("%q", line)
		}
	}
}
