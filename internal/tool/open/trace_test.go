package open

import (
	"runtime"
	"strconv"
	"testing"

	"sonde/internal/attach"
	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/stream"
	"sonde/internal/target"
)

// The main goroutine keeps the first thread: another one is another thread of the process then.
func init() { runtime.LockOSThread() }

func lockThread() { runtime.LockOSThread() }

// facts are those of the kernel that the test runs on.
func facts(t *testing.T) Facts {
	t.Helper()
	present := func(f kernel.Feature) bool { return attach.Try(f).State == kernel.Present }
	k := Facts{
		Preempts: attach.PreemptsRawTracepoints() && attach.MayTrace("syscalls", "sys_enter_openat"),
		Fentry:   present(kernel.Fentry), Kprobe: present(kernel.Kprobe),
	}
	types, err := kernel.RunningTypes()
	if err != nil {
		t.Fatal(err)
	}
	k.Function = func(name string) bool {
		_, ok := types.Find(kernel.BTFFunc, name)
		return ok
	}
	return k
}

func allFields() (keys []string) {
	for _, f := range RowType.Fields {
		keys = append(keys, f.Key)
	}
	return keys
}

// trace is one run of the programs.
type trace struct {
	spec    *prog.Spec
	session *attach.Session
	reader  *stream.Reader
}

// startTrace loads and attaches the programs for one process and its descendants, or for all where pid is 0.
func startTrace(t *testing.T, opt Options, to target.Options) *trace {
	t.Helper()
	spec, err := Spec(opt)
	if err != nil {
		t.Fatal(err)
	}
	tgt, err := to.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if err := tgt.Apply(spec); err != nil {
		t.Fatal(err)
	}
	session, err := attach.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	reader, err := stream.NewReader(session.Map(spec.Ring))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	if err := session.Attach(); err != nil {
		t.Fatal(err)
	}
	return &trace{spec, session, reader}
}

// events are what has been told since they were asked for last. Nothing may be lost.
func (tr *trace) events(t *testing.T) (events []*fileevent.Event) {
	t.Helper()
	_, err := tr.reader.Drain(func(r prog.Record) error {
		if r.Type != recordOpen {
			return nil
		}
		e := new(fileevent.Event)
		if _, err := e.Decode(r.Body, 0); err != nil {
			return err
		}
		e.Time = r.Time
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	counters, err := stream.NewCounters(tr.session.Map(tr.spec.Counters), tr.spec.LostReasons)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := counters.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tally.Lost {
		if c.N > 0 {
			t.Errorf("%d lost: %s", c.N, c.Reason)
		}
	}
	return events
}

// of returns the events with this path as asked.
func of(events []*fileevent.Event, path string) (found []*fileevent.Event) {
	for _, e := range events {
		if string(e.Path()) == path {
			found = append(found, e)
		}
	}
	return found
}

func pidOf(c *child) string { return strconv.Itoa(c.cmd.Process.Pid) }

func show(t *testing.T, events []*fileevent.Event) {
	t.Helper()
	for _, e := range events {
		t.Logf("%s %d/%d %s %q -> %q full %q flags %#x ret %d marks %v %d ns", e.Comm(), e.PID, e.TID, e.How, e.Path(), e.AppendFile(nil),
			e.AppendFull(nil), e.Flags, e.Ret, markText(e.Marks), e.Duration)
	}
}

func markText(m fileevent.Mark) (text string) {
	for _, n := range m.AppendNames(nil) {
		text += string(n) + " "
	}
	return text
}
