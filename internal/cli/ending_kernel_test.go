package cli

import (
	"fmt"
	"strings"
	"testing"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

// Stacks of processes in the moment they end are named: the programs tell what is mapped, since nobody could read it in
// time. They cannot where another thread is changing the mappings right then.
func TestKernelStacksOfTheEnding(t *testing.T) {
	needScripts(t)
	vmtest.Need(t, kernel.Tracepoint)
	if !has(t, kernel.BpfLoop) || !has(t, kernel.TaskBTF) {
		t.Skip("this kernel has no bpf_find_vma")
	}
	ends := as(t, "role-exit")
	got := runScriptFor(t, "sonde", "run", "-q", "--tree", "-c", fmt.Sprintf(`/bin/sh -c 'for i in 1 2 3 4 5 6 7 8; do %s 0; done'`, ends), "-e",
		`tracepoint:syscalls:sys_enter_exit_group /comm == "role-exit"/ { @[ustack(4), pid] = count(); @n = count(); }`)
	if !strings.Contains(got.stdout, "@n: 8\n") || strings.Count(got.stdout, "        runtime.exit") < 7 {
		t.Errorf("%q; %s", got.stdout, got.stderr)
	}
}
