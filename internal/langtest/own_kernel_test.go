package langtest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What scripts say of the process that runs them is what /proc says of it.
func TestKernelOwnProcess(t *testing.T) {
	root(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := unix.Gettid()
	stat := procStat(t, tid)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/comm", tid))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	if err != nil {
		t.Fatal(err)
	}
	name := func(b []byte) string { return strings.TrimSuffix(string(b), "\n") }
	for script, want := range map[string]string{
		`print(pid)`:     fmt.Sprint(os.Getpid()),
		`print(tid)`:     fmt.Sprint(tid),
		`print(ppid)`:    fmt.Sprint(os.Getppid()),
		`print(comm)`:    name(comm),
		`print(pcomm)`:   name(parent),
		`print(uid)`:     fmt.Sprint(os.Getuid()),
		`print(gid)`:     fmt.Sprint(os.Getgid()),
		`print(ncpus)`:   fmt.Sprint(live.OnlineCPUs()),
		`@[pid, comm]++`: "",

		`print((curtask.tgid, curtask.pid))`:                               fmt.Sprintf("(%d, %d)", os.Getpid(), tid),
		`print(curtask.comm)`:                                              name(comm),
		`print(curtask->real_parent->tgid)`:                                fmt.Sprint(os.Getppid()),
		`print(curtask.group_leader.comm)`:                                 leaderComm(t),
		`print(str(curtask.real_parent.group_leader.comm))`:                name(parent),
		`print(curtask.mm.arg_start); print(curtask.mm.env_end)`:           stat[47] + "\n" + stat[50],
		`$m = curtask.mm; print($m.start_code); print($m->start_stack)`:    stat[25] + "\n" + stat[27],
		`print(curtask.signal.__nonsense)`:                                 "refused",
		`print(str(uptr((uint8*)curtask.mm.arg_start)))`:                   os.Args[0],
		`print(buf(uptr((uint8*)curtask.mm.arg_start), 4))`:                os.Args[0][:4],
		`print(curtask.start_boottime / 10000000)`:                         stat[21],
		`print(curtask.cred.uid.val); print(curtask.cred.egid.val)`:        fmt.Sprintf("%d\n%d", os.Getuid(), os.Getegid()),
		`print(curtask.prio - 100); print(curtask.policy)`:                 stat[17] + "\n" + stat[40],
		`print(curtask.nsproxy.uts_ns.name.nodename == "` + host(t) + `")`: "true",
	} {
		for _, flag := range []string{"", "plain", "warnings"} {
			how := run{}
			how.NoOptimize, how.Warnings = flag == "plain", flag == "warnings"
			how.Settings = map[string]string{"print_maps_on_exit": "false"}
			o, err := execute("begin { "+script+" }", how) // in this thread
			if err != nil {
				t.Fatal(err)
			}
			r := row{want: want}
			if want == "refused" {
				r.refused = "has no field"
			}
			if !t.Run(script+flag, func(t *testing.T) { r.compare(t, o) }) {
				break
			}
		}
	}
}

// procStat are the fields of a thread's stat, counted from 0; fields as proc(5) counts them are one more.
func procStat(t *testing.T, tid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndexByte(string(text), ')')
	return append([]string{"", ""}, strings.Fields(string(text)[at+1:])...)
}

func leaderComm(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

func host(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Programs as large as nobody writes them.
func TestKernelLargeScripts(t *testing.T) {
	root(t)
	const many = 2000
	each := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, strings.ReplaceAll(format, "#", "%[1]d"), i)
		}
		return b.String()
	}
	sum := many * (many - 1) / 2
	for name, tt := range map[string]struct{ script, want string }{
		"map assignments":    {each("@a[#] = #; ", many) + "print(len(@a)); print(@a[1999]); clear(@a)", "2000\n1999"},
		"sums":               {"$x = 0; " + each("$x += #; ", many) + "print($x)", fmt.Sprint(sum)},
		"scalar maps":        {each("@m# = #; ", 500) + each("@sum += @m#; clear(@m#); ", 500) + "print(@sum); clear(@sum)", "@sum: 124750"},
		"variables":          {each("$v# = (int64)# + @z; ", 40) + "$s = 0; " + each("$s += $v#; ", 40) + "print($s)", "780"},
		"ifs":                {"$n = 0; $z = 7 + @z; " + each("if ($z < # + 1) { $n++ } ", 400) + "print($n)", "393"},
		"printfs":            {each("printf(\"# \", @z); ", 1), ""},
		"strings":            {each("@s[\"key#\"] = \"value#\"; ", 300) + "print(@s[\"key299\"]); print(len(@s)); clear(@s)", "value299\n300"},
		"one deep sum":       {"$x = (int64)1 + @z; print(" + strings.Repeat("($x + ", 200) + "1" + strings.Repeat(")", 200) + ")", "201"},
		"one deep sum, left": {"$x = (int64)1 + @z; print(" + strings.Repeat("(", 200) + "1" + strings.Repeat(" + $x)", 200) + ")", "201"},
		"one wide sum":       {"$x = (int64)1 + @z; print(1" + strings.Repeat(" + $x", 1000) + ")", "1001"},
		"nested ifs":         {"$x = 1 + @z; " + strings.Repeat("if ($x) { ", 100) + "print(\"in\")" + strings.Repeat(" }", 100), "in"},
		"nested blocks":      {"$x = " + strings.Repeat("{ ", 100) + "5" + strings.Repeat(" }", 100) + "; print($x)", "5"},
		"loops":              {each("for $i# : 0..3 { @n++ } ", 100) + "print(@n); clear(@n)", "@n: 300"},
		"tuples":             {"$t = " + strings.Repeat("(1, ", 6) + "\"end\"" + strings.Repeat(")", 6) + "; print($t" + strings.Repeat(".1", 6) + ")", "end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row{want: tt.want}
			if name == "printfs" {
				var text strings.Builder
				text.WriteString("$x = 5 + @z; ")
				for i := range 400 {
					fmt.Fprintf(&text, "printf(\"%d %%d\\n\", $x); ", i)
					r.want += fmt.Sprintf("%d 5\n", i)
				}
				tt.script, r.want = text.String(), strings.TrimSuffix(r.want, "\n")
			}
			needOf(t, tt.script)
			o, err := execute("begin { "+tt.script+" }", run{})
			if err != nil {
				t.Fatal(err)
			}
			r.compare(t, o)
		})
	}
}
