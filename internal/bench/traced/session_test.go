package traced

import (
	"os/exec"
	"strings"
	"testing"
)

func shell(t *testing.T, script string) *Session {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Command{Argv: []string{path, "-c", script}}, "tag")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessionSeesRecordsAndStops(t *testing.T) {
	s := shell(t, `[ -t 0 ] && [ -t 1 ] || exit 9
		trap 'echo lost 3 >&2; exit 0' INT
		sleep 0.05; echo tag-0; echo tag-1; echo tag-1
		while :; do sleep 0.01; done`)
	at, err := s.First(patience)
	if err != nil {
		t.Fatal(err)
	}
	if at.Before(s.Started) {
		t.Errorf("the first record came before the start")
	}
	if got := s.Settle(2, patience); got.Distinct != 2 {
		t.Errorf("settled with %+v", got)
	}
	if _, err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(s.Remarks()); got != "lost 3" {
		t.Errorf("remarks %q", got)
	}
}

func TestSessionToolFails(t *testing.T) {
	s := shell(t, `sleep 0.05; echo no such luck >&2; exit 1`)
	_, err := s.First(patience)
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got error %v, want what the tool said", err)
	}
	if _, err := s.Stop(); err != nil {
		t.Errorf("stopping a tool that has ended: %v", err)
	}
	if _, err := Start(Command{Argv: []string{"/nonexistent/tool"}}, "tag"); err == nil {
		t.Error("starting a missing tool is no error")
	}
}
