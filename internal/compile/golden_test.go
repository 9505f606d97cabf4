package compile_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sonde/internal/compile"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// goldens are scripts whose code is worth reading.
var goldens = []struct {
	name, script string
	without      []kernel.Feature
}{
	{"count_by_comm", `tracepoint:syscalls:sys_enter_getppid /pid == 42/ { @[comm] = count(); }`, nil},
	{"count_by_comm_tracepoint", `tracepoint:syscalls:sys_enter_getppid /pid == 42/ { @[comm] = count(); }`,
		[]kernel.Feature{kernel.RawTracepoint, kernel.BTF, kernel.TaskBTF, kernel.RdonlyCast}},
	{"many_syscalls", `tracepoint:syscalls:sys_enter_open* { @ = count(); }`, nil},
	{"many_syscalls_named", `tracepoint:syscalls:sys_enter_open* { @[probe] = count(); }`, nil},
	{"latency", `tracepoint:syscalls:sys_enter_nanosleep { @start[tid] = nsecs; }
tracepoint:syscalls:sys_exit_nanosleep /@start[tid]/ { @ns = hist(nsecs - @start[tid]); delete(@start, tid); }`, nil},
	{"printf_path", `tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); }`, nil},
	{"chain_cast", `kprobe:vfs_read { @[((struct file *)arg0)->f_path.dentry->d_inode->i_ino] = count(); }`, nil},
	{"chain_read", `kprobe:vfs_read { @[((struct file *)arg0)->f_path.dentry->d_inode->i_ino] = count(); }`, []kernel.Feature{kernel.RdonlyCast}},
	{"typed_argument", `fentry:vfs_read /args.count > 4096/ { @[str(args.file.f_path.dentry.d_name.name, 32)] = count(); }`, nil},
	{"compare_text", `tracepoint:sched:sched_switch /args.prev_comm == "bash" || comm != "sh"/ { @ = count(); }`, nil},
	{"tuple_key", `begin { $x = (uint8)7; @[$x, "ab", pid] = 1; }`, nil},
	{"loop", `begin { $i = 0; while ($i < 10) { $i++; if ($i == 5) { continue } if ($i == 8) { break } } @ = $i; }`, nil},
	{"loop_old", `begin { $i = 0; while ($i < 10) { $i++; } @ = $i; }`, []kernel.Feature{kernel.MayGoto}},
	{"divide", `begin { $x = pid; @ = 10 / $x; @y = $x / 4; }`, nil},
	{"each", `begin { @m[pid] = 1; $n = 0; for $kv : @m { $n += $kv.1; } @sum = $n; }`, nil},
	{"uprobe_scratch", `uprobe:libc:malloc { @[str(arg0)] = count(); }`, nil},
}

func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			p, diags := compile.Compile([]byte(g.script), "test", kernel.NewFixture().Without(g.without...), compile.Options{Stages: []string{"ir"}})
			for _, d := range diags {
				if d.Severity == syntax.Error {
					t.Fatal(syntax.NewSource("test", []byte(g.script)).Render(d, false))
				}
			}
			text, _ := p.Stage("ir")
			got := g.script + "\n\n" + strings.TrimSpace(text) + "\n"
			path := filepath.Join("testdata", g.name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
