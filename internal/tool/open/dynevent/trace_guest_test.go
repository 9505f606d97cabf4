//go:build guest

package dynevent

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// seen are the opens of a command, as "PATH RET".
func seen(t *testing.T, opt Options, argv ...string) (list []fileevent.Event, tr *Trace) {
	t.Helper()
	opt.Follows = true
	tr, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	ev, _ := os.ReadFile(tr.in.dir + "/dynamic_events")
	el, _ := os.ReadFile(tr.in.dir + "/error_log")
	t.Logf("%s\n%s", ev, el)
	defer func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read x; exec "$@"`, "sh"}, argv...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Start([]uint32{uint32(cmd.Process.Pid)}); err != nil {
		t.Fatal(err)
	}
	record := func(r prog.Record) error {
		var e fileevent.Event
		if _, err := e.Decode(r.Body, 0); err != nil {
			t.Error(err)
			return nil
		}
		e.Time = r.Time
		list = append(list, e)
		return nil
	}
	fmt.Fprintln(stdin, "go")
	for until := time.Now().Add(20 * time.Second); !tr.TreeEnded(); time.Sleep(10 * time.Millisecond) {
		if _, _, err := tr.Read(record, false); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(until) {
			t.Error("the tree does not end")
			break
		}
	}
	_ = cmd.Wait()
	if err := tr.Stop(); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if _, n, err = tr.Read(record, true); err != nil {
			t.Fatal(err)
		}
	}
	lost, notes, err := tr.Account()
	t.Log(lost, notes, err, out)
	return list, tr
}

func TestGuestSmoke(t *testing.T) {
	for _, k := range []Kind{Kprobes, EventProbes} {
		if k == EventProbes && vmtest.Guest() == "5.10" {
			continue
		}
		t.Run(k.String(), func(t *testing.T) {
			list, _ := seen(t, Options{Kind: k}, "/bin/sh", "-c", "cat /etc/passwd /no/such; ls /; : > /tmp/new; cat /tmp/new")
			for _, e := range list {
				t.Logf("%d %d %d %-8s %v %q ret %d flags %#x mode %o marks %#x dirfd %d how %s", e.Time, e.PID, e.TID, e.Comm(), time.Duration(e.Duration), e.Path(), e.Ret, e.Flags, e.Mode, e.Marks, e.DirFD, e.How)
			}
		})
	}
	dir, err := kernel.TracefsDir()
	if err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(dir + "/instances/*")
	events, _ := os.ReadFile(dir + "/dynamic_events")
	t.Logf("left: %q %q", left, events)
}
