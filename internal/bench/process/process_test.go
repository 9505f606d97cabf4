package process

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	p, err := Launch(Command{Argv: []string{"/bin/sh", "-c", `trap 'echo "$GREETING"; exit' INT; echo no >&2; while :; do sleep 0.01; done`}, Env: []string{"GREETING=@: 5"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Says("no\n", 0, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Spoken(); n != 3 || err != nil {
		t.Errorf("it has said %d bytes (%v)", n, err)
	}
	if err := p.Says("o", 2, time.Millisecond); err == nil || !strings.Contains(err.Error(), "within") {
		t.Errorf("got %v, want that it did not say so", err)
	}
	if _, err := p.Interrupt(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(p.Output()); string(got) != "@: 5\n" || err != nil || p.Written() != 5 {
		t.Errorf("it has written %d bytes: %q (%v)", p.Written(), got, err)
	}
	if p.Total() <= 0 {
		t.Error("it used no CPU time")
	}
	if err := p.Says("yes", 0, 10*time.Second); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("got %v, want that it ended", err)
	}
	if err := p.Attached(1); err == nil || !strings.Contains(err.Error(), `it said "no"`) {
		t.Errorf("got %v, want that it ended, and what it said", err)
	}
}

func TestLaunchRefuses(t *testing.T) {
	if _, err := Launch(Command{Argv: []string{"/nonexistent/tool"}}); err == nil {
		t.Error("a missing tool is no error")
	}
}
