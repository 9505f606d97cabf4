package guard

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/tool/guard/rule"
)

// watched arms a rule on what is below a new root, and watches it.
func watched(t *testing.T, rules string, files ...string) (root string, w *Watcher) {
	t.Helper()
	root = grow(t, files...)
	env := Env{Root: root}
	armed, err := Arm(parse(t, rules), env)
	if err != nil {
		t.Fatal(err)
	}
	if w, err = Watch(armed, env); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return root, w
}

// next waits for a change. That it comes is what is tested, not when.
func next(t *testing.T, w *Watcher) string {
	t.Helper()
	select {
	case what, ok := <-w.Changes():
		if !ok {
			t.Fatal("closed")
		}
		return what
	case <-time.After(time.Minute):
		t.Fatal("no change was told")
	}
	return ""
}

// must are steps of a test that do not fail.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatchNames(t *testing.T) {
	root, w := watched(t, "deny /a/b/c log /d/*/x", "a/", "d/")
	must(t, os.Mkdir(root+"/a/other", 0o755), os.Mkdir(root+"/a/b", 0o755))
	if got := next(t, w); got != "/a/b" {
		t.Errorf("told of %s", got)
	}
	must(t, os.Mkdir(root+"/d/any", 0o755))
	if got := next(t, w); got != "/d/any" {
		t.Errorf("told of %s", got)
	}
	must(t, os.Rename(root+"/a", root+"/e"))
	if got := next(t, w); got != "/a" {
		t.Errorf("told of %s", got)
	}
}

// A link that is turned to somewhere else between the arming and the watch is told as well.
func TestWatchGap(t *testing.T) {
	root := grow(t, "one/f", "two/f", "cur -> one", "gone/")
	env := Env{Root: root}
	armed, err := Arm(parse(t, "deny /cur/f"), env)
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Symlink("two", root+"/new"), os.Rename(root+"/new", root+"/cur"))
	w, err := Watch(armed, env)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got := next(t, w); got != "/cur" {
		t.Errorf("told of %s", got)
	}
	if armed, err = Arm(parse(t, "deny /gone/f"), env); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(root+"/gone"), w.Update(armed))
	if got := next(t, w); got != "/gone" {
		t.Errorf("told of %s", got)
	}
	// What is watched no more is not told.
	must(t, os.Remove(root+"/cur"), os.Mkdir(root+"/gone", 0o755))
	if got := next(t, w); got != "/gone" {
		t.Errorf("told of %s", got)
	}
}

// Every way that editors write a file is told, and that of a folder of links that is switched as one.
func TestWatchRuleFile(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/v1", 0o755), os.Mkdir(dir+"/v2", 0o755), os.Symlink("v1", dir+"/data"), os.Symlink("data/r.yaml", dir+"/rules.yaml"))
	text := []byte("rules: [{action: log, files: sonde-test-no-such-name}]\n")
	must(t, os.WriteFile(dir+"/v1/r.yaml", text, 0o644), os.WriteFile(dir+"/v2/r.yaml", text, 0o644))
	file := filepath.Join(dir, "rules.yaml")
	set, err := rule.ParseFile(file, text)
	if err != nil {
		t.Fatal(err)
	}
	armed, err := Arm(set, Env{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Watch(armed, Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	told := func(name string) {
		t.Helper()
		if got := next(t, w); got != "the rule file "+dir+name {
			t.Errorf("told of %s", got)
		}
		must(t, w.Update(armed))
	}
	must(t, os.WriteFile(dir+"/v1/r.yaml", text, 0o644)) // in place
	told("/v1/r.yaml")
	must(t, os.WriteFile(dir+"/v1/new", text, 0o644), os.Rename(dir+"/v1/new", dir+"/v1/r.yaml"))
	told("/v1/r.yaml")
	must(t, os.Rename(dir+"/v1/r.yaml", dir+"/v1/r.yaml~"), os.WriteFile(dir+"/v1/r.yaml", text, 0o644)) // a backup, and a new one
	told("/v1/r.yaml")
	must(t, os.Symlink("v2", dir+"/new"), os.Rename(dir+"/new", dir+"/data"))
	told("/data")
	must(t, os.WriteFile(dir+"/v2/r.yaml", text, 0o644))
	told("/v2/r.yaml")
}

// A storm of changes is told, again and again, and not one by one.
func TestWatchStorm(t *testing.T) {
	root, w := watched(t, "deny /a/*/x", "a/")
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
				os.Mkdir(root+"/a/d", 0o755)
				os.Remove(root + "/a/d")
			}
		}
	}()
	next(t, w)
	next(t, w)
	close(stop)
	<-done
	must(t, w.Close(), w.Close())
	if _, open := <-w.Changes(); open {
		if _, open := <-w.Changes(); open {
			t.Error("the channel is open after Close")
		}
	}
	if err := w.Update(&Armed{}); err == nil {
		t.Error("an ended watch was updated")
	}
}

// What takes the place of a directory that is watched is not followed if it is a link.
func TestWatchFollowsNoLinks(t *testing.T) {
	root, w := watched(t, "deny /a/b/*/x", "a/b/", "elsewhere/b/")
	armed, err := Arm(parse(t, "deny /a/b/*/x"), Env{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(root+"/a", root+"/old"), os.Symlink("elsewhere", root+"/a"))
	if got := next(t, w); got != "/a" {
		t.Errorf("told of %s", got)
	}
	must(t, w.Update(armed))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dirs {
		if strings.HasPrefix(d.path, "/a") {
			t.Errorf("%s is watched through a link", d.path)
		}
	}
}

func FuzzInotifyEvents(f *testing.F) {
	event := func(wd, mask, size uint32, name string) []byte {
		b := binary.NativeEndian.AppendUint32(nil, wd)
		b = binary.NativeEndian.AppendUint32(b, mask)
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = binary.NativeEndian.AppendUint32(b, size)
		return append(b, name...)
	}
	f.Add(event(1, unix.IN_CREATE, 4, "x\x00\x00\x00"))
	f.Add(event(1, unix.IN_CLOSE_WRITE, 4, "f\x00\x00\x00"))
	f.Add(event(1, unix.IN_CREATE, 1<<31, "x"))
	f.Add(event(7, unix.IN_Q_OVERFLOW, 0, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &Watcher{dirs: map[int32]*watchedDir{1: {path: "/d", names: map[string]bool{"x": true}, file: "f"}}}
		if got := w.changed(data); len(got) > len(data)/unix.SizeofInotifyEvent {
			t.Errorf("%d changes of %d bytes", len(got), len(data))
		}
	})
}
