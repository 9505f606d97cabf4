package workload

import (
	"testing"
	"time"
)

func TestLonger(t *testing.T) {
	slice := func(cpu, wall time.Duration) Slice { return Slice{Calls: 10, CPU: cpu, Wall: wall} }
	with := []Slice{slice(3000, 9000), slice(3000, 9000), slice(90000, 9000)}
	without := []Slice{slice(1000, 2000), slice(1000, 2000), slice(5000, 2000)}
	if got := Longer(with, without, CPU, 10); got != 200 {
		t.Errorf("CPU time: %v ns, want 200", got)
	}
	if got := Longer(with, without, Wall, 50); got != 700 {
		t.Errorf("wall time: %v ns, want 700", got)
	}
}
