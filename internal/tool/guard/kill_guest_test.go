//go:build guest

package guard_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
	"sonde/internal/vmtest"
)

// Where nothing can deny, the process is killed, late: whatever the rule wants.
func TestGuestKillOnly(t *testing.T) {
	vmtest.Need(t, kernel.Kprobe)
	g := begin(t, guard.Options{Mechanism: guard.Kill})
	file := write(t, filepath.Join(t.TempDir(), "secret"))
	records := g.records(t)
	for _, action := range []rule.Action{rule.Kill, rule.Deny, rule.DenyKill} {
		r := deny(unix.EACCES, rule.Read)
		r.Action = action
		p, other := beginChild(t, testBinary(t), nil), beginChild(t, testBinary(t), nil)
		p.open(t, "/")
		g.load(t, objectRule(objectOf(t, file), r))
		if said := p.open(t, file); said != "" {
			t.Errorf("action %d: the child lives and says %q", action, said)
		}
		if said := other.open(t, filepath.Dir(file)); said != "<nil>" {
			t.Errorf("another process: %q", said)
		}
		if n := g.counts(t)[0]; n != (guard.Counts{Matches: 1, Killed: 1}) {
			t.Errorf("action %d: counted %+v", action, n)
		}
		if told := records(); len(told) != 1 || told[0].Outcome != guard.Late || told[0].Mechanism != guard.Kill || told[0].Ret != 0 {
			t.Errorf("action %d: told %+v", action, told)
		}
	}
	g.off(t)
}
