package proc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"sonde/internal/print"
	"sonde/internal/prog"
)

// historyOf keeps a run of records.
func historyOf(t *testing.T, records []prog.Record) *History {
	t.Helper()
	h := NewHistory(4096)
	var out bytes.Buffer
	run(t, Show{Sink: sink(&out, RowType.Columns, false), History: h}, records)
	return h
}

func tree(t *testing.T, h *History) (text []byte, hidden int) {
	t.Helper()
	var out bytes.Buffer
	s := print.NewColumns(&out, TreeType, TreeType.Columns, print.ColumnOptions{})
	hidden, err := h.Tree(s.Row)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), hidden
}

// brood is a process with many children that are alike, some that are not, and one that lives on.
func brood() []prog.Record {
	records := []prog.Record{
		madeExec{time: second, pid: 1000, ppid: 1, execID: 1, comm: "make", filename: "/bin/make", args: words("make", "-j4")}.record(1),
	}
	for i := range uint32(12) {
		at := second + uint64(i+1)*10*ms
		pid := 1001 + i
		records = append(records, fork{time: at, pid: pid, ppid: 1000, tid: 1000, execID: 1, comm: comm("make")}.record(1))
		name := "cc"
		if i == 4 {
			name = "ld"
		}
		records = append(records, madeExec{time: at + ms, pid: pid, ppid: 1000, execID: 2, comm: name, filename: "/bin/" + name, args: words(name, fmt.Sprint(i))}.record(1))
		code := uint32(0)
		switch i {
		case 5:
			code = 2 << 8
		case 6:
			continue // it lives on
		}
		records = append(records, end{time: at + 5*ms, start: at - 1, pid: pid, ppid: 1000, code: code, execID: 2, cpu: ms, flags: exitUsage, comm: comm(name)}.record(1))
	}
	// An id that is used again, by a process whose fork was not told of, and one whose parent is not known.
	return append(records,
		end{time: 2 * second, start: 2*second - ms, pid: 1001, ppid: 1000, code: 9, execID: 2, comm: comm("late")}.record(1),
		end{time: 2*second + ms, start: second / 2, pid: 5, ppid: 2, execID: 9, comm: comm("stranger")}.record(1))
}

func TestTree(t *testing.T) {
	for name, records := range map[string][]prog.Record{"tree-family": family, "tree-brood": brood()} {
		text, hidden := tree(t, historyOf(t, records))
		if hidden != 0 {
			t.Errorf("%s: %d processes are hidden", name, hidden)
		}
		golden(t, name, text)
	}
}

// A chain of processes that is deeper than any screen, and more lines than anybody reads.
func TestTreeBounds(t *testing.T) {
	var records []prog.Record
	const deep = treeLines + 100
	for i := range uint32(deep) {
		records = append(records, fork{time: second + uint64(i), pid: 10 + i + 1, ppid: 10 + i, execID: 1, comm: comm("deep")}.record(1))
	}
	text, hidden := tree(t, historyOf(t, records))
	if lines := bytes.Count(text, []byte{'\n'}); lines != treeLines+1 || hidden != deep-treeLines {
		t.Errorf("%d lines, %d hidden", lines, hidden)
	}
	for line := range bytes.Lines(text) {
		if len(line) > 100+treeDepth*6 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := NewHistory(4096)
	for i := range uint32(maxHistory + 3) {
		h.forked(&fork{time: uint64(i), pid: i, ppid: 0})
		h.ended(&end{time: uint64(i), start: uint64(i), pid: i})
	}
	if h.Len() != maxHistory || h.Left() == 0 {
		t.Errorf("%d processes, %d left out", h.Len(), h.Left())
	}
}

func TestTimeline(t *testing.T) {
	for name, records := range map[string][]prog.Record{"timeline-family": family, "timeline-brood": brood(), "timeline-empty": nil} {
		var out bytes.Buffer
		if err := historyOf(t, records).WriteTimeline(&out); err != nil {
			t.Fatal(err)
		}
		var trace struct {
			TraceEvents []struct {
				Ph       string
				PID, TID uint64
				TS, Dur  float64
			}
		}
		if err := json.Unmarshal(out.Bytes(), &trace); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ends := make(map[uint64]float64)
		for _, e := range trace.TraceEvents {
			if e.Ph != "X" {
				continue
			}
			if e.PID != e.TID || e.TS < ends[e.PID]-0.001 || e.Dur < 0 {
				t.Errorf("%s: %+v: on the track of another, or before %v", name, e, ends[e.PID])
			}
			ends[e.PID] = e.TS + e.Dur
		}
		golden(t, name, out.Bytes())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestTimelineFails(t *testing.T) {
	if err := historyOf(t, family).WriteTimeline(failing{}); err == nil {
		t.Error("nobody says that it could not be written")
	}
}
