package tracefs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLeftovers(t *testing.T) {
	const list = `p:kprobes/libbpf_77_vfs_read_0x0_0 vfs_read
r4096:kretprobes/guess_execve_goebpf_77 __x64_sys_execve
p:kprobes/p_vfs_read_bcc_42 vfs_read
p:uprobes/libbpf_42_bash_0x1234_1 /bin/bash:0x1234
p:ebpf_0123456789abcdef/vfs_read vfs_read
p:ebpf_0123/vfs_read vfs_read
p:sonde_open_0123456789abcdef/enter do_sys_openat2 dfd=%di
p:kprobes/mine vfs_read
p:kprobes/bcc_42 vfs_read
p:probe/libbpf_77_x vfs_read
-
p:
libbpf_77_x
p:kprobes/libbpf_99999999999999999999_x y
`
	got := leftovers(list, func(pid int) bool { return pid == 42 })
	want := []Leftover{
		{Event: "kprobes/libbpf_77_vfs_read_0x0_0", Place: "vfs_read", Loader: "libbpf", PID: 77},
		{Event: "kretprobes/guess_execve_goebpf_77", Place: "__x64_sys_execve", Loader: "goebpf", PID: 77},
		{Event: "kprobes/p_vfs_read_bcc_42", Place: "vfs_read", Loader: "bcc", PID: 42, Lives: true},
		{Event: "uprobes/libbpf_42_bash_0x1234_1", Place: "/bin/bash:0x1234", Loader: "libbpf", PID: 42, Lives: true},
		{Event: "ebpf_0123456789abcdef/vfs_read", Place: "vfs_read", Loader: "cilium/ebpf"},
		{Event: "sonde_open_0123456789abcdef/enter", Place: "do_sys_openat2 dfd=%di", Loader: "sonde"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
